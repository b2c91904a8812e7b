"""CustomEndpointing and CustomKnowledgeBase: an answer that Vapi can use, in time, whatever the function does."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from endpoint_here import served

from vapimedia import (
    ConfigError,
    Conversation,
    CustomEndpointing,
    CustomKnowledgeBase,
    CustomTranscriber,
    CustomVoice,
)
from vapimedia.io.endpoints import base
from vapimedia.protocols.vapi import (
    CallEndpointingRequest,
    Document,
    KnowledgeBaseReply,
    KnowledgeBaseRequest,
    WebhookSecrets,
    decode_server_message,
)
from vapimedia.testing.vapi_requests import ask_endpointing, ask_knowledge_base

DATA = Path(__file__).parents[2] / "data" / "vapi"
TALK = [
    ("system", "Be brief."),
    ("user", "Hi."),
    ("assistant", "Hello."),
    ("user", "Are you"),
    ("user", "open"),
]


def returning(value: Any) -> Callable[[Conversation], Any]:
    async def function(conversation: Conversation) -> Any:
        return value

    return function


async def fail(conversation: Conversation) -> Any:
    raise ValueError(conversation.last_user_text)


async def hang(conversation: Conversation) -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize("name", ["call.endpointing.request", "knowledge-base-request"])
def test_a_conversation_is_read_in_either_form(name: str) -> None:
    body = json.loads((DATA / f"{name}.json").read_bytes())
    expected = [("system", "Be brief."), ("assistant", "Hello, bridge here."), ("user", "Is the store open?")]
    for left_out in (None, "messages", "messagesOpenAIFormatted"):
        body["message"].pop(left_out, None)
        request = decode_server_message(json.dumps(body))
        assert isinstance(request, CallEndpointingRequest | KnowledgeBaseRequest)
        conversation = Conversation.of(request)
        assert [(said.role, said.content) for said in conversation.messages] == (
            [] if left_out == "messagesOpenAIFormatted" else expected
        )
        assert conversation.call_id == body["message"]["call"]["id"]
    assert repr(conversation) == "Conversation(0 messages)"


def test_a_message_may_have_its_text_as_content() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "bot", "message": "Hello"}, {"role": 7}]
    for type_ in ("call.endpointing.request", "knowledge-base-request"):
        request = decode_server_message(json.dumps({"message": {"type": type_, "messages": messages}}))
        assert isinstance(request, CallEndpointingRequest | KnowledgeBaseRequest)
        said = Conversation.of(request).messages
        assert [(one.role, one.content) for one in said] == [("user", "Hi"), ("assistant", "Hello")]


async def test_messages_that_nobody_can_read_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = CustomEndpointing(returning(1), secret="s")
    async with served(endpoint) as url, aiohttp.ClientSession(headers={"X-Vapi-Secret": "s"}) as http:
        for messages in ([{"speaker": "user", "text": "card number"}], [], None, ["card number"]):
            message = {"type": "call.endpointing.request", "messages": messages}
            async with http.post(url, json={"message": message}) as answer:
                assert answer.status == 200
    assert endpoint.counts == {"unread_messages": 2}
    assert "conversation is empty" in caplog.text and "card" not in caplog.text


async def test_the_functions_answer_reaches_vapi() -> None:
    seen = []

    def decide(conversation: Conversation) -> float:
        seen.append((threading.current_thread() is threading.main_thread(), conversation.last_user_text))
        return 1.5

    async with served(CustomEndpointing(decide, secret="s")) as url:
        answer = await ask_endpointing(url, TALK, secret="s")
        assert (answer.violations, answer.timeout_seconds) == ([], 1.5)
        assert (await ask_endpointing(url, TALK, secret="wrong")).status == 403
    assert seen == [(False, "Are you open")]
    document = Document(content="Open 9-18.", similarity=0.9, uuid="doc-1")
    async with served(CustomKnowledgeBase(returning([document]), secret="s")) as url:
        found = await ask_knowledge_base(url, TALK, secret="s")
    recorded = json.loads((DATA / "response.knowledge-base-request.documents.json").read_bytes())
    assert (found.violations, {"documents": found.documents}) == ([], recorded)
    reply = KnowledgeBaseReply(message="We are closed.")
    async with served(CustomKnowledgeBase(returning(reply), secret="s")) as url:
        assert (await ask_knowledge_base(url, TALK, secret="s")).message == "We are closed."


@pytest.mark.parametrize(
    "function", [fail, hang, returning("soon"), returning(15.1), returning(float("nan"))]
)
async def test_endpointing_falls_back_in_time(
    function: Callable[[Conversation], Any], caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = CustomEndpointing(function, secret="s", default_s=0.7, deadline_s=0.02)
    async with served(endpoint) as url:
        answer = await ask_endpointing(url, TALK, secret="s")
    assert (answer.violations, answer.timeout_seconds) == ([], 0.7)
    assert sum(endpoint.counts.values()) == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "open" not in caplog.text


@pytest.mark.parametrize(
    "function",
    [
        fail,
        hang,
        returning(None),
        returning("text"),
        returning([Document(content="", similarity=float("inf"))]),
    ],
)
async def test_a_knowledge_base_falls_back_to_no_documents_in_time(
    function: Callable[[Conversation], Any], caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = CustomKnowledgeBase(function, secret="s", deadline_s=0.02)
    async with served(endpoint) as url:
        answer = await ask_knowledge_base(url, TALK, secret="s")
    assert (answer.violations, answer.documents, answer.message) == ([], [], None)
    assert sum(endpoint.counts.values()) == 1
    assert "open" not in caplog.text


async def test_a_newer_request_about_a_call_cancels_the_older() -> None:
    begun = asyncio.Queue[str]()

    async def decide(conversation: Conversation) -> float:
        begun.put_nowait(conversation.last_user_text)
        if conversation.last_user_text == "Are":
            await asyncio.Event().wait()
        return 1.0

    endpoint = CustomEndpointing(decide, secret="s", default_s=0.3)
    async with served(endpoint) as url:
        older = asyncio.create_task(ask_endpointing(url, [("user", "Are")], secret="s"))
        assert await begun.get() == "Are"
        other = await ask_endpointing(url, [("user", "Are you")], secret="s", call_id="another")
        assert (other.timeout_seconds, endpoint.counts["superseded"]) == (1.0, 0)
        newer = await ask_endpointing(url, [("user", "Are you")], secret="s")
        assert (newer.timeout_seconds, (await older).timeout_seconds) == (1.0, 0.3)
    assert endpoint.counts["superseded"] == 1


async def test_bodies_that_are_none_of_ours_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_BODY_BYTES", 1000)
    endpoint = CustomKnowledgeBase(fail, secret=None)
    async with served(endpoint) as url, aiohttp.ClientSession() as http:
        for body, status in ((b"[", 400), (b'{"message":{"type":"hang"}}', 200), (bytes(1001), 413)):
            async with http.post(url, data=body) as answer:
                assert answer.status == status
        async with http.post(url, data=b"abc", headers={"Content-Encoding": "gzip"}) as answer:
            assert answer.status == 415
    assert endpoint.counts == {"malformed": 1, "other_type": 1, "http_413": 1, "http_415": 1}


async def test_a_signature_may_cover_body_method_and_url() -> None:
    secrets = WebhookSecrets(hmac_secret="k", payload_format="{timestamp}.{method}.{url}.{body}")
    with pytest.raises(ConfigError, match="covers the URL"):
        CustomEndpointing(fail, secret=secrets)
    body = (DATA / "call.endpointing.request.json").read_bytes()
    signed = f"{int(time.time())}.POST.https://example.com/wait.".encode()
    headers = {"x-timestamp": signed.partition(b".")[0].decode()}
    endpoint = CustomEndpointing(returning(1), secret=secrets, url="https://example.com/wait")
    async with served(endpoint) as url, aiohttp.ClientSession() as http:
        for payload, status in ((signed + body, 200), (signed + b"{}", 403)):
            headers["x-signature"] = hmac.digest(b"k", payload, "sha256").hex()
            async with http.post(url, data=body, headers=headers) as answer:
                assert answer.status == status


async def test_an_empty_secret_opens_nothing() -> None:
    async with served(CustomEndpointing(returning(1), secret="")) as url:
        for secret in ("", None):
            assert (await ask_endpointing(url, TALK, secret=secret)).status == 403


def test_a_default_that_vapi_would_refuse_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        CustomEndpointing(fail, secret="s", default_s=16)


async def test_the_log_tells_how_seconds_are_wrong(caplog: pytest.LogCaptureFixture) -> None:
    for value in (99, "soon", 10**400):
        async with served(CustomEndpointing(returning(value), secret="s")) as url:
            await ask_endpointing(url, TALK, secret="s")
    assert "returned 99, which is outside 0..15" in caplog.text
    assert "returned str, which is no number" in caplog.text
    assert "returned a number far outside 0..15" in caplog.text


async def stream(given: object) -> AsyncIterator[bytes]:
    yield b""


def generate(given: object) -> Iterator[bytes]:
    yield b""


@pytest.mark.parametrize("kind", [CustomKnowledgeBase, CustomEndpointing, CustomVoice, CustomTranscriber])
@pytest.mark.parametrize("wrong", [5, None, lambda: None, lambda one, two: None, generate])
def test_a_function_that_cannot_answer_is_refused_at_once(kind: Any, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{kind.__name__} takes a"):
        kind(wrong, secret="s")


def test_only_media_may_be_yielded() -> None:
    for refuses in (CustomKnowledgeBase, CustomEndpointing):
        with pytest.raises(ConfigError, match="stream yields"):
            refuses(stream, secret="s")  # type: ignore[arg-type]
    CustomVoice(stream, secret="s")
