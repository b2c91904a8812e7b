"""Settings of one call. Durations are in milliseconds; 0 switches a timeout off."""

from __future__ import annotations

from typing import Literal

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat, Quality
from vapimedia.media import LivePolicy

__all__ = ["DtmfTone", "SessionConfig"]


class DtmfTone(msgspec.Struct, frozen=True):
    """How a key press sounds under the policy ``tone``. ``level`` is the peak of each of its two sines."""

    on_ms: int = 100
    gap_ms: int = 50
    level: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.on_ms <= 1000 or not 0 <= self.gap_ms <= 1000:
            raise ConfigError("a DTMF tone lasts 1..1000 ms and its gap 0..1000 ms")
        if not 0.0 < self.level <= 0.5:
            raise ConfigError(
                f"DTMF level {self.level} is outside 0..0.5; two sines of more than 0.5 would clip"
            )


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one call may be told. Raises ``ConfigError`` for a value that makes no sense.

    Media: ``vapi_format`` both ways; ``lead_ms`` how far ahead of playout audio is sent (``None``: as far as
    the provider takes it, which is also the limit); ``early_media_ms`` how much of the assistant is kept
    until the provider has started; ``paced=False`` lifts lead and flood limits (benchmarks).

    Barge-in: ``user-interrupted`` trusts that event alone; ``speech-update`` also stops the assistant as soon
    as the caller starts to speak. ``interrupt_guard_ms`` drops assistant audio after an interruption until
    the assistant starts anew, because Vapi's frames do not say which turn they belong to.

    End: ``goodbye_ms`` bounds how long audio still owed to the caller is played after Vapi has ended the call
    (0: cut at once). ``on_vapi_lost="continue"`` releases the media socket when Vapi is gone, so that the
    provider goes on with the rest of its document. ``vapi_transfers`` is what an event of Vapi's means that names a
    number or an address to transfer the call to: ``forward`` does it, as Vapi has no phone leg to do it with.
    ``media_timeout_ms`` runs from creation to the provider's socket (``ring_ms`` longer for a call that has to be
    answered first, and anew from its answer), ``start_timeout_ms`` from there to its start message,
    ``idle_timeout_ms`` since its last message. ``max_bad_in_a_row`` unreadable messages of one leg end the call.
    """

    vapi_format: AudioFormat
    quality: Quality = "balanced"
    live: LivePolicy = LivePolicy()
    lead_ms: int | None = None
    prebuffer_ms: int = 40
    max_playout_ms: int = 120_000
    early_media_ms: int = 10_000
    paced: bool = True
    dtmf: Literal["message", "tone", "ignore"] = "message"
    dtmf_tone: DtmfTone = DtmfTone()
    barge_in: Literal["user-interrupted", "speech-update", "off"] = "user-interrupted"
    interrupt_guard_ms: int = 0
    on_vapi_lost: Literal["hang_up", "continue"] = "hang_up"
    vapi_transfers: Literal["forward", "ignore"] = "forward"
    goodbye_ms: int = 10_000
    media_timeout_ms: int = 15_000
    ring_ms: int = 0
    start_timeout_ms: int = 10_000
    idle_timeout_ms: int = 30_000
    max_bad_in_a_row: int = 16
    mark_interval_ms: int = 1000

    def __post_init__(self) -> None:
        for name in (
            "max_playout_ms",
            "early_media_ms",
            "interrupt_guard_ms",
            "goodbye_ms",
            "media_timeout_ms",
            "ring_ms",
            "start_timeout_ms",
            "idle_timeout_ms",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more milliseconds")
        if not 0 <= self.prebuffer_ms <= 200:
            raise ConfigError(f"prebuffer_ms is {self.prebuffer_ms}; it must be within 0..200")
        if self.lead_ms is not None and self.lead_ms <= 0:
            raise ConfigError(
                f"lead_ms is {self.lead_ms}; it must be above 0, or unset for the provider's own limit"
            )
        if self.max_bad_in_a_row < 1 or self.mark_interval_ms < 1:
            raise ConfigError("max_bad_in_a_row and mark_interval_ms must be 1 or more")
