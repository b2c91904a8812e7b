"""What a user registers with a bridge: callbacks, tools, and handlers of what Vapi asks."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from vapimedia.errors import ConfigError, StateError
from vapimedia.io.config import BridgeConfig
from vapimedia.io.handlers import Handlers
from vapimedia.io.hooks import Call
from vapimedia.io.reception import OnCall, OnFallback
from vapimedia.io.tools import ToolBox, ToolFunction
from vapimedia.io.user_code import check_answers, is_async
from vapimedia.protocols.vapi import (
    AssistantReply,
    AssistantRequest,
    CallEndpointingRequest,
    CampaignPredial,
    EndpointingReply,
    HandoffDestinationRequest,
    HandoffReply,
    KnowledgeBaseReply,
    KnowledgeBaseRequest,
    PhoneCallControl,
    PredialReply,
    TransferDestinationRequest,
    TransferReply,
)

__all__ = ["OnEvent", "Registry"]

OnEvent = Callable[[Call | None, Any], object]
OnAssistantRequest = Callable[[Call | None, AssistantRequest], AssistantReply | Awaitable[AssistantReply]]
OnTransfer = Callable[[Call | None, TransferDestinationRequest], TransferReply | Awaitable[TransferReply]]
OnHandoff = Callable[[Call | None, HandoffDestinationRequest], HandoffReply | Awaitable[HandoffReply]]
OnKnowledgeBase = Callable[
    [Call | None, KnowledgeBaseRequest], KnowledgeBaseReply | Awaitable[KnowledgeBaseReply]
]
OnEndpointing = Callable[
    [Call | None, CallEndpointingRequest], EndpointingReply | Awaitable[EndpointingReply]
]
OnPredial = Callable[[Call | None, CampaignPredial], PredialReply | Awaitable[PredialReply]]
OnPhoneCallControl = Callable[[Call | None, PhoneCallControl], bool | Awaitable[bool | None] | None]
_F = TypeVar("_F", bound=Callable[..., Any])
_Registering = TypeVar("_Registering", bound=Callable[..., Any])


def _bare(register: _Registering) -> _Registering:
    """Have the decorator *register* say how it is written where it is called with nothing, as ``@bridge.on_call()``."""

    @functools.wraps(register)
    def checked(self: Registry, *given: Any, **named: Any) -> Any:
        if not given and not named:
            raise ConfigError(f"write @bridge.{register.__name__} without brackets")
        return register(self, *given, **named)

    return typing.cast(_Registering, checked)


class Registry:
    """The decorators of a ``Bridge``. Everything but ``on_event`` is registered before it starts."""

    def __init__(self, config: BridgeConfig, count: Callable[[str], None]) -> None:
        self.tools = ToolBox(config.tool_timeout_s, count)
        self.handlers = Handlers(config, count)
        self._on_call: OnCall | None = None
        self._on_event: OnEvent | None = None
        self._watchers: list[OnEvent] = []
        self._on_fallback: OnFallback | None = None
        self._is_started = False

    @_bare
    def on_call(self, function: OnCall) -> OnCall:
        """Decorator: an async function ``(info)`` that chooses how a call is answered, or rejects it.

        The caller waits for it, 10 s at most; after that, or if it raises, the call is hung up.
        """
        self._check_not_started("on_call")
        if not is_async(inspect.unwrap(function)):
            raise ConfigError("on_call takes an async function: write async def")
        self._on_call = function
        return function

    @_bare
    def on_event(self, function: OnEvent) -> OnEvent:
        """Decorator: a plain function ``(call, event)`` that sees every event; it must return at once.

        ``event`` is one of ``vapimedia.session.CallEvent``, or a webhook's message from Vapi that wants no answer or
        has no handler; ``call`` is ``None`` for a message about a call that is not (any more) here. If it raises, the
        call ends with 1011 on both legs, unless ``on_callback_error`` is ``continue``.
        """
        if is_async(function):
            raise ConfigError("on_event takes a plain function; start a task in it for what must be awaited")
        check_answers("on_event", function, "(call, event)")
        self._on_event = function
        return function

    @_bare
    def on_fallback(self, function: OnFallback) -> OnFallback:
        """Decorator: an async function ``(info, status)`` that says what a caller gets whose media socket is lost.

        It returns a document in the provider's words (Vonage: a list of NCCO actions), or ``None`` to let the
        provider go on. ``status`` is the provider's word: ``unanswered``, ``failed``, ``disconnected``.
        """
        self._check_not_started("on_fallback")
        if not is_async(inspect.unwrap(function)):
            raise ConfigError("on_fallback takes an async function: write async def")
        self._on_fallback = function
        return function

    def watch(self, function: OnEvent) -> None:
        """Have *function* see every event too, before the one of ``on_event``. For programs around a user's bridge."""
        self._watchers.append(function)

    def tool(self, name: str) -> Callable[[ToolFunction], ToolFunction]:
        """Decorator: a function ``(call, args)`` that answers the tool *name*; plain ones run in a thread.

        ``args`` is what its annotation says, a msgspec Struct (checked) or a dict. ``call`` is ``None`` when
        Vapi asks about a call that is not (any more) here.
        """
        self._check_not_started("tools")
        if not isinstance(name, str):
            raise ConfigError('a tool needs a name: write @bridge.tool("name")')

        def register(function: ToolFunction) -> ToolFunction:
            self.tools.add(name, function)
            return function

        return register

    # Handlers take (call, request) and return a reply; async ones run on the loop, plain ones in a thread. One that
    # is late, raises or returns something else is answered for: docs/webhooks.md has the fallback of each.

    @_bare
    def on_assistant_request(self, function: OnAssistantRequest) -> OnAssistantRequest:
        """Decorator: which assistant takes a call of a number at Vapi? Returns ``AssistantReply``, within 6 s."""
        return self._add("on_assistant_request", function)

    @_bare
    def on_transfer(self, function: OnTransfer) -> OnTransfer:
        """Decorator: where is a call transferred to? Returns ``TransferReply``."""
        return self._add("on_transfer", function)

    @_bare
    def on_handoff(self, function: OnHandoff) -> OnHandoff:
        """Decorator: which assistant takes over? Returns ``HandoffReply``."""
        return self._add("on_handoff", function)

    @_bare
    def on_knowledge_base(self, function: OnKnowledgeBase) -> OnKnowledgeBase:
        """Decorator: which documents belong to a conversation? Returns ``KnowledgeBaseReply``."""
        return self._add("on_knowledge_base", function)

    @_bare
    def on_endpointing(self, function: OnEndpointing) -> OnEndpointing:
        """Decorator: when is the caller's turn over? Returns ``EndpointingReply``, within ``endpointing_timeout_s``."""
        return self._add("on_endpointing", function)

    @_bare
    def on_predial(self, function: OnPredial) -> OnPredial:
        """Decorator: may a campaign call this contact? Returns ``PredialReply``."""
        return self._add("on_predial", function)

    @_bare
    def on_phone_call_control(self, function: OnPhoneCallControl) -> OnPhoneCallControl:
        """Decorator: Vapi wants the phone leg forwarded or hung up. Returns ``False`` if the bridge is not to do it."""
        return self._add("on_phone_call_control", function)

    def _add(self, name: str, function: _F) -> _F:
        self._check_not_started(name)
        self.handlers.add(name, function)
        return function

    def _check_not_started(self, what: str) -> None:
        if self._is_started:
            raise StateError(f"the bridge has started; register {what} before")
