"""The end of a call that the assistant ended: what it has already said is still heard."""

from __future__ import annotations

import msgspec

from vapimedia.session.watch import NS_PER_MS

__all__ = ["Goodbye"]

# The provider plays behind our ledger by the network's delay; its last mark tells the true end. How long to
# wait for a mark that does not come.
_TAIL_NS = 500 * NS_PER_MS
_POLL_NS = 20 * NS_PER_MS


class Goodbye(msgspec.Struct):
    """Decides when all was heard: by the last mark, else by the clock, at the latest at ``deadline_ns``."""

    detail: str
    deadline_ns: int
    last_mark: str | None = None
    is_marked: bool = False
    drained_ns: int | None = None
    next_ns: int = 0

    def is_over(self, queued_ms: float, outstanding: dict[str, int], now_ns: int) -> bool:
        """Return whether the caller has heard everything, and set ``next_ns`` to when to ask again."""
        if now_ns >= self.deadline_ns or (self.last_mark is not None and self.last_mark not in outstanding):
            return True
        if queued_ms > 0:
            # The figure may be short by a frame that is not sent yet.
            self.drained_ns = None
            wait_ns = max(int(queued_ms * NS_PER_MS), _POLL_NS)
            self.next_ns = min(now_ns + (wait_ns if self.is_marked else _POLL_NS), self.deadline_ns)
            return False
        if self.last_mark is None:
            return True
        if self.drained_ns is None:
            self.drained_ns = now_ns
        self.next_ns = min(self.drained_ns + _TAIL_NS, self.deadline_ns)
        return now_ns >= self.drained_ns + _TAIL_NS
