"""What may be used once: names remembered until they expire anyway."""

from __future__ import annotations

import heapq
from typing import Literal, Protocol

import msgspec

from vapimedia.protocols.dialect import Refusal

__all__ = ["NotedUses", "OnceLedger", "SeenOnce", "Use", "Verdict", "refusal_of"]

Verdict = Literal["new", "used", "full"]


class OnceLedger(Protocol):
    """What uses a name up."""

    def spend(self, name: bytes, expires_s: float, now_s: float) -> Verdict:
        """Use *name* up, which is worth nothing from *expires_s* on (s since 1970). Only ``new`` ones count."""


class SeenOnce:
    """Remembers ids, at most *capacity*; when full it takes no more, lest a forgotten one be used again."""

    def __init__(self, *, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._used: set[bytes] = set()
        self._by_expiry: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._used)

    def spend(self, name: bytes, expires_s: float, now_s: float) -> Verdict:
        """Use *name* up, which is worth nothing from *expires_s* on (s since 1970). Only ``new`` ones count."""
        while self._by_expiry and self._by_expiry[0][0] <= now_s:
            self._used.discard(heapq.heappop(self._by_expiry)[1])
        if name in self._used:
            return "used"
        if len(self._used) >= self._capacity:
            return "full"
        self._used.add(name)
        heapq.heappush(self._by_expiry, (expires_s, name))
        return "new"


class Use(msgspec.Struct, frozen=True):
    """One name that is to be used up."""

    name: bytes
    expires_s: float


class NotedUses:
    """Takes everything for new and notes it in ``uses``: for whoever must ask another process, and wait for it."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def spend(self, name: bytes, expires_s: float, now_s: float) -> Verdict:
        """Note *name*."""
        del now_s
        self.uses.append(Use(name, expires_s))
        return "new"


def refusal_of(verdict: Verdict, what: str) -> Refusal | None:
    """Return why *what* is refused, ``None`` if it is new."""
    match verdict:
        case "used":
            return Refusal(403, f"the {what} was used before")
        case "full":
            return Refusal(503, f"too many {what}s came within their life")
    return None
