"""Calls that run: found by id, record or URL, told things once, and ended; over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from vapimedia import AudioFormat, CallOver, ConcurrencyBlocked, ConfigError, VapiClient, VapiError
from vapimedia.io import live_control, vapi_client, vapi_requests
from vapimedia.io.call_lookup import listen_url_of
from vapimedia.protocols.vapi import (
    CreateCall,
    CreatedCall,
    CreatePhoneCall,
    Customer,
    SipTransportMessage,
    decode_call,
)

KEY, PUBLIC = "sk-canary-5f3a", "pk-canary-77b1"
PHONE = CreatePhoneCall(
    assistant_id="a", phone_number_id="p", customer=Customer(number="+15005550006", name="Ann")
)


class Api:
    """One call, ``c1``. ``statuses`` answer what comes next; ``record`` is the call; its control URL is ours."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.record: dict[str, Any] = {"status": "in-progress"}
        self.later: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.told: list[tuple[dict[str, str], Any]] = []
        self.farewells: list[str] = []
        self.has_control = True

    def call(self) -> dict[str, Any]:
        monitor = {
            "controlUrl": f"<{self.url}/c1/control>",
            "listenUrl": f"{self.url.replace('http', 'ws')}/c1/listen",
        }
        socket = {
            "provider": "vapi.websocket",
            "websocketCallUrl": f"{self.url.replace('http', 'ws')}/c1/transport",
        }
        call = {"id": "c1", "monitor": monitor, "transport": socket} | self.record
        if not self.has_control:
            del call["monitor"]
        return call

    def _planned(self) -> web.Response | None:
        status = self.statuses.pop(0) if self.statuses else 200
        return None if status == 200 else web.json_response({"message": f"no {KEY}"}, status=status)

    async def api(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        if request.method == "POST":
            self.told.append((dict(request.headers), await request.json()))
            return self._planned() or web.json_response(self.call(), status=201)
        answer = self._planned() or web.json_response(
            [self.call()] if request.path == "/call" else self.call()
        )
        self.record |= self.later.pop(0) if self.later else {}
        return answer

    async def control(self, request: web.Request) -> web.StreamResponse:
        self.told.append((dict(request.headers), await request.json()))
        return self._planned() or web.Response(status=204)

    async def transport(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            self.farewells.append(message.data)
        return ws


@asynccontextmanager
async def served(public_key: str = "") -> AsyncIterator[tuple[Api, VapiClient]]:
    api, app = Api(), web.Application()
    app.router.add_route("*", "/call", api.api)
    app.router.add_route("*", "/call/{id}", api.api)
    app.router.add_post("/c1/control", api.control)
    app.router.add_get("/c1/transport", api.transport)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with VapiClient(KEY, base_url=api.url, public_key=public_key) as client:
            yield api, client
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vapi_requests, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(vapi_client, "_SETTLE_PAUSES_S", (0.001,) * 5)


# --- calls ------------------------------------------------------------------------------------------------


async def test_a_phone_call_is_asked_for_and_known_by_its_monitor_urls() -> None:
    async with served() as (api, client):
        call = await client.create_call(PHONE)
        await client.control(call.id).say("Hi.")
        assert await listen_url_of(client, call.id) == call.listen_url
        assert api.asked == ["POST /call"]  # the id alone costs no request
        assert api.told[0][1] == json.loads(PHONE.body())
        assert api.told[1][1] == {"type": "say", "content": "Hi."}


async def test_an_account_at_its_limit_is_an_error_with_figures_and_the_call() -> None:
    async with served() as (api, client):
        limits = {"concurrencyBlocked": True, "concurrencyLimit": 10, "remainingConcurrentCalls": 0}
        api.record["subscriptionLimits"] = limits
        with pytest.raises(ConcurrencyBlocked) as caught:
            await client.create_call(CreateCall(format=AudioFormat("mulaw", 8000), assistant_id="a"))
        assert (caught.value.limit, caught.value.remaining, caught.value.call.id) == (10, 0, "c1")


async def test_calls_are_listed_by_filters_in_vapis_words() -> None:
    async with served() as (api, client):
        since = datetime(2027, 1, 1, tzinfo=UTC)
        calls = await client.list_calls(limit=5, assistant_id="a", created_at_gt=since, updated_at_le="2027")
        assert [call.id for call in calls] == ["c1"]
        assert api.asked == [
            "GET /call?limit=5&assistantId=a&createdAtGt=2027-01-01T00:00:00%2B00:00&updatedAtLe=2027"
        ]
        for wrong in ({"made_at": "x"}, {"created_at_gt": datetime(2027, 1, 1)}):
            with pytest.raises(ConfigError):
                await client.list_calls(**wrong)


@pytest.mark.parametrize(("statuses", "n_asked"), [([429, 500], 3), ([504], 2), ([404], 1), ([401], 1)])
async def test_reading_is_repeated_where_it_may_help(statuses: list[int], n_asked: int) -> None:
    async with served() as (api, client):
        api.statuses = list(statuses)
        if n_asked > len(statuses):
            assert (await client.get_call("c1")).id == "c1"
        else:
            with pytest.raises(VapiError) as caught:
                await client.get_call("c1")
            assert caught.value.status == statuses[0]
            assert KEY not in str(caught.value)
        assert len(api.asked) == n_asked


@pytest.mark.parametrize(
    "call_id", ["", "a/b", "../assistant", "?limit=9", "+15005550006", ".", "a" * 65, "wss://h/1"]
)
async def test_what_is_no_id_is_never_asked_for(call_id: str) -> None:
    async with served() as (api, client):
        with pytest.raises(ConfigError) as caught:
            await client.get_call(call_id)
        assert api.asked == []
        assert "5550006" not in str(caught.value)


async def test_a_call_is_settled_once_reason_and_cost_are_there_and_polled_a_bounded_time() -> None:
    async with served() as (api, client):
        api.later = [{"status": "ended"}, {"endedReason": "customer-ended-call", "cost": 0}, {"cost": 0.07}]
        record = await client.settled_call("c1")
        assert (record.is_settled, record.ended_reason, record.cost) == (True, "customer-ended-call", 0.07)
        assert len(api.asked) == 4
        api.record["cost"] = 0
        api.statuses = [200, 404]  # one question in between fails for good
        assert not (await client.settled_call("c1")).is_settled
        assert len(api.asked) == 4 + 6


# --- control ----------------------------------------------------------------------------------------------


async def test_every_control_reaches_the_call_as_documented() -> None:
    async with served(PUBLIC) as (api, client):
        control = client.control(f"{api.url}/c1/control")
        await control.say("Hi.", end_call_after_spoken=True, interrupt_assistant_enabled=True)
        await control.add_message("system", "VIP", trigger_response=False)
        await control.append_context("thinking", "VIP")
        await control.mute_assistant()
        await control.unmute_assistant()
        await control.mute_customer()
        await control.unmute_customer()
        await control.say_first_message()
        await control.transfer("+15005550006", "Connecting.")
        await control.handoff("b")
        await control.send_transport_message(SipTransportMessage(sip_verb="INFO", body="dtmf=5"))
        await control.end_call()
        assert [body for _, body in api.told] == [
            {"type": "say", "content": "Hi.", "endCallAfterSpoken": True, "interruptAssistantEnabled": True},
            {
                "type": "add-message",
                "message": {"role": "system", "content": "VIP"},
                "triggerResponseEnabled": False,
            },
            {"type": "append-context", "kind": "thinking", "content": "VIP"},
            {"type": "control", "control": "mute-assistant"},
            {"type": "control", "control": "unmute-assistant"},
            {"type": "control", "control": "mute-customer"},
            {"type": "control", "control": "unmute-customer"},
            {"type": "control", "control": "say-first-message"},
            {
                "type": "transfer",
                "destination": {"type": "number", "number": "+15005550006"},
                "content": "Connecting.",
            },
            {"type": "handoff", "destination": {"type": "assistant", "assistantId": "b"}},
            {
                "type": "send-transport-message",
                "message": {"transport": "vapi.sip", "sipVerb": "INFO", "body": "dtmf=5"},
            },
            {"type": "end-call"},
        ]
        assert {headers["Authorization"] for headers, _ in api.told} == {f"Bearer {PUBLIC}"}
        assert api.asked == [] and repr(control) == "LiveControl()"


async def test_the_private_key_never_goes_to_a_control_url() -> None:
    async with served() as (api, client):
        await client.control("c1").mute_assistant()
        assert "Authorization" not in api.told[0][0]
        assert api.asked == ["GET /call/c1"]


@pytest.mark.parametrize(
    ("statuses", "kind", "n_told"),
    [
        ([404], CallOver, 1),
        ([410], CallOver, 1),
        ([500], VapiError, 1),  # it may have been heard
        ([504], VapiError, 1),
        ([429, 429], VapiError, 2),
        ([302], VapiError, 1),
    ],
)
async def test_nothing_is_said_twice(statuses: list[int], kind: type[VapiError], n_told: int) -> None:
    async with served() as (api, client):
        api.statuses = [200, *statuses]  # the first answers GET
        with pytest.raises(kind) as caught:
            await client.control("c1").say("Hi.")
        assert (caught.value.status, len(api.told)) == (statuses[0], n_told)


async def test_a_call_that_wants_the_public_key_is_told_from_others() -> None:
    async with served() as (api, client):
        api.statuses = [200, 401]
        with pytest.raises(VapiError, match="public_key"):
            await client.control("c1").say("Hi.")


def _with(**fields: Any) -> Callable[[Api], None]:
    return lambda api: api.record.update(fields)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (_with(status="ended", endedReason="silence-timed-out"), CallOver, "over: silence-timed-out"),
        (_with(monitor=None), VapiError, "no controlUrl; .*controlEnabled"),
        (_with(monitor={"controlUrl": "https://canary.example/1/control"}), VapiError, "not an allowed host"),
        (_with(monitor={"controlUrl": "http://169.254.169.254/canary"}), VapiError, "neither wss nor https"),
    ],
)
async def test_a_call_that_cannot_be_controlled_says_why_and_is_told_nothing(
    change: Callable[[Api], None], error: type[VapiError], said: str
) -> None:
    async with served() as (api, client):
        change(api)
        with pytest.raises(error, match=said) as caught:
            await client.control("c1").say("Hi.")
        assert "/canary" not in str(caught.value) and api.told == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("wss://x.vapi.ai/c1/listen", "listenUrl"),
        ("wss://x.vapi.ai/c1/transport", "call socket"),
        ("https://x.example/c1/control", "hosts"),
        ("not an id", "neither the id"),
    ],
)
async def test_a_text_that_stands_for_no_call_is_refused_by_name(call: str, said: str) -> None:
    async with VapiClient(KEY) as client:
        with pytest.raises(ConfigError, match=said):
            await client.control(call).say("Hi.")


