"""Vapi's webhooks over real sockets: who is let in, what is too long or broken, what comes again."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from scene import SECRET, Scene, running
from wire import connected, until

from vapimedia import Bridge, Call
from vapimedia.protocols.dialect import WebhookRequest
from vapimedia.protocols.vapi import ToolResult

URL = "/vapi/webhook"


async def post(scene: Scene, body: bytes, **headers: str) -> tuple[int, str]:
    answer = await scene.post(URL, body, {"X-Vapi-Secret": SECRET} | headers)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"message":', "$: "),
        (b"\xff\xfe", "$: "),
        (b"[]", "$: Expected object, got array"),
        (b'{"message":5}', "$.message: Expected object, got int"),
        (b'{"message":{"timestamp":1}}', "$.message: "),
        (b'{"message":{"type":"status-update","status":["canary"]}}', "$.message.status: Expected str"),
        (b'{"type":"status-update","status":["canary"]}', "$.status: Expected str"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_path_and_no_values(body: bytes, expected: str) -> None:
    async with running() as scene:
        status, told = await post(scene, body)
        assert status == 400 and told.startswith(expected) and "canary" not in told and told.count("\n") == 1
        assert scene.bridge.counters["vapi_webhook_malformed"] == 1


async def test_an_unknown_type_is_taken_told_and_counted() -> None:
    async with running() as scene:
        assert await post(scene, b'{"message":{"type":"brand.new","x":1}}') == (200, "{}")
        await until(lambda: scene.events)
        assert scene.events[0].type == "brand.new"
        assert scene.bridge.counters["vapi_webhook_unknown"] == 1


async def test_a_body_may_be_as_long_as_is_set(caplog: pytest.LogCaptureFixture) -> None:
    message = {"message": {"type": "end-of-call-report", "artifact": {"transcript": "x" * 17_000}}}
    body = json.dumps(message).encode()
    async with running(webhook_max_kib=16) as scene:
        assert (await post(scene, body))[0] == 413
        # Without a length only the bytes tell.
        chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        head = (
            f"POST {URL} HTTP/1.1\r\nHost: b\r\nX-Vapi-Secret: {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        async with connected(scene.bridge.port) as wire:
            wire.send(head.encode() + chunked)
            assert (await wire.answer()).status == 413
        assert scene.bridge.counters["vapi_webhook_too_long"] == 2
        assert caplog.text.count("refused with 413: the body is longer than webhook_max_kib = 16") == 2
    async with running(webhook_max_kib=2048) as scene:
        body = body.replace(b"x" * 17_000, b"x" * 1_500_000)
        assert await post(scene, body) == (200, "{}")


async def test_a_compressed_body_is_refused_as_it_is() -> None:
    async with running() as scene:
        bomb = gzip.compress(bytes(10 << 20))
        assert (await post(scene, bomb, **{"Content-Encoding": "gzip"}))[0] == 415
        assert (await post(scene, bomb))[0] == 400
        assert await post(scene, b'{"type":"hang"}', **{"Content-Encoding": "identity"}) == (200, "{}")


async def test_a_wrong_secret_is_refused_before_the_body_is_there() -> None:
    async with running() as scene:
        async with connected(scene.bridge.port) as wire:
            lines = f"POST {URL} HTTP/1.1", "Host: b", "X-Vapi-Secret: wrong", "Content-Length: 100"
            wire.send("\r\n".join((*lines, "", "")).encode())  # and no body
            assert (await wire.head()).status == 403
        assert scene.bridge.counters["vapi_webhook_refused"] == 1


async def test_a_signature_over_method_url_and_id_is_checked_with_the_settings() -> None:
    template = "{svix-id}.{timestamp}.{method}.{url}.{body}"
    body, stamp = b'{"message":{"type":"hang"}}', str(int(time.time() * 1000))
    signed = f"m1.{stamp}.POST.https://bridge.test{URL}.".encode() + body
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha512).hexdigest()
    headers = {"X-Sig": f"sig {signature}", "X-Timestamp": stamp, "webhook-id": "m1"}
    settings: dict[str, Any] = {
        "vapi_webhook_auth": "hmac",
        "vapi_webhook_algorithm": "sha512",
        "vapi_webhook_signature_header": "X-Sig",
        "vapi_webhook_signature_prefix": "sig ",
        "vapi_webhook_message_id_header": "Webhook-Id",
        "vapi_webhook_payload": template,
    }
    async with running(**settings) as scene:
        assert (await scene.post(URL, body, headers)).status == 200
        assert (await scene.post("/voice/vapi/tool", body, headers)).status == 403
        assert (await scene.post(URL, body, headers | {"webhook-id": "m2"})).status == 403
        assert (await scene.post(URL, body, {"X-Vapi-Secret": SECRET})).status == 403


async def test_a_delivery_that_comes_again_runs_nothing_again() -> None:
    runs: list[str] = []
    may_answer = asyncio.Event()

    def prepare(bridge: Bridge) -> None:
        @bridge.tool("book")
        async def book(call: Call | None, args: dict[str, Any]) -> str:
            runs.append("book")
            await may_answer.wait()
            return "table 4"

    call = {"id": "t1", "type": "function", "function": {"name": "book", "arguments": {}}}
    asking = {"type": "tool-calls", "toolCallList": [call], "call": {"id": "c1"}}
    telling = {"type": "hang", "timestamp": 1.0, "call": {"id": "c1"}}
    async with running(prepare=prepare) as scene:
        both = [asyncio.ensure_future(scene.vapi_webhook(asking)) for _ in range(2)]
        await until(lambda: scene.bridge.counters["webhook_repeated"] == 1)
        may_answer.set()
        answers = [*await asyncio.gather(*both), await scene.vapi_webhook(asking)]
        assert len({answer.body for answer in answers}) == 1 and runs == ["book"]
        for _ in range(3):
            assert (await scene.vapi_webhook(telling)).body == b"{}"
        await until(lambda: scene.bridge.counters["webhook_repeated"] == 4)
        assert len(scene.events) == 1


async def test_vapi_does_not_wait_for_a_callback() -> None:
    told: list[object] = []
    async with running(
        prepare=lambda bridge: bridge.on_event(lambda call, event: told.append(event))
    ) as scene:
        webhook = WebhookRequest("POST", URL, {}, b'{"message":{"type":"hang"}}')
        assert (await scene.bridge.clerk.server_url.run(webhook, 0.0)).status == 200
        assert told == []
        await until(lambda: told)


async def test_a_tool_may_not_answer_for_another_tool_call() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.tool("own")
        async def own(call: Call | None, args: dict[str, Any]) -> ToolResult:
            return ToolResult(args["id"], "own", result="a\nb")

    def entry(id_: str) -> dict[str, Any]:
        return {"id": "t1", "function": {"name": "own", "arguments": {"id": id_}}}

    async with running(prepare=prepare) as scene:
        for id_, expected in (
            ("t1", {"result": "a b"}),
            ("t2", {"error": "the tool answered another tool call"}),
        ):
            answer = await scene.vapi_webhook({"type": "tool-calls", "toolCallList": [entry(id_)]})
            assert json.loads(answer.body) == {"results": [{"name": "own", "toolCallId": "t1"} | expected]}
        assert scene.bridge.counters["tool_foreign_result"] == 1


async def test_a_request_that_cannot_be_read_is_answered_all_the_same_and_logged_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(assistant_id="asst_9") as scene:
        broken = {"toolCallList": [{"id": "t1", "name": 5}]}
        for message, expected in (
            ({"type": "assistant-request", "timestamp": []}, {"assistantId": "asst_9"}),
            ({"type": "campaign.predial", "campaignId": 5}, {"eligible": False}),
            (
                {"type": "tool-calls"} | broken,
                {"results": [], "error": "$.message.toolCallList[0].name: Expected str | null, got int"},
            ),
        ):
            answer = await scene.vapi_webhook(message)
            assert (answer.status, json.loads(answer.body)) == (200, expected)
        assert scene.bridge.counters["vapi_webhook_malformed"] == 3
        refused = await scene.vapi_webhook({"type": "status-update", "status": ["canary"]})
        assert refused.status == 400
    assert "assistant-request cannot be read ($.message.timestamp: " in caplog.text
    assert caplog.text.count("; answered with the fallback") == 3
    assert "status-update cannot be read ($.message.status: Expected str" in caplog.text
    assert caplog.text.count("refused with 400") == 1 and "canary" not in caplog.text
