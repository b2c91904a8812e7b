"""Whatever a handler does, Vapi gets an answer that it can use, in time."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from vapimedia import Bridge, BridgeConfig, Call, ConfigError
from vapimedia.io.handlers import ASSISTANT_REQUEST_S, HANDLERS, Handlers, check_handler
from vapimedia.protocols.vapi import (
    CATALOGUE,
    AssistantReply,
    AssistantRequest,
    Document,
    EndpointingReply,
    Event,
    HandoffReply,
    KnowledgeBaseReply,
    NumberDestination,
    PhoneCallControl,
    PredialReply,
    Reply,
    TransferDestinationRequest,
    TransferReply,
    decode_reply,
    decode_server_message,
)

DATA = Path(__file__).parents[2] / "data" / "vapi"
GOOD: dict[str, Reply] = {
    "on_assistant_request": AssistantReply(assistant_id="asst_2"),
    "on_transfer": TransferReply(destination=NumberDestination(number="+15005550006")),
    "on_handoff": HandoffReply(destination={"type": "assistant", "assistantId": "asst_3"}),
    "on_knowledge_base": KnowledgeBaseReply(documents=[Document(content="d", similarity=0.5)]),
    "on_endpointing": EndpointingReply(timeout_seconds=0.3),
    "on_predial": PredialReply(eligible=True),
}
FALLBACKS = {
    "on_assistant_request": {"assistantId": "asst_1"},
    "on_transfer": {"error": "the call cannot be transferred now"},
    "on_handoff": {"destination": {}, "error": "the call cannot be handed over now"},
    "on_knowledge_base": {"documents": []},
    "on_endpointing": {"timeoutSeconds": 1.0},
    "on_predial": {"eligible": False},
}


def request_of(name: str) -> Event:
    request = decode_server_message((DATA / f"{HANDLERS[name].type}.json").read_bytes())
    assert isinstance(request, HANDLERS[name].struct)
    return request


class Answering:
    """Handlers, with what they counted and the answer of one."""

    def __init__(self, config: BridgeConfig) -> None:
        self.counts: Counter[str] = Counter()
        self.handlers = Handlers(config, lambda what: self.counts.update([what]))

    async def answer(self, name: str, function: Any = None, spent_s: float = 0.0) -> dict[str, Any]:
        if function is not None:
            self.handlers.add(name, function)
        try:
            body = await self.handlers.answer(None, request_of(name), spent_s)
        finally:
            self.handlers.close()
        decode_reply(HANDLERS[name].type, body)
        return json.loads(body)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("on_loop", [True, False])
async def test_an_answer_goes_out_as_it_was_given(name: str, on_loop: bool) -> None:
    seen: list[tuple[object, object, str]] = []

    def answer(call: Call | None, request: Any) -> Reply:
        seen.append((call, type(request), threading.current_thread().name))
        return GOOD[name]

    async def on_the_loop(call: Call | None, request: Any) -> Reply:
        return answer(call, request)

    patient = Answering(BridgeConfig())
    assert await patient.answer(name, on_the_loop if on_loop else answer) == json.loads(GOOD[name].encode())
    [(call, kind, thread)] = seen
    assert (call, kind) == (None, HANDLERS[name].struct)
    assert (thread == "MainThread") is on_loop and not patient.counts


async def slow(call: Call | None, request: Any) -> None:
    await asyncio.sleep(30)


async def breaks(call: Call | None, request: Any) -> None:
    raise ValueError("a secret word of the caller's")


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("function", "word"),
    [
        (None, "missing"),
        (slow, "late"),
        (lambda call, request: time.sleep(0.1), "late"),
        (breaks, "failed"),
        (lambda call, request: None, "wrong"),
        (lambda call, request: {"eligible": True}, "wrong"),
        (lambda call, request: Reply(), "wrong"),
    ],
    ids=["missing", "late", "late thread", "raises", "none", "dict", "another reply"],
)
async def test_who_gives_no_answer_is_answered_for_and_counted(
    name: str, function: Any, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    limit_s = 0.02 if word == "late" else 5.0
    one = Answering(
        BridgeConfig(assistant_id="asst_1", webhook_timeout_s=limit_s, endpointing_timeout_s=limit_s)
    )
    assert await one.answer(name, function) == FALLBACKS[name]
    assert one.counts == {f"{name}_{word}": 1}
    assert "secret word" not in caplog.text and name in caplog.text


async def test_without_an_assistant_of_its_own_the_caller_hears_why() -> None:
    config = BridgeConfig(assistant_request_error="Bitte rufen Sie später an.")
    assert await Answering(config).answer("on_assistant_request") == {"error": "Bitte rufen Sie später an."}


async def test_what_became_no_json_after_it_was_made_is_no_answer() -> None:
    assistant: dict[str, Any] = {"name": "a"}
    reply = AssistantReply(assistant=assistant)
    assistant["name"] = object()
    one = Answering(BridgeConfig(assistant_id="asst_1"))
    assert await one.answer("on_assistant_request", lambda call, request: reply) == {"assistantId": "asst_1"}
    assert one.counts == {"on_assistant_request_wrong": 1}


async def test_what_has_passed_counts_towards_the_deadline() -> None:
    called: list[int] = []
    one = Answering(BridgeConfig(assistant_id="asst_1"))
    late_s = ASSISTANT_REQUEST_S + 0.1
    assert await one.answer("on_assistant_request", lambda call, request: called.append(1), late_s) == {
        "assistantId": "asst_1"
    }
    assert called == [] and one.counts == {"on_assistant_request_late": 1}


@pytest.mark.parametrize(
    ("said", "acts", "counted"),
    [
        (None, True, {}),
        (True, True, {}),
        (False, False, {}),
        ("no", True, {"on_phone_call_control_wrong": 1}),
        (ValueError, True, {"on_phone_call_control_failed": 1}),
    ],
)
async def test_only_false_keeps_the_bridge_from_acting(
    said: Any, acts: bool, counted: dict[str, int]
) -> None:
    async def control(call: Call | None, request: PhoneCallControl) -> Any:
        if isinstance(said, type):
            raise said
        return said

    one = Answering(BridgeConfig())
    one.handlers.add("on_phone_call_control", control)
    assert await one.handlers.lets_act(None, PhoneCallControl()) is acts
    assert one.counts == counted


# --- registering -----------------------------------------------------------------------------------


class Object:
    async def __call__(self, call: Call | None, request: TransferDestinationRequest) -> TransferReply:
        return TransferReply(error="no")


def two_and_more(call: Call | None, request: TransferDestinationRequest, more: int = 1) -> TransferReply:
    return TransferReply(error="no")


@pytest.mark.parametrize(
    "function",
    [
        lambda call, request: None,
        lambda *args: None,
        Object(),
        two_and_more,
        functools.partial(two_and_more, more=2),
    ],
)
def test_what_can_be_called_with_call_and_request_is_a_handler(function: Any) -> None:
    bridge = Bridge()
    assert bridge.on_transfer(function) is function
    with pytest.raises(ConfigError, match="on_transfer is registered twice"):
        bridge.on_transfer(function)


def wrong_request(call: Call | None, request: AssistantRequest) -> TransferReply:
    return TransferReply(error="no")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: None, "takes a function of (call, request)"),
        (lambda request: None, "takes a function of (call, request)"),
        (lambda call, request, more: None, "takes a function of (call, request)"),
        (wrong_request, "hands over TransferDestinationRequest; wrong_request wants AssistantRequest"),
        ("on_transfer", "takes a function"),
    ],
)
def test_what_cannot_be_called_is_refused_in_one_sentence(function: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Bridge().on_transfer(function)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_the_decorators_are_those_of_the_catalogue() -> None:
    wanted = {entry.handler for entry in CATALOGUE if entry.handler}
    assert {name for name in wanted if not callable(getattr(Bridge, name, None))} == set()
    assert set(HANDLERS) == set(GOOD) | {"on_phone_call_control"}
    assert all(FALLBACKS[name] != {} for name in GOOD)


def test_a_handler_that_yields_is_refused_at_once() -> None:
    def generate(call: object, request: object) -> Iterator[None]:
        yield None

    async def stream(call: object, request: object) -> AsyncIterator[None]:
        yield None

    for wrong in (generate, stream):
        with pytest.raises(ConfigError, match="on_transfer takes a function that returns its answer"):
            check_handler("on_transfer", wrong, object)
    for register in (Bridge().tool("hours"), Bridge().on_event):
        for wrong in (generate, stream):
            with pytest.raises(ConfigError, match="takes a function that returns its answer"):
                register(wrong)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["on_call", "on_event", "on_fallback", *HANDLERS])
def test_a_decorator_with_brackets_says_how_it_is_written(name: str) -> None:
    with pytest.raises(ConfigError, match=f"write @bridge.{name} without brackets"):
        getattr(Bridge(), name)()
