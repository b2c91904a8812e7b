"""Answers to ``tool-calls``: HTTP 200 always, one entry per call in Vapi's order, every string on one line.

Source: docs.vapi.ai (custom tools: response format) and its OpenAPI schema ``ToolCallResult``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from vapimedia.errors import StateError
from vapimedia.protocols.vapi.tool_calls import ToolCall

__all__ = [
    "ToolCallsReply",
    "ToolResult",
    "as_written",
    "encode_function_result",
    "encode_tool_results",
    "match_results",
    "single_line",
]

# Everything that str.splitlines() takes for a line end; CR LF counts as one.
_LINE_ENDS = re.compile("(?:\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029])+")
_UNWRITABLE = "the tool returned something that cannot be written as JSON"
# What msgspec raises on an unknown type, a cycle, an integer over 64 bits, a lone surrogate.
_NO_JSON = (TypeError, ValueError, OverflowError, RecursionError)


class ToolResult(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What one tool call came to: *result*, or *error* if that is set. ``repr`` shows neither.

    *message* is what the assistant says about it (``type`` is ``request-complete`` or ``request-failed``);
    *metadata* goes along into the call's messages.
    """

    tool_call_id: str
    name: str = ""
    result: Any = None
    error: str | None = None
    message: Any = None
    metadata: dict[str, Any] | None = None

    def __repr__(self) -> str:
        state = "result" if self.error is None else "error"
        return f"ToolResult({self.name!r}, {state})"


class ToolCallsReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole answer. *error* instead of results says that all of it failed."""

    results: list[ToolResult] | None = None
    error: str | None = None

    def encode(self) -> bytes:
        """Return the body. Never raises."""
        if self.results is None and self.error is not None:
            return msgspec.json.encode({"error": single_line(_clean(self.error))})
        return encode_tool_results(self.results or [])

    def __repr__(self) -> str:
        return f"ToolCallsReply({len(self.results or [])} results)"


def single_line(text: str) -> str:
    """Return *text* on one line: every run of line ends becomes a space. Vapi refuses more than one line."""
    return _LINE_ENDS.sub(" ", text).strip()


def encode_tool_results(results: Sequence[ToolResult], *, wanted: Sequence[ToolCall] | None = None) -> bytes:
    """Return the body of the answer. A result that is no JSON becomes an error entry.

    Strings go out as they are, on one line; anything else as compact JSON in a string. With *wanted*, the calls
    that were asked for, see ``match_results``; without it nothing is raised.
    """
    if wanted is not None:
        results = match_results(results, wanted)
    return msgspec.json.encode({"results": [_entry(result) for result in results]})


def encode_function_result(result: ToolResult) -> bytes:
    """Return the body of the answer to the legacy ``function-call``. An error is told as the result. Never raises."""
    entry = _entry(result)
    return msgspec.json.encode({"result": entry.get("result", entry.get("error"))})


def as_written(result: ToolResult) -> ToolResult | None:
    """Return *result* with its parts as JSON already, so that they are encoded once; ``None`` if one is no JSON."""
    parts: dict[str, Any] = {}
    try:
        for name, value in (("message", result.message), ("metadata", result.metadata)):
            if value is not None:
                parts[name] = msgspec.Raw(msgspec.json.encode(value))
        if result.error is None:
            parts["result"] = _stringify(result.result)
    except _NO_JSON:
        return None
    return msgspec.structs.replace(result, **parts)


def match_results(results: Sequence[ToolResult], wanted: Sequence[ToolCall]) -> list[ToolResult]:
    """Return one result for each of *wanted*, in that order; a missing one is an error entry.

    Raises ``StateError`` for a ``tool_call_id`` that was not asked for, or is answered twice: Vapi would drop it.
    """
    asked = Counter(call.id for call in wanted)
    by_id: dict[str, list[ToolResult]] = {}
    for result in results:
        by_id.setdefault(result.tool_call_id, []).append(result)
    for id_, given in by_id.items():
        if len(given) > asked[id_]:
            what = "is answered twice" if asked[id_] else "was not asked for"
            raise StateError(f"the tool call {id_[:64]!r} {what}; a result carries the id of its call")
    missing = "the tool gave no result"
    return [
        by_id[call.id].pop(0) if by_id.get(call.id) else ToolResult(call.id, call.name, error=missing)
        for call in wanted
    ]


def _entry(result: ToolResult) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": _clean(result.name)} if result.name else {}
    entry["toolCallId"] = _clean(result.tool_call_id)
    try:
        for name, value in (("message", result.message), ("metadata", result.metadata)):
            if value is not None:
                entry[name] = msgspec.Raw(msgspec.json.encode(value))
        if result.error is None:
            return entry | {"result": single_line(_stringify(result.result))}
    except _NO_JSON:
        return entry | {"error": single_line(_clean(result.error or "")) or _UNWRITABLE}
    return entry | {"error": single_line(_clean(result.error)) or "the tool failed"}


def _stringify(value: Any) -> str:
    return _clean(value) if isinstance(value, str) else msgspec.json.encode(value).decode()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
