"""What a session watches for: deadlines, silence of the provider, unreadable messages in a row."""

from __future__ import annotations

import msgspec

from vapimedia.media import MediaPath
from vapimedia.protocols.events import Problem
from vapimedia.session.events import EndReason

__all__ = ["NS_PER_MS", "BadStreak", "Deadlines", "Health", "is_unreadable"]

NS_PER_MS = 1_000_000
# Often enough to find an idle leg in time, rarely enough to cost nothing.
_CHECK_NS = 1_000_000_000

# Other problems are readable messages out of place: dropped, counted, and harmless in any number.
_UNREADABLE = frozenset({"invalid_json", "invalid_base64", "missing_field", "binary_message"})


def is_unreadable(problem: Problem) -> bool:
    """Return whether a problem means that the message could not be read."""
    return problem.reason in _UNREADABLE


class BadStreak(msgspec.Struct):
    """Counts unreadable messages in a row."""

    limit: int
    length: int = 0

    def good(self) -> None:
        """A message was readable."""
        self.length = 0

    def bad(self) -> bool:
        """A message was not; return whether the limit is reached."""
        self.length += 1
        return self.length >= self.limit


class Deadlines(msgspec.Struct):
    """Moments by which something must have happened. Each is named by the end that follows if it did not."""

    at_ns: dict[EndReason, int] = {}

    def arm(self, reason: EndReason, now_ns: int, after_ms: int) -> None:
        """Set a deadline; 0 ms means there is none."""
        if after_ms > 0:
            self.at_ns[reason] = now_ns + after_ms * NS_PER_MS

    def disarm(self, reason: EndReason) -> None:
        """It happened in time."""
        self.at_ns.pop(reason, None)

    def missed(self, now_ns: int) -> EndReason | None:
        """Return the earliest missed deadline."""
        missed = [(at_ns, reason) for reason, at_ns in self.at_ns.items() if at_ns <= now_ns]
        return min(missed)[1] if missed else None


class Health(msgspec.Struct):
    """The provider's leg after its start, looked at once a second.

    Media may bypass the session, so its figures are read from the path.
    """

    idle_ms: int
    max_bad: int
    heard_ns: int = 0
    next_check_ns: int | None = None
    n_messages: int = 0
    n_invalid: int = 0

    def start(self, now_ns: int) -> None:
        """The stream runs."""
        self.heard_ns = now_ns
        self.next_check_ns = now_ns + _CHECK_NS

    def check(self, path: MediaPath, now_ns: int) -> EndReason | None:
        """Return why the leg must end, or ``None``."""
        if self.next_check_ns is None or now_ns < self.next_check_ns:
            return None
        self.next_check_ns = now_ns + _CHECK_NS
        stats = path.stats(now_ns)
        n_messages = stats.messages_in + stats.foreign - self.n_messages
        n_invalid = stats.invalid - self.n_invalid
        self.n_messages += n_messages
        self.n_invalid += n_invalid
        if n_messages or n_invalid:
            self.heard_ns = now_ns
        if n_invalid >= self.max_bad and not n_messages:
            return "protocol_error"
        if self.idle_ms and now_ns - self.heard_ns >= self.idle_ms * NS_PER_MS:
            return "idle_timeout"
        return None
