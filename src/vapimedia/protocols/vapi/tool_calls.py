"""The assistant wants tools called. Three spellings of one thing are read alike.

Source: OpenAPI schema ``ToolCall``; docs.vapi.ai (custom tools; server events), which spell it differently.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.vapi._json import NO_JSON, Part, read_part, read_text
from vapimedia.protocols.vapi.event import Event

__all__ = ["FunctionCall", "ToolCall", "ToolCalls", "ToolCallsResult"]


class ToolCall(msgspec.Struct, frozen=True):
    """One call of a tool. ``id`` goes back exactly as it came. ``raw_arguments`` is JSON, as it came."""

    id: str
    name: str
    raw_arguments: bytes = b""

    def arguments(self) -> dict[str, Any] | str:
        """Return the arguments as a dict, whether they came as an object or as a string that holds one.

        A string that holds no JSON object is returned as it is; missing arguments are an empty dict.
        """
        try:
            value = msgspec.json.decode(self.raw_arguments or b"{}")
            inner = msgspec.json.decode(value or "{}") if isinstance(value, str) else value
        except BROKEN:
            return read_text(self.raw_arguments)
        if isinstance(inner, dict):
            return inner
        if value is None:
            return {}
        return value if isinstance(value, str) else self.raw_arguments.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"ToolCall(id={self.id!r}, name={self.name!r})"


_NOTHING = (b"", b"null")


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = NO_JSON
    parameters: msgspec.Raw = NO_JSON


class _Call(msgspec.Struct):
    """All three spellings of a tool call: in ``function``, or flat with ``arguments`` or ``parameters``."""

    id: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = NO_JSON
    parameters: msgspec.Raw = NO_JSON
    function: _Function | None = None

    def read(self, name: str | None = None, arguments: bytes = b"") -> ToolCall:
        """Return the call; *name* and *arguments* stand in for what it does not say itself."""
        inner = self.function or _Function()
        found = map(bytes, (inner.arguments, inner.parameters, self.arguments, self.parameters))
        raw = next((value for value in found if value not in _NOTHING), arguments)
        return ToolCall(self.id or "", inner.name or self.name or name or "", raw)


class _Server(msgspec.Struct, rename="camel"):
    timeout_seconds: int | float | None = None


class _ToolWithCall(msgspec.Struct, rename="camel"):
    name: str | None = None
    function: _Function | None = None
    tool_call: _Call | None = None
    server_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="server")

    server = Part[_Server]("server_json", _Server)

    def read(self) -> ToolCall | None:
        tool = self.function.name if self.function is not None else None
        return self.tool_call.read(self.name or tool) if self.tool_call is not None else None


_call_list = msgspec.json.Decoder(list[_Call] | None)
_tool_list = msgspec.json.Decoder(list[_ToolWithCall] | None)


class ToolCalls(Event, frozen=True, tag="tool-calls"):
    """The assistant wants tools called. The answer goes over the webhook, never over the socket.

    Both lists are checked when the message is decoded: a call that cannot be read is a wrong field.
    """

    tool_call_list_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="toolCallList")
    tool_with_tool_call_list_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="toolWithToolCallList")

    def __post_init__(self) -> None:
        super().__post_init__()
        _read_list(_call_list, self.tool_call_list_json, "toolCallList")
        _read_list(_tool_list, self.tool_with_tool_call_list_json, "toolWithToolCallList")

    @property
    def calls(self) -> list[ToolCall]:
        """The calls in Vapi's order, whichever of the three spellings they came in."""
        tools = _read_list(_tool_list, self.tool_with_tool_call_list_json, "toolWithToolCallList")
        paired = [call for call in (tool.read() for tool in tools) if call]
        plain = _read_list(_call_list, self.tool_call_list_json, "toolCallList")
        if not plain:
            return paired
        by_id = {call.id: (call.name, call.raw_arguments) for call in paired}
        return [call.read(*by_id.get(call.id or "", ())) for call in plain]

    @property
    def timeout_s(self) -> float | None:
        """How long Vapi waits for the answer, if it says so: the least of what the tools' servers are given."""
        tools = _read_list(_tool_list, self.tool_with_tool_call_list_json, "toolWithToolCallList")
        given = [tool.server.timeout_seconds for tool in tools if tool.server is not None]
        return min((float(limit) for limit in given if limit is not None and limit > 0), default=None)


class ToolCallsResult(Event, frozen=True, tag="tool-calls-result"):
    """What a tool returned, told to the clients."""

    tool_call_result_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="toolCallResult")

    tool_call_result = Part[dict[str, Any]]("tool_call_result_json", dict[str, Any])


class FunctionCall(Event, frozen=True, tag="function-call"):
    """The predecessor of ``tool-calls``. It has no id; the answer is ``{"result": ...}``."""

    function_call_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="functionCall")

    function_call = Part[_Function]("function_call_json", _Function)

    @property
    def calls(self) -> list[ToolCall]:
        """The call, with an empty id."""
        made = self.function_call
        return [_Call(function=made).read()] if made is not None else []


def _read_list(decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw, field: str) -> list[Any]:
    return read_part(decoder, raw, field) or [] if bytes(raw) else []
