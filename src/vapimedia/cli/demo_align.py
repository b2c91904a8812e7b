"""Where what came lies in what went, when silence stands between: found by the sound on either side of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vapimedia.formats import AudioFormat
from vapimedia.testing import sound

__all__ = ["Payload", "Settled", "Unpadded", "settle", "unpad"]

FRAME_NS = 20_000_000
PADDING_AHEAD_NS = 50_000_000
"""A frame is filled up with silence while this much is queued at most: 10 ms by the bridge's own reckoning, which
knows what was played from marks, a frame early."""

MAX_SILENT_FRAMES = 50  # as far as padding is looked for
QUIET_PEAK = 64  # of 32768: what the comparison calls silence


class Payload(NamedTuple):
    """One media payload, read on the caller's side at ``received_ns``.

    ``waiting_ns`` is since when it may have lain there: earlier where the demo itself was held up.
    """

    data: bytes
    received_ns: int
    waiting_ns: int


class Unpadded(NamedTuple):
    """Audio without padding, how many frames had some, how many of them in an utterance, and how many too early.

    ``starts`` is how many bytes of the utterance came before each payload.
    """

    audio: bytes
    n_padded: int
    n_inside: int
    n_early: int
    starts: list[int]


def unpad(expected: bytes, received: Sequence[Payload], fmt: AudioFormat, *, speed: float = 1.0) -> Unpadded:
    """Return what came without the silence that fills frames up.

    Only silence is taken away, and only where *expected* goes on after it, or ends: whatever else differs stays
    for the comparison to find.
    """
    audio = bytearray()
    n_padded = n_inside = n_early = 0
    at = 0  # how much of *expected* has come
    dry_ns = 0  # when the provider has played all it was given
    was_padded = False
    starts: list[int] = []
    for message, received_ns, waiting_ns in received:
        # What was queued at least: it came as early, and this was read as late, as can be.
        ahead_ns = dry_ns - received_ns
        dry_ns = max(dry_ns, waiting_ns) + round(FRAME_NS / speed)
        if not expected.startswith(message, at):
            # Padding may have looked like silence that was to come.
            n_back = at - min(_near(expected, at, message, audio, fmt), at)
            if n_back:
                del audio[len(audio) - n_back :]
                at -= n_back
                n_padded += not was_padded
                n_inside += not was_padded
        n_real = _common(expected, at, message, fmt)
        if n_real == 0 or _trailing_silence(message[n_real:], fmt) < len(message) - n_real:
            n_real = len(message)
        starts.append(at)
        audio += message[:n_real]
        at += n_real
        was_padded = n_real < len(message)
        if was_padded:
            n_padded += 1
            if at < len(expected):
                n_inside += 1
                n_early += ahead_ns > PADDING_AHEAD_NS
    return Unpadded(bytes(audio), n_padded, n_inside, n_early, starts)


class Settled(NamedTuple):
    """Audio as it would have been without ``n_inserted`` frames of silence, and with the ``n_left_out`` quiet ones."""

    audio: bytes
    n_inserted: int
    n_left_out: int


def settle(expected: bytes, received: bytes, fmt: AudioFormat) -> Settled:
    """Return *received* without the silence that stands anywhere in it, and with what is missing of *expected*'s.

    Only where sound goes on in order: whatever else differs stays for the comparison to find.
    """
    audio = bytearray()
    n_inserted = n_left_out = at = 0
    n_frame = fmt.frame_bytes()
    for start in range(0, len(received), n_frame):
        message = received[start : start + n_frame]
        if not expected.startswith(message, at):
            found = _near(expected, at, message, audio, fmt)
            n_sound = len(message) - _trailing_silence(message, fmt)
            if not n_sound and found == at:
                n_inserted += len(message)
                continue
            if found < at:
                del audio[len(audio) - (at - found) :]
                n_inserted += at - found
            else:
                audio += expected[at:found]
                n_left_out += found - at
            at = found
            n_real = _common(expected, at, message, fmt)
            if n_real >= n_sound:
                n_inserted += len(message) - n_real
                message = message[:n_real]
        audio += message
        at += len(message)
    return Settled(bytes(audio), round(n_inserted / n_frame), round(n_left_out / n_frame))


def _near(expected: bytes, at: int, message: bytes, audio: bytearray, fmt: AudioFormat) -> int:
    """Return where *message*, or at least what it holds before silence, follows but for silence; *at* if nowhere."""
    reach = MAX_SILENT_FRAMES * fmt.frame_bytes()
    heard = message[: len(message) - _trailing_silence(message, fmt)]
    # A silent message tells nothing of how far back it belongs.
    n_back = min(_trailing_silence(bytes(audio[-reach:]), fmt), at) if heard else 0
    last = at + _leading_quiet(expected[at : at + reach], fmt)
    for wanted in (message, heard) if heard else (message,):
        found = expected.find(wanted, at - n_back, last + len(wanted))
        while found >= 0 and (found - at) % fmt.bytes_per_sample:
            found = expected.find(wanted, found + 1, last + len(wanted))
        if found >= 0:
            return found
    return at


def _leading_quiet(audio: bytes, fmt: AudioFormat) -> int:
    """Return how many bytes at the start of *audio* no ear tells from silence."""
    loud = np.abs(sound.decode(audio, fmt).astype(np.int32)) > QUIET_PEAK
    n_samples = int(loud.argmax()) if loud.any() else len(loud)
    return n_samples * fmt.bytes_per_sample


def _common(expected: bytes, at: int, message: bytes, fmt: AudioFormat) -> int:
    """Return how many bytes of *message*, in whole samples, are those of *expected* from *at* on."""
    if expected.startswith(message, at):
        return len(message)
    wanted = expected[at : at + len(message)]
    n = next((i for i, (a, b) in enumerate(zip(wanted, message, strict=False)) if a != b), len(wanted))
    return n - n % fmt.bytes_per_sample


def _trailing_silence(audio: bytes, fmt: AudioFormat) -> int:
    """Return how many bytes at the end of *audio* are silent samples."""
    n = len(audio) - len(audio.rstrip(fmt.silence[:1]))
    return n - n % fmt.bytes_per_sample
