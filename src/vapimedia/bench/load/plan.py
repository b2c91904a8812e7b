"""What a load is to be."""

from __future__ import annotations

import msgspec

from vapimedia.bench.load.run import Times
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = ["FORMATS", "IDLE_CALLS", "MOST_CALLS", "LoadPlan"]

FORMATS = (AudioFormat("pcm_s16le", 16_000), AudioFormat("mulaw", 8000))
MOST_CALLS = 1000
IDLE_CALLS = (50, 250)


class LoadPlan(msgspec.Struct, kw_only=True):
    """The settings of one load; names as the flags of ``vapimedia bench calls``."""

    calls: int = 50
    seconds: float = 10.0
    closed_loop: bool = False
    window: int = 1
    bridge: str = ""
    """Command line of a bridge, with ``{port}`` and ``{vapi_url}``; empty and no *url*: ``vapimedia serve``."""
    url: str = ""
    vapi_port: int = 0
    pid: int = 0
    format: AudioFormat = FORMATS[0]
    serve_flags: list[str] = []
    pin: bool = False
    find_max: bool = False
    idle: bool = False
    stalled: int = 0
    stall_s: float = 0.0
    """0: for the rest of the run."""
    barge_in: bool = False
    times: Times = Times()

    def check(self) -> None:
        """Raise ``ConfigError`` for what cannot be done."""
        if self.bridge and self.url:
            raise ConfigError("--bridge starts a bridge and --url goes to a running one; give one of them")
        if self.url and not self.vapi_port:
            raise ConfigError("--url needs --vapi-port, the port where that bridge expects Vapi's API")
        if self.pid and not self.url:
            raise ConfigError("--pid goes with --url; the processor time of other bridges is known anyway")
        if not 1 <= self.calls <= MOST_CALLS:
            raise ConfigError(f"--calls must be 1 to {MOST_CALLS}, not {self.calls}")
        if self.format not in FORMATS:
            raise ConfigError("--format must be pcm_s16le/16000 or mulaw/8000")
        if self.serve_flags and (self.bridge or self.url):
            raise ConfigError("--serve-flags are for vapimedia's own bridge")
        modes = {
            "--closed-loop": self.closed_loop,
            "--find-max": self.find_max,
            "--idle": self.idle,
            "--stalled": bool(self.stalled),
            "--barge-in": self.barge_in,
        }
        chosen = [flag for flag, is_on in modes.items() if is_on]
        if len(chosen) > 1:
            raise ConfigError(
                f"{' and '.join(chosen)} measure different things; run them one after the other"
            )
        if (self.find_max or self.idle) and self.url and not self.pid:
            raise ConfigError(f"{chosen[0]} needs --pid with --url")
        if not 0 <= self.stalled < self.calls:
            raise ConfigError("--stalled leaves at least one call that reads")
        if self.stalled and (self.seconds < 2 or not 0 <= self.stall_s <= self.seconds - 1):
            raise ConfigError(
                "--stalled needs --seconds of 2 or more, and --stall-s one less than that at most"
            )

    @property
    def name(self) -> str:
        return self.bridge or self.url or "vapimedia serve"

    @property
    def is_mulaw(self) -> bool:
        return self.format.encoding == "mulaw"
