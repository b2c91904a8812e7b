"""Answers to ``tool-calls``: HTTP 200 always, one entry per call in Vapi's order, every string on one line.

Source: docs.vapi.ai (custom tools: response format) and its OpenAPI schema ``ToolCallResult``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["ToolResult", "encode_tool_results", "single_line"]

# Everything that str.splitlines() takes for a line end; CR LF counts as one.
_LINE_ENDS = re.compile("(?:\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029])+")
_UNWRITABLE = "the tool returned something that cannot be written as JSON"


class ToolResult(msgspec.Struct, frozen=True):
    """What one tool call came to: *result*, or *error* if that is set. ``repr`` shows neither."""

    tool_call_id: str
    name: str
    result: Any = None
    error: str | None = None

    def __repr__(self) -> str:
        state = "result" if self.error is None else "error"
        return f"ToolResult({self.name!r}, {state})"


def single_line(text: str) -> str:
    """Return *text* on one line: every run of line ends becomes a space. Vapi refuses more than one line."""
    return _LINE_ENDS.sub(" ", text).strip()


def encode_tool_results(results: Sequence[ToolResult]) -> bytes:
    """Return the body of the answer. Never raises: a result that is no JSON becomes an error entry.

    Strings go out as they are, on one line; anything else as compact JSON in a string.
    """
    return msgspec.json.encode({"results": [_entry(result) for result in results]})


def _entry(result: ToolResult) -> dict[str, str]:
    entry = {"name": _clean(result.name), "toolCallId": _clean(result.tool_call_id)}
    if result.error is not None:
        return entry | {"error": single_line(_clean(result.error)) or "the tool failed"}
    try:
        return entry | {"result": single_line(_stringify(result.result))}
    # What msgspec raises on an unknown type, a cycle, an integer over 64 bits, a lone surrogate.
    except (TypeError, ValueError, OverflowError, RecursionError):
        return entry | {"error": _UNWRITABLE}


def _stringify(value: Any) -> str:
    return _clean(value) if isinstance(value, str) else msgspec.json.encode(value).decode()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
