"""What can be made to go wrong on a phone's side: the switches, and what they do to the caller's media."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from random import Random

from vapimedia.errors import ConfigError
from vapimedia.testing.fault import Fault

__all__ = ["FaultyMedia", "PhoneFaults"]

_REORDER_SHARE = 0.1


@dataclass(frozen=True)
class PhoneFaults:
    """Faults of a fake phone call. Times count from the opening of the media socket.

    The start message comes ``late_start_s`` late, or with ``no_start`` never; media waits for it unless
    ``early_media``, where the start comes 0.2 s late at least. ``second_start_after_s`` sends it again.
    ``wrong_rate`` and ``wrong_encoding`` (in the provider's words) are what it tells in place of the truth.

    ``flood`` sends every media message that many times, from ``flood_after_s`` on. ``duplicate`` is the share of
    media messages that come twice. With ``reorder`` one in ten comes after that many of its successors. ``sizes``
    are drawn for the payloads, in bytes; ``odd_bytes`` makes them one byte more and one byte less than a frame, by
    turns.

    The caller hangs up ``hang_up_after_s``, and then ``stop_twice`` says so twice, with ``media_after_stop`` media
    messages in between. ``network`` is what the media socket suffers on its way, through a ``FaultProxy``.
    """

    late_start_s: float = 0.0
    no_start: bool = False
    early_media: bool = False
    second_start_after_s: float | None = None
    wrong_rate: int | None = None
    wrong_encoding: str | None = None
    flood: float = 1.0
    flood_after_s: float = 0.0
    duplicate: float = 0.0
    reorder: int = 0
    sizes: tuple[int, ...] = ()
    odd_bytes: bool = False
    hang_up_after_s: float | None = None
    stop_twice: bool = False
    media_after_stop: int = 0
    network: tuple[Fault, ...] = ()
    seed: int = 0

    def check(self, phone: str, lacks: frozenset[str]) -> None:
        """Raise ``ConfigError`` for values out of range, and for what a *phone* that *lacks* it cannot do wrong."""
        for one in fields(self):
            if one.name in lacks and getattr(self, one.name) != one.default:
                raise ConfigError(f"{phone} has no such thing to do wrong as PhoneFaults.{one.name}")
        if self.flood < 1:
            raise ConfigError(f"PhoneFaults.flood is a multiple of real time, 1 or more, not {self.flood!r}")
        if not 0 <= self.duplicate <= 1:
            raise ConfigError(f"PhoneFaults.duplicate is a share, 0 to 1, not {self.duplicate!r}")
        if self.reorder < 0 or any(size < 1 for size in self.sizes):
            raise ConfigError("PhoneFaults.reorder and sizes are whole numbers above 0")


class FaultyMedia:
    """Cut audio into payloads, and say which messages leave when: sans I/O, the same for the same seed.

    ``injected`` counts what was done, by the field's name.
    """

    def __init__(self, faults: PhoneFaults) -> None:
        self.injected: Counter[str] = Counter()
        self._faults = faults
        self._random = Random(faults.seed)  # noqa: S311  # reproducible on purpose
        self._audio = bytearray()
        self._is_longer = False
        self._owed = 0.0
        self._size: int | None = None
        self._late: str | bytes | None = None
        self._wait = 0

    @property
    def n_pending(self) -> int:
        """Bytes of audio that wait for their payload to be full."""
        return len(self._audio)

    def cut(self, audio: bytes) -> Iterator[bytes]:
        """Yield the payloads that are full now, *audio* being one as a well-behaved phone has it."""
        faults = self._faults
        if not faults.sizes and not faults.odd_bytes:
            yield audio
            return
        self._audio += audio
        while True:
            if self._size is None:
                self._is_longer = not self._is_longer
                odd = len(audio) + (1 if self._is_longer else -1)
                self._size = self._random.choice(faults.sizes) if faults.sizes else odd
            if len(self._audio) < self._size:
                return
            payload = bytes(self._audio[: self._size])
            del self._audio[: self._size]
            self._size = None
            self.injected["sizes" if faults.sizes else "odd_bytes"] += 1
            yield payload

    def copies(self, age_s: float) -> int:
        """Return how many messages one payload makes, *age_s* after the opening."""
        if self._faults.flood <= 1 or age_s < self._faults.flood_after_s:
            return 1
        self._owed += self._faults.flood
        n_copies = int(self._owed)
        self._owed -= n_copies
        self.injected["flood"] += n_copies - 1
        return n_copies

    def order(self, message: str | bytes) -> list[str | bytes]:
        """Return the messages that leave now that *message* is due."""
        faults = self._faults
        if faults.reorder and self._late is None and self._random.random() < _REORDER_SHARE:
            self._late, self._wait = message, faults.reorder
            self.injected["reorder"] += 1
            return []
        leaving = [message]
        if faults.duplicate and self._random.random() < faults.duplicate:
            self.injected["duplicate"] += 1
            leaving.append(message)
        if self._late is not None:
            self._wait -= 1
            if not self._wait:
                leaving.append(self._late)
                self._late = None
        return leaving

    def flush(self) -> list[str | bytes]:
        """Return the message that is held back, if there is one."""
        late, self._late = self._late, None
        return [] if late is None else [late]
