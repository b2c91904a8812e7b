"""FakeVapi's webhooks: proof, retries, spellings, subscriptions, and the judge of what is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from vapimedia.protocols.vapi import WebhookSecrets, check_webhook_secret
from vapimedia.testing import (
    AssistantScript,
    Backoff,
    BearerAuth,
    Callee,
    EndCall,
    FakeVapi,
    HmacAuth,
    Say,
    SecretAuth,
    WaitForSilence,
)
from vapimedia.testing.vapi_shapes import reply_problems
from vapimedia.testing.vapi_webhooks import server_of

DATA = Path(__file__).parents[2] / "data" / "vapi"
BODY = {"assistantId": "a", "phoneNumberId": "p", "customer": {"number": "+15005550006"}}


class Server:
    """Answers in turn with *replies*: a status, or a document with status 200."""

    def __init__(self) -> None:
        self.replies: list[int | Any] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        reply = self.replies.pop(0) if self.replies else {}
        return web.Response(status=reply) if isinstance(reply, int) else web.json_response(reply)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server, app = Server(), web.Application()
    app.router.add_post("/hook", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_a_failed_webhook_is_sent_again_with_the_same_body() -> None:
    async with serving() as server, FakeVapi(server_url=server.url, server_secret="s") as vapi:
        server.replies = [500, 503, {}]
        post = await vapi.post({"type": "hang"}, retries=3)
        assert (post.statuses, post.problems) == ([500, 503, 200], [])
        assert len({body for _, body in server.got}) == 1
        assert {headers["X-Vapi-Secret"] for headers, _ in server.got} == {"s"}
        server.replies = [500, 400, {}]
        post = await vapi.post(
            {"type": "hang"}, retries=Backoff(max_retries=3, base_delay_s=0, excluded=(400,))
        )
        assert (post.statuses, post.problems) == ([500, 400], ["HTTP status 400"])
        assert vapi.webhooks[-1] is post


def test_an_exponential_backoff_doubles_and_a_fixed_one_stays() -> None:
    plan = {"type": "exponential", "maxRetries": 3, "baseDelaySeconds": 0.5, "excludedStatusCodes": [404]}
    doubling = Backoff.of(plan)
    assert [doubling.delay_s(attempt) for attempt in (1, 2, 3)] == [0.5, 1, 2]
    assert (doubling.max_retries, doubling.excluded) == (3, (404,))
    assert Backoff(base_delay_s=0.5).delay_s(3) == 0.5


async def test_no_answer_is_recorded() -> None:
    vapi = FakeVapi(server_url="http://127.0.0.1:9/hook")
    async with vapi:
        post = await vapi.post({"type": "hang"}, timeout_s=1)
    assert (post.status, post.problems) == (0, ["connection refused by 127.0.0.1:9"])


URL = "https://bridge.example.com/vapi/webhook"


_64 = "c2VjcmV0"  # "secret"


@pytest.mark.parametrize(
    ("auth", "secrets"),
    [
        (SecretAuth("s"), WebhookSecrets(secret="s")),
        (BearerAuth("s"), WebhookSecrets(bearer="s")),
        (
            BearerAuth("s", "X-Key", prefix=False),
            WebhookSecrets(bearer="s", bearer_header="x-key", bearer_prefix=""),
        ),
        (HmacAuth("s"), WebhookSecrets(hmac_secret="s")),
        (HmacAuth("s", timestamp_unit="ms"), WebhookSecrets(hmac_secret="s")),
        (HmacAuth("s", timestamp_unit="iso"), WebhookSecrets(hmac_secret="s")),
        (
            HmacAuth(_64, "sha512", encoding="base64", secret_is_base64=True, signature_prefix="v1="),
            WebhookSecrets(
                hmac_secret=_64,
                algorithm="sha512",
                encoding="base64",
                hmac_secret_is_base64=True,
                signature_prefix="v1=",
            ),
        ),
        (
            HmacAuth("s", "sha1", include_timestamp=False),
            WebhookSecrets(
                hmac_secret="s", algorithm="sha1", include_timestamp=False, payload_format="{body}"
            ),
        ),
        (
            HmacAuth(
                "s", message_id_header="svix-id", payload_format="{svix-id}|{method}|{url}|{timestamp}|{body}"
            ),
            WebhookSecrets(hmac_secret="s", payload_format="{svix-id}|{method}|{url}|{timestamp}|{body}"),
        ),
    ],
)
def test_every_proof_is_believed_by_the_product_and_no_other_is(auth: Any, secrets: WebhookSecrets) -> None:
    body, now_s = b'{"message":{"text":"{timestamp}"}}', time.time()
    headers = {name.lower(): value for name, value in auth.headers(body, URL).items()}
    assert check_webhook_secret(headers, body, secrets, now_s, url=URL) is None
    other = type(auth)(
        **(vars(auth) | ({"token": "b3RoZXI="} if "token" in vars(auth) else {"secret": "b3RoZXI="}))
    )
    headers = {name.lower(): value for name, value in other.headers(body, URL).items()}
    assert check_webhook_secret(headers, body, secrets, now_s, url=URL) is not None


async def test_a_requests_server_overrides_where_and_how_webhooks_go() -> None:
    credentials = {"cred": HmacAuth("s")}
    quick = Callee(caller=(), ring_s=0.0)
    async with (
        serving() as server,
        FakeVapi(server_secret="other", credentials=credentials, callee=quick) as vapi,
    ):
        plan = {"type": "fixed", "maxRetries": 1, "baseDelaySeconds": 0}
        about = {"url": server.url, "credentialId": "cred", "backoffPlan": plan, "headers": {"X-Mine": "1"}}
        call = await vapi.place_call(assistantOverrides={"server": about, "serverMessages": ["hang"]})
        server.replies = [500]
        post = await call.ask({"type": "hang"})
        assert post.statuses == [500, 200]
        headers = server.got[0][0]
        assert "x-signature" in headers and headers["X-Mine"] == "1" and "X-Vapi-Secret" not in headers
        message = json.loads(server.got[0][1])["message"]
        assert message["call"]["id"] == call.id and message["customer"] == BODY["customer"]
        assert set(message["artifact"]) == {"messages", "messagesOpenAIFormatted", "transcript"}
        await call.connected()
        await call.end()
        await call.ended()
        assert {post.type for post in call.webhooks} == {"hang"}  # nothing else was subscribed to


async def test_a_turn_of_the_caller_waits_for_the_custom_endpointing_and_its_own_server() -> None:
    callee = Callee(caller=(Say("ask_sunday"),), ring_s=0.0)
    script = AssistantScript((WaitForSilence("ask_sunday"), EndCall()))
    async with serving() as server, FakeVapi(callee=callee, assistant=script, speed=10) as vapi:
        server.replies = [{"timeoutSeconds": 0.5}]
        plan = {"provider": "custom-endpointing-model", "server": {"url": server.url}}
        overrides = {"startSpeakingPlan": {"smartEndpointingPlan": plan}}
        call = await (await vapi.place_call(assistantOverrides=overrides)).ended(10)
        (post,) = call.webhooks  # there is no other server
    assert (post.type, post.problems, call.step_timeouts) == ("call.endpointing.request", [], 0)
    assert post.message["messagesOpenAIFormatted"] == [
        {"role": "user", "content": "Sorry, what about Sunday?"}
    ]


def test_a_tools_own_server_comes_before_the_assistants() -> None:
    own = {"function": {"name": "b"}, "server": {"url": "own"}}
    settings = {"server": {"url": "usual"}, "model": {"tools": [{"function": {"name": "a"}}, own]}}
    for name, url in (("a", "usual"), ("b", "own"), ("c", "usual")):
        message = {"type": "tool-calls", "toolCallList": [{"id": "1", "name": name}]}
        assert server_of(message, settings.get)["url"] == url
    assert server_of({"type": "hang"}, {}.get) == {}


async def test_closing_ends_calls_in_every_state() -> None:
    async with FakeVapi() as vapi:
        ringing = await vapi.place_call()
        while ringing.status == "queued":
            await asyncio.sleep(0.01)
        queued = await vapi.place_call()
        planned = await vapi.place_call(schedulePlan={"earliestAt": "2030-01-01T00:00:00Z"})
    assert [one.status for one in (ringing, queued, planned)] == ["ended", "ended", "scheduled"]


@pytest.mark.parametrize("spelling", ["function", "arguments", "parameters"])
async def test_several_tools_in_one_message_are_judged_in_their_order(spelling: Any) -> None:
    async with serving() as server, FakeVapi(server_url=server.url) as vapi:
        call = await vapi.place_call()

        async def asked(*order: int) -> list[list[str]]:
            before = len(call.tool_calls)
            ids = [f"call_{vapi_ids[at]}" for at in order]
            server.replies = [{"results": [{"toolCallId": one, "result": "x"} for one in ids]}]
            tools = await call.request_tools([("a", {"n": 1}), ("b", {})], spelling=spelling)
            assert call.tool_calls[before:] == tools
            return [tool.problems for tool in tools]

        state = call.random.getstate()
        for order, is_right in (((0, 1), True), ((1, 0), False), ((0,), False)):
            call.random.setstate(state)
            vapi_ids = [f"{call.random.getrandbits(48):012x}" for _ in range(2)]
            call.random.setstate(state)
            problems = await asked(*order)
            assert (problems == [[], []]) is is_right, problems
        first = json.loads(server.got[-1][1])["message"]["toolCallList"][0]
        assert ("function" in first) == (spelling == "function") and "id" in first


RIGHT = {
    name: json.loads((DATA / f"response.{name}.json").read_bytes())
    for name in (path.name[len("response.") : -len(".json")] for path in DATA.glob("response.*.json"))
    if not name.startswith("tool-calls")
}


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_every_documented_reply_is_accepted(name: str) -> None:
    kinds = ("assistant-request", "knowledge-base-request")
    kind = next((one for one in kinds if name.startswith(one)), name)
    assert reply_problems(kind, 200, json.dumps(RIGHT[name])) == []


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("assistant-request", {}),
        ("assistant-request", {"assistantId": "a", "squadId": "s"}),
        ("assistant-request", {"assistant": "a"}),
        ("assistant-request", {"assistantId": "a", "assistantOverrides": []}),
        ("assistant-request", {"assistantId": "a", "error": 1}),  # an error comes before all else
        ("assistant-request", {"assistantId": "a", "destination": {"type": "number", "number": "1"}}),
        ("transfer-destination-request", {}),
        ("transfer-destination-request", {"destination": {"type": "number", "number": "0800"}}),
        (
            "transfer-destination-request",
            {"destination": {"type": "sip", "sipUri": "sip:a@b"}, "message": {"type": "x", "content": ""}},
        ),
        ("handoff-destination-request", {"result": "x"}),
        ("handoff-destination-request", {"destination": {"type": "assistant"}}),
        ("knowledge-base-request", {"documents": [{"content": "x"}]}),
        ("knowledge-base-request", {"message": "x"}),
        ("call.endpointing.request", {"timeoutSeconds": 16}),
        ("call.endpointing.request", {"timeoutSeconds": True}),
        ("campaign.predial", {"eligible": "yes"}),
        ("campaign.predial", []),
    ],
)
def test_a_reply_that_vapi_would_not_take_is_a_problem(kind: str, reply: Any) -> None:
    assert len(reply_problems(kind, 200, json.dumps(reply))) == 1


async def test_questions_without_a_call_are_asked_too() -> None:
    async with serving() as server, FakeVapi(server_url=server.url) as vapi:
        server.replies = [{"assistantId": "a"}, {"eligible": True}]
        assert (await vapi.request_assistant()).problems == []
        assert (await vapi.request_predial("+15005550001")).problems == []
        first, second = (json.loads(body)["message"] for _, body in server.got)
        assert (first["call"]["type"], second["contact"]["number"]) == ("inboundPhoneCall", "+15005550001")
        call = await vapi.place_call()
        server.replies = [{"timeoutSeconds": 1}, {"documents": []}, {}, {}, {}]
        posts = [
            await call.request_endpointing("Are you open?"),
            await call.request_knowledge("When?"),
            await call.request_transfer(),
            await call.request_handoff({"why": "billing"}),
            await call.request_phone_call_control("hang-up"),
        ]
        assert [len(post.problems) for post in posts] == [0, 0, 1, 1, 0]
        assert posts[0].message["messages"][-1]["message"] == "Are you open?"
