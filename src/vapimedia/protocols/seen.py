"""What may be used once: a bounded memory of ids until they expire anyway."""

from __future__ import annotations

import heapq
from typing import Literal

__all__ = ["SeenOnce"]


class SeenOnce:
    """Remembers ids, at most *capacity*; when full it takes no more, lest a forgotten one be used again."""

    def __init__(self, *, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._used: set[bytes] = set()
        self._by_expiry: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._used)

    def spend(self, name: bytes, expires_s: float, now_s: float) -> Literal["new", "used", "full"]:
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
