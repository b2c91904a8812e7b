"""Which worker has which call, by any name that a webhook may use."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Switchboard"]

_REMEMBERED_NAMES = 10_000


class Switchboard:
    """Names of live calls, and of the last ones that ended: their worker remembers what became of them."""

    def __init__(self) -> None:
        self._live: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def find(self, name: str) -> int | None:
        """Return the number of the worker that has, or had, the call *name*."""
        return self._live.get(name, self._old.get(name))

    def find_live(self, name: str) -> int | None:
        """Return the number of the worker where the call *name* lives."""
        return self._live.get(name)

    def add(self, worker: int, names: Iterable[str]) -> None:
        """A call of *worker* is known by *names*."""
        for name in names:
            self._old.pop(name, None)
            self._live[name] = worker

    def remove(self, names: Iterable[str]) -> None:
        """There is no such call."""
        for name in names:
            self._live.pop(name, None)

    def retire(self, worker: int, names: Iterable[str]) -> None:
        """A call of *worker* is over."""
        for name in names:
            if self._live.get(name) == worker:
                del self._live[name]
            self._old.pop(name, None)
            self._old[name] = worker
        while len(self._old) > _REMEMBERED_NAMES:
            del self._old[next(iter(self._old))]

    def first(self, worker: int, key: str) -> int:
        """Return the worker that was the first to ask with *key*: *worker* itself, unless another was."""
        first = self._first.setdefault(key, worker)
        if len(self._first) > _REMEMBERED_NAMES:
            del self._first[next(iter(self._first))]
        return first

    def forget(self, worker: int) -> None:
        """*worker* is gone, and with it what it knew."""
        self._live = {name: one for name, one in self._live.items() if one != worker}
        self._old = {name: one for name, one in self._old.items() if one != worker}
        self._first = {key: one for key, one in self._first.items() if one != worker}
