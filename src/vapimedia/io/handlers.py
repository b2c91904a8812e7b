"""A user's handlers of what Vapi asks: one a type of request, and what is answered when it gives no answer.

Whatever a handler does, an answer that Vapi can use goes out before Vapi stops waiting.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from vapimedia.errors import ConfigError
from vapimedia.io.call_log import about
from vapimedia.io.config import BridgeConfig
from vapimedia.io.hooks import Call
from vapimedia.io.user_code import (
    FAILED,
    LateError,
    Runner,
    UserCodeError,
    check_answers,
    describe_failure,
    is_async,
)
from vapimedia.protocols.vapi import (
    CATALOGUE,
    AssistantReply,
    EndpointingReply,
    Event,
    HandoffReply,
    KnowledgeBaseReply,
    PhoneCallControl,
    PredialReply,
    Reply,
    TransferReply,
)

__all__ = ["ASSISTANT_REQUEST_S", "HANDLERS", "Handlers", "check_handler"]


ASSISTANT_REQUEST_S = 6.0
"""Vapi waits 7.5 s from end to end, which nothing can change; the rest is for the network."""
_TURN_ENDS_S = 1.0
"""What an endpointing request is answered with when nobody knows better."""

HANDLERS = {entry.handler: entry for entry in CATALOGUE if entry.handler not in ("", "on_event", "tool")}
"""What each decorator answers, by its name."""
_BY_TYPE = {entry.struct: entry for entry in HANDLERS.values()}


def _assistant(config: BridgeConfig) -> Reply:
    # A caller is better served by the usual assistant than by an apology.
    if config.assistant_id:
        return AssistantReply(assistant_id=config.assistant_id)
    return AssistantReply(error=config.assistant_request_error)


_FALLBACKS: Mapping[str, Callable[[BridgeConfig], Reply]] = {
    "on_assistant_request": _assistant,
    "on_transfer": lambda _: TransferReply(error="the call cannot be transferred now"),
    "on_handoff": lambda _: HandoffReply(error="the call cannot be handed over now"),
    "on_knowledge_base": lambda _: KnowledgeBaseReply(documents=[]),
    "on_endpointing": lambda _: EndpointingReply(timeout_seconds=_TURN_ENDS_S),
    "on_predial": lambda _: PredialReply(eligible=False),
}


class _Handler(NamedTuple):
    function: Callable[..., Any]
    on_loop: bool


class Handlers:
    """Handlers by the names of their decorators. Async ones run on the loop, others in a thread.

    One that is missing, late, raises or returns something else is counted as ``on_transfer_missing``, ``_late``,
    ``_failed`` or ``_wrong``.
    """

    def __init__(self, config: BridgeConfig, count: Callable[[str], None]) -> None:
        self.config = config
        self._count = count
        self._handlers: dict[str, _Handler] = {}
        self._runner = Runner("vapimedia-handler")

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Register *function* ``(call, request)``. Raises ``ConfigError`` if it cannot be called so."""
        if name in self._handlers:
            raise ConfigError(f"{name} is registered twice; one function answers all of these requests")
        check_handler(name, function, HANDLERS[name].struct)
        self._handlers[name] = _Handler(function, is_async(function))

    def has(self, request: Event) -> bool:
        """Return whether a function of the user's answers *request*."""
        return _BY_TYPE[type(request)].handler in self._handlers

    def wants(self, request: object) -> bool:
        """Return whether *request* is one that is answered here."""
        entry = _BY_TYPE.get(type(request))  # type: ignore[arg-type]
        return entry is not None and entry.reply is not None

    async def answer(self, call: Call | None, request: Event, spent_s: float = 0.0) -> bytes:
        """Return the body of the answer: the handler's, or in time the fallback. Never raises.

        *spent_s* is how long Vapi has waited already.
        """
        entry = _BY_TYPE[type(request)]
        name, wanted = entry.handler, entry.reply
        reply = await self._ask(name, call, request, spent_s)
        if isinstance(reply, wanted or Reply):
            try:
                return bytes(reply.encode())
            # A dict in it was changed after it was made: it holds something that is no JSON now.
            except (TypeError, ValueError, OverflowError, RecursionError):
                self._fault(call, name, "wrong", "returned an answer that cannot be written as JSON")
        elif reply is not FAILED:
            expected = wanted.__name__ if wanted is not None else "Reply"
            self._fault(
                call, name, "wrong", f"returned {_a(reply)}, not a vapimedia.protocols.vapi.{expected}"
            )
        return self.fallback(name)

    def fallback(self, name: str) -> bytes:
        """Return what is answered when the handler *name* gives no answer."""
        return _FALLBACKS[name](self.config).encode()

    def fallback_for(self, type: str) -> bytes | None:
        """Return what a message of *type* is answered with when nobody can read it; ``None`` if it wants no answer."""
        name = next((entry.handler for entry in HANDLERS.values() if entry.type == type), "")
        return self.fallback(name) if name in _FALLBACKS else None

    async def lets_act(self, call: Call | None, request: PhoneCallControl) -> bool:
        """Ask ``on_phone_call_control`` whether the bridge is to act; only ``False`` keeps it from doing so."""
        name = "on_phone_call_control"
        if name not in self._handlers:
            return True
        said = await self._ask(name, call, request, 0.0)
        if said is not FAILED and said is not None and not isinstance(said, bool):
            self._fault(call, name, "wrong", f"returned {_a(said)}, not None or False; the bridge acts")
        return said is not False

    async def _ask(self, name: str, call: Call | None, request: Event, spent_s: float) -> Any:
        handler = self._handlers.get(name)
        if handler is None:
            self._fault(call, name, "missing", "is not registered")
            return FAILED
        limit_s = self.limit_s(request)
        try:
            return await self._runner.run(
                handler.function, call, request, on_loop=handler.on_loop, deadline_s=limit_s - spent_s
            )
        except LateError:
            self._fault(call, name, "late", f"took longer than {limit_s:g} s")
        except UserCodeError as failure:
            self._fault(call, name, "failed", f"raised {describe_failure(failure.error)}")
        return FAILED

    def limit_s(self, request: Event) -> float:
        """Return how long the answer to *request* may take."""
        name = _BY_TYPE[type(request)].handler
        if name == "on_assistant_request":
            return min(ASSISTANT_REQUEST_S, self.config.webhook_timeout_s)
        return (
            self.config.endpointing_timeout_s if name == "on_endpointing" else self.config.webhook_timeout_s
        )

    def _fault(self, call: Call | None, name: str, what: str, told: str) -> None:
        self._count(f"{name}_{what}")
        log = about(call)
        (log.trouble if what == "missing" else log.fault)(f"{name}_{what}", "%s %s", name, told)

    def close(self) -> None:
        """Let go of the threads; functions that still run are not waited for."""
        self._runner.close()


def check_handler(name: str, function: Callable[..., Any], struct: type) -> None:
    """Raise ``ConfigError`` if *function* cannot be called with a call and a *struct*."""
    if not callable(function):
        raise ConfigError(f"{name} takes a function; write @bridge.{name} right above it, without brackets")
    parameters = check_answers(name, function, "(call, request)")
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # not known here, or an object that is called: it may still be right
        return
    wanted = hints.get(parameters[1].name) if len(parameters) > 1 else None
    # Any is a class too.
    if isinstance(wanted, type) and wanted is not Any and not issubclass(struct, wanted):
        called = getattr(function, "__name__", type(function).__name__)
        raise ConfigError(f"{name} hands over {struct.__name__}; {called} wants {wanted.__name__}")


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
