"""One fault, as an object and as it is spelled on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from vapimedia.errors import ConfigError

__all__ = [
    "NETWORK_KINDS",
    "PHONE_KINDS",
    "STOP_KINDS",
    "VAPI_KINDS",
    "Direction",
    "Fault",
    "Kind",
    "parse_fault",
]
__all__ += ["spellings"]

Direction = Literal["up", "down", "both"]


class Kind(NamedTuple):
    """How a kind of fault is spelled: an example, and what may stand behind the name.

    ``value`` is ``""`` where there is none, ``"seconds"``, ``"number"``, ``"count"``, ``"counts"`` or the words that
    may be given; ``optional`` says that it may be left out.
    """

    example: str
    value: str | tuple[str, ...] = ""
    optional: bool = False
    at: bool = False
    directed: bool = False


NETWORK_KINDS = {
    "latency": Kind("latency=40ms", "seconds", at=True, directed=True),
    "stall": Kind("stall=2s@5s", "seconds", optional=True, at=True, directed=True),
    "reset": Kind("reset@12s", at=True, directed=True),
    "half-open": Kind("half-open@10s", at=True),
    "cut": Kind("cut@8s", at=True),
    "slice": Kind("slice=1", "count", at=True, directed=True),
    "rate": Kind("rate=16000", "count", at=True, directed=True),
    "refuse": Kind("refuse"),
}
"""What a ``FaultProxy`` does; see the table in docs/testing.md."""

PHONE_KINDS = {
    "late-start": Kind("late-start=3s", "seconds"),
    "no-start": Kind("no-start"),
    "early-media": Kind("early-media"),
    "second-start": Kind("second-start@5s", at=True),
    "wrong-rate": Kind("wrong-rate=16000", "count"),
    "flood": Kind("flood=20@5s", "number", at=True),
    "duplicate": Kind("duplicate=0.05", "number"),
    "reorder": Kind("reorder=3", "count"),
    "sizes": Kind("sizes=118,25,2048", "counts"),
    "odd-bytes": Kind("odd-bytes"),
    "stop-reading": Kind("stop-reading=5s@10s", "seconds", optional=True, at=True),
    "hang-up": Kind("hang-up@5s", at=True),
}
"""What every fake phone does of its own."""

STOP_KINDS = {
    "stop-twice": Kind("stop-twice@5s", at=True),
    "media-after-stop": Kind("media-after-stop=5@5s", "count", at=True),
}
"""What a phone does whose provider says a stop."""

VAPI_KINDS = {
    "create": Kind("create=401|403|429|500|503|hang", ("401", "403", "429", "500", "503", "hang")),
    "create-slow": Kind("create-slow=3s", "seconds"),
    "retry-after": Kind("retry-after=2s", "seconds"),
    "webhook-slow": Kind("webhook-slow=2s", "seconds"),
    "late-socket": Kind("late-socket=3s", "seconds"),
    "upgrade": Kind("upgrade=403", "count"),
    "close": Kind("close=1011@8s", "count", at=True),
    "garbage": Kind("garbage"),
    "odd-bytes": Kind("odd-bytes"),
    "sizes": Kind("sizes=170,743", "counts"),
    "stop-reading": Kind("stop-reading=5s@10s", "seconds", optional=True, at=True),
}
"""What the fake Vapi does of its own."""

_SPELLING = re.compile(
    r"(?P<kind>[a-z-]+)(=(?P<value>[^@:]+))?(@(?P<at>[^@:]+))?(:(?P<direction>up|down|both))?"
)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_COUNTS = re.compile(r"[1-9]\d*(,[1-9]\d*)*")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    ``at_s`` counts from the opening of each connection. ``value`` is in seconds where it is a time. ``direction``
    is ``"up"`` (from who connected to whom it connected to), ``"down"`` or ``"both"``.
    """

    kind: str
    at_s: float = 0.0
    value: float | str | None = None
    direction: Direction = "both"

    @property
    def number(self) -> float:
        """``value`` as a number. Raises ``ConfigError`` where there is none."""
        if not isinstance(self.value, int | float):
            raise ConfigError(f"fault {self.kind!r} needs a number as its value, not {self.value!r}")
        return self.value

    def __str__(self) -> str:
        kind = NETWORK_KINDS.get(self.kind)
        value = ""
        if self.value is not None:
            unit = "s" if kind is not None and kind.value == "seconds" else ""
            value = f"={self.value:.15g}{unit}" if isinstance(self.value, int | float) else f"={self.value}"
        at = f"@{self.at_s:.15g}s" if self.at_s else ""
        return f"{self.kind}{value}{at}{'' if self.direction == 'both' else ':' + self.direction}"


def spellings(kinds: Iterable[Kind]) -> str:
    """Return examples of *kinds*, as a sentence may list them."""
    return ", ".join(kind.example for kind in kinds)


def parse_fault(text: str, kinds: dict[str, Kind] = NETWORK_KINDS) -> Fault:
    """Return the fault that is spelled ``kind=value@time:direction``: ``stall=2s@5s:down``.

    *kinds* are those that may be. Raises ``ConfigError`` with a list of the spellings.
    """
    found = _SPELLING.fullmatch(text.strip())
    kind = kinds.get(found["kind"]) if found is not None else None
    if found is None or kind is None:
        raise _wrong(text, kinds)
    if (
        (found["value"] is not None and not kind.value)
        or (found["value"] is None and kind.value and not kind.optional)
        or (found["at"] is not None and not kind.at)
        or (found["direction"] is not None and not kind.directed)
    ):
        raise _wrong(text, kinds)
    at_s = 0.0 if found["at"] is None else _seconds(found["at"])
    value = None if found["value"] is None else _value(found["value"], kind)
    if at_s is None or (found["value"] is not None and value is None):
        raise _wrong(text, kinds)
    direction: Direction = "both"
    if found["direction"] in ("up", "down"):
        direction = "up" if found["direction"] == "up" else "down"
    return Fault(found["kind"], at_s, value, direction)


def _value(text: str, kind: Kind) -> float | str | None:
    """Return what *text* stands for, ``None`` where it is not of the kind."""
    if kind.value == "seconds":
        return _seconds(text)
    if kind.value == "number":
        return float(text) if _NUMBER.fullmatch(text) and float(text) else None
    if kind.value == "count":
        return int(text) if text.isdecimal() and int(text) else None
    if kind.value == "counts":
        return text if _COUNTS.fullmatch(text) else None
    return text if text in kind.value else None


def _seconds(text: str) -> float | None:
    found = _SECONDS.fullmatch(text)
    return None if found is None else float(found[1]) / (1000 if found[2] == "ms" else 1)


def _wrong(text: str, kinds: dict[str, Kind]) -> ConfigError:
    directed = [name for name, kind in kinds.items() if kind.directed]
    more = f" ({', '.join(directed)} take :up or :down at the end)" if directed else ""
    return ConfigError(f"fault {text!r} is spelled wrong; there are {spellings(kinds.values())}{more}")
