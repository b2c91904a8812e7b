"""Messages of a listenUrl to items: formats, split samples, and where audio belongs in time. Time is an argument."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from vapimedia.audio import alaw_decode, mulaw_decode
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io.listen_items import AudioChunk, ListenItem, ListenStarted, ListenStats, Reconnected
from vapimedia.io.timeline import Timeline
from vapimedia.protocols.vapi import Malformed, StatusUpdate
from vapimedia.protocols.vapi.listen import ListenStart, decode_listen

__all__ = ["HOLD_S", "Intake"]

_log = logging.getLogger("vapimedia.io")

# Longer than this without audio is a pause. What comes next is held for a moment: if all that is missing comes with
# it, the network was stuck; if not, nothing was sent, and the clock says where the audio belongs.
_PAUSE_S: Final = 0.5
HOLD_S: Final = 0.25
_MAX_HELD_S: Final = 10.0
_PACE_AFTER_S: Final = 3.0
_DECODERS: Final[dict[str | None, Callable[[bytes], bytes]]] = {"mulaw": mulaw_decode, "alaw": alaw_decode}


class Intake:
    """Turn what one connection after the other brings into items, which go to *put*. Times are of any steady clock."""

    def __init__(
        self, sample_rate: int, channels: int, put: Callable[[ListenItem], None], stats: ListenStats
    ) -> None:
        AudioFormat("pcm_s16le", sample_rate)  # judges the rate
        if channels not in (1, 2):
            raise ConfigError(f"a call has 1 or 2 channels, not {channels!r}")
        self.sample_rate, self.channels = sample_rate, channels
        self.heard = False
        """Whether this connection has brought audio."""
        self.told_ended = False
        """Whether an event has told the call's end."""
        self._put, self._stats = put, stats
        self._decode: Callable[[bytes], bytes] | None = None
        self._carry = b""
        self._line = Timeline(sample_rate)
        self._announced: ListenStarted | None = None
        self._held: list[bytes] | None = None
        self._is_back = False  # the next audio is the first after a connection broke
        self._first_s = self._last_s = 0.0
        self._connection_samples = 0

    @property
    def pace(self) -> float | None:
        """How much audio comes per time on this connection; ``None`` as long as that cannot be told."""
        elapsed_s = self._last_s - self._first_s
        return self._connection_samples / self.sample_rate / elapsed_s if elapsed_s >= _PACE_AFTER_S else None

    def connected(self) -> None:
        """Begin with another connection."""
        self.heard = False
        self._connection_samples = 0
        self._first_s = self._last_s = 0.0

    def disconnected(self) -> None:
        """End with a connection."""
        self.settle()
        self._is_back = self._is_back or self.heard
        self._stats.split_bytes += len(self._carry)
        self._carry = b""

    def text(self, data: str) -> None:
        """Take a text message, whatever it holds."""
        event = decode_listen(data)
        if isinstance(event, ListenStart):
            self._start(event)
            return
        self._stats.events += 1
        self._stats.malformed += isinstance(event, Malformed)
        self.told_ended = self.told_ended or (isinstance(event, StatusUpdate) and event.ended)
        self._put(event)

    def audio(self, data: bytes, now_s: float) -> bool:
        """Take a binary message. Returns whether ``settle`` must be called ``HOLD_S`` later."""
        if self._announced is None:
            self._announce(told=False)
        pcm = self._whole_samples(data)
        if not pcm:
            return False
        after_pause = self._stats.audio_ms and (not self.heard or now_s - self._last_s > _PAUSE_S)
        if not self.heard:
            self._first_s = now_s
        self.heard, self._last_s = True, now_s
        if self._held is not None:
            self._held.append(pcm)
            if sum(map(len, self._held)) >= _MAX_HELD_S * self._bytes_per_s:
                self.settle()
            return False
        if after_pause:
            self._held = [pcm]
            return True
        self._place(pcm, now_s)
        return False

    def settle(self) -> None:
        """Place what was held after a pause: where it would be without one, or where the clock says."""
        held, self._held = self._held, None
        if held is None:
            return
        missing = self._line.missing_samples(sum(map(len, held)) // self._block_bytes, self._last_s)
        missing_s = missing / self.sample_rate
        if self._is_back or missing_s > _PAUSE_S:
            self._line.skip(missing)
            self._stats.gap_ms += 1000 * missing_s
            if self._is_back:
                self._is_back = False
                self._stats.reconnects += 1
                self._put(Reconnected(1000 * missing_s))
        for pcm in held:
            self._place(pcm, self._last_s)

    @property
    def _block_bytes(self) -> int:
        return 2 * self.channels

    @property
    def _bytes_per_s(self) -> int:
        return self._block_bytes * self.sample_rate

    def _start(self, start: ListenStart) -> None:
        self.settle()  # what came before is of the format before
        if start.encoding and start.known_encoding is None:
            _log.warning("a listenUrl tells an encoding that is not known; it is taken for 16-bit PCM")
        before = self._decode, self.channels
        self._decode = _DECODERS.get(start.known_encoding)
        self.channels = start.channels or self.channels
        if before != (self._decode, self.channels):
            self._stats.split_bytes += len(self._carry)
            self._carry = b""
        if start.sample_rate and start.sample_rate != self.sample_rate:
            self.sample_rate = start.sample_rate
            self._line.change_rate(start.sample_rate)
        self._announce(told=bool(start.sample_rate or start.channels))

    def _announce(self, *, told: bool) -> None:
        before, now = self._announced, ListenStarted(self.sample_rate, self.channels, told)
        if before is None or (before.sample_rate, before.channels) != (now.sample_rate, now.channels):
            self._announced = now
            self._put(now)

    def _whole_samples(self, data: bytes) -> bytes:
        """Return the whole samples, of all channels, of what was carried and *data*, as PCM; the rest is carried."""
        width = self._block_bytes if self._decode is None else self.channels
        data = self._carry + data if self._carry else data
        n_whole = len(data) // width * width
        self._carry = data[n_whole:]
        whole = data[:n_whole]
        return whole if self._decode is None else self._decode(whole)

    def _place(self, pcm: bytes, now_s: float) -> None:
        n_samples = len(pcm) // self._block_bytes
        chunk = AudioChunk(pcm, self.sample_rate, self.channels, self._line.place(n_samples, now_s))
        self._connection_samples += n_samples
        self._stats.audio_ms += chunk.duration_ms
        self._put(chunk)
