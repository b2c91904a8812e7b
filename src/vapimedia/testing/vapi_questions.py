"""Everything Vapi asks a server during a call, one method a question."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Literal

from vapimedia.testing.vapi_messages import Conversation, ToolSpelling, as_subscribed, tool_calls_message
from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost, judge_tool_replies

__all__ = ["Questions"]


class Questions(ABC):
    """The questions of a call; whoever mixes it in knows where they go."""

    random: Random
    conversation: Conversation
    tool_calls: list[ToolCall]
    client_messages: frozenset[str]

    @abstractmethod
    async def ask(self, message: dict[str, Any], timeout_s: float | None = None) -> WebhookPost:
        """Post any server message about this call."""

    @abstractmethod
    async def send_event(self, event: dict[str, Any]) -> None:
        """Send an event on the call socket."""

    async def request_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        spelling: ToolSpelling = "function",
        timeout_s: float | None = None,
    ) -> ToolCall:
        """Call a tool and judge the reply."""
        (tool,) = await self.request_tools([(name, arguments or {})], spelling=spelling, timeout_s=timeout_s)
        return tool

    async def request_tools(
        self,
        asked: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        spelling: ToolSpelling = "function",
        timeout_s: float | None = None,
    ) -> list[ToolCall]:
        """Call several tools in one message, on the socket and by webhook, and judge the reply."""
        tools = [
            ToolCall(f"call_{self.random.getrandbits(48):012x}", name, dict(arguments))
            for name, arguments in asked
        ]
        self.tool_calls += tools
        message = tool_calls_message(tools, spelling)
        if as_subscribed(message, self.client_messages):
            await self.send_event(message)
        post = await self.ask(message, timeout_s)
        if not post.statuses:
            for tool in tools:
                tool.problems += post.problems
        else:
            judge_tool_replies(tools, post)
        return tools

    async def request_transfer(self, *, timeout_s: float | None = None) -> WebhookPost:
        """Ask where the call goes: ``transfer-destination-request``."""
        return await self.ask({"type": "transfer-destination-request"}, timeout_s)

    async def request_handoff(
        self, parameters: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> WebhookPost:
        """Ask which assistant takes over: ``handoff-destination-request``."""
        message = {"type": "handoff-destination-request", "parameters": dict(parameters or {})}
        return await self.ask(message, timeout_s)

    async def request_knowledge(
        self, question: str | None = None, *, timeout_s: float | None = None
    ) -> WebhookPost:
        """Ask for documents: ``knowledge-base-request`` with the conversation and the caller's *question*."""
        return await self.ask({"type": "knowledge-base-request", **self._history(question)}, timeout_s)

    async def request_endpointing(
        self, text: str | None = None, *, timeout_s: float | None = None
    ) -> WebhookPost:
        """Ask how long to wait after the caller's *text*: ``call.endpointing.request``."""
        return await self.ask({"type": "call.endpointing.request", **self._history(text)}, timeout_s)

    async def request_phone_call_control(
        self,
        request: Literal["forward", "hang-up"],
        destination: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> WebhookPost:
        """Tell the server to act on the phone leg itself: ``phone-call-control``."""
        message: dict[str, Any] = {"type": "phone-call-control", "request": request}
        if destination is not None:
            message["destination"] = dict(destination)
        return await self.ask(message, timeout_s)

    def _history(self, user: str | None) -> dict[str, Any]:
        if user is None:
            return self.conversation.history()
        asked = Conversation(
            self.conversation.begun_ms, [*self.conversation.messages], [*self.conversation.formatted]
        )
        asked.add("user", user)
        return asked.history()