# --- ending -----------------------------------------------------------------------------------------------


def _created(api: Api) -> CreatedCall:
    return CreatedCall("c1", "", f"{api.url}/c1/control")


@pytest.mark.parametrize(
    "call_of",
    [
        lambda api: "c1",
        _created,
        lambda api: decode_call(json.dumps(api.call())),
        lambda api: f"{api.url}/c1/control",
    ],
)
async def test_a_call_is_ended_by_whatever_stands_for_it(call_of: Callable[[Api], Any]) -> None:
    async with served() as (api, client):
        assert await client.end_call(call_of(api)) is True
        assert [body for _, body in api.told] == [{"type": "end-call"}]
        assert not any(asked.startswith("DELETE") for asked in api.asked)
        api.record |= {"status": "ended"}
        api.statuses = [410]
        assert await client.end_call(_created(api)) is False


async def test_a_call_that_has_not_begun_is_not_taken_for_one_that_is_over() -> None:
    async with served() as (api, client):
        api.record["status"], api.statuses = "queued", [410]
        with pytest.raises(VapiError, match="queued"):
            await client.end_call(_created(api))


async def test_a_call_that_rings_is_waited_for_and_one_that_nobody_answers_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_control, "_BEGUN_PAUSE_S", 0.001)
    async with served() as (api, client):
        api.record["status"] = "queued"
        api.later = [{"status": "ringing"}, {"status": "in-progress"}]
        assert (await client.begun_call(_created(api))).status == "in-progress"
        assert len(api.asked) == 3
        api.record["status"] = "ringing"
        with pytest.raises(VapiError, match="still ringing after 0 s"):
            await client.begun_call("c1", timeout_s=0)
        api.record |= {"status": "ended", "endedReason": "customer-busy"}
        with pytest.raises(CallOver, match="customer-busy"):
            await client.begun_call("c1")


async def test_a_call_without_a_control_url_is_ended_on_its_socket() -> None:
    async with served() as (api, client):
        api.has_control = False
        assert await client.end_call("c1") is True
        assert api.farewells == ['{"type":"end-call"}']
        api.record["transport"] = {"provider": "twilio"}
        with pytest.raises(VapiError, match="no controlUrl"):
            await client.end_call("c1")


async def test_what_stands_for_no_call_is_refused_at_once() -> None:
    async with VapiClient(KEY) as client:
        for use in (client.control, client.listen):
            with pytest.raises(ConfigError, match="an id or one of its URLs, not NoneType"):
                use(None)  # type: ignore[operator]


async def test_a_url_tells_no_id() -> None:
    tries: list[Callable[[VapiClient], Awaitable[Any]]] = [
        lambda client: client.get_call("https://x.vapi.ai/c1/control"),
        lambda client: client.settled_call("https://x.vapi.ai/c1/control"),
    ]
    async with VapiClient(KEY) as client:
        for what in tries:
            with pytest.raises(ConfigError, match="give the id"):
                await what(client)
