"""FakeTwilioApi makes calls, against a tiny hand-written bridge."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import pytest
from dialled_bridge import ACCOUNT, MEDIA_URL, PUBLIC, STATUS_URL, TOKEN, dialled_bridge

from vapimedia.formats import AudioFormat
from vapimedia.testing.caller import HangUp, Say, Silence
from vapimedia.testing.clips import load_clip
from vapimedia.testing.dialled_call import DialledCall, judge_dial
from vapimedia.testing.fake_twilio_api import FakeTwilioApi

TWIML = (
    f'<Response><Connect><Stream url="{MEDIA_URL}" statusCallback="{PUBLIC}/stream">'
    '<Parameter name="who" value="me"/></Stream></Connect></Response>'
)
GOOD = [
    ("To", "+14155550100"),
    ("From", "+14155550199"),
    ("Twiml", TWIML),
    ("StatusCallback", STATUS_URL),
    *(("StatusCallbackEvent", event) for event in ("initiated", "ringing", "answered", "completed")),
]
AMD = [("MachineDetection", "Enable"), ("AsyncAmd", "true"), ("AsyncAmdStatusCallback", f"{PUBLIC}/amd")]
CREDENTIALS = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
HEADERS = {"Authorization": f"Basic {CREDENTIALS}"}


async def post(
    api: FakeTwilioApi, path: str, fields: list[tuple[str, str]], headers: dict[str, str] = HEADERS
) -> tuple[int, dict[str, Any]]:
    url = f"{api.url}/2010-04-01/Accounts/{ACCOUNT}/{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=aiohttp.FormData(fields)(), headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def dial(api: FakeTwilioApi, *more: tuple[str, str]) -> DialledCall:
    status, answer = await post(api, "Calls.json", [*GOOD, *more])
    assert (status, answer["status"], answer["direction"]) == (201, "queued", "outbound-api")
    assert answer["sid"] == api.dialled[-1].sid
    return api.dialled[-1]


async def end(api: FakeTwilioApi, call: DialledCall, status: str = "completed") -> tuple[int, dict[str, Any]]:
    return await post(api, f"Calls/{call.sid}.json", [("Status", status)])


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        ("answered", ["initiated", "ringing", "in-progress", "completed"]),
        ("machine", ["initiated", "ringing", "in-progress", "completed"]),
        ("busy", ["initiated", "busy"]),
        ("failed", ["initiated", "failed"]),
        ("no-answer", ["initiated", "ringing", "no-answer"]),
        ("canceled", ["initiated", "ringing", "canceled"]),
    ],
)
async def test_every_outcome_is_reported_in_order_with_one_final_status(
    outcome: Any, statuses: list[str]
) -> None:
    async with dialled_bridge(outcome=outcome) as (bridge, api):
        call = await dial(api)
        await call.over()
        assert call.is_over
        posted = bridge.posted("/status/r3f")
        assert [form["CallStatus"] for form in posted] == call.statuses == statuses
        assert [form["SequenceNumber"] for form in posted] == [str(n) for n in range(len(statuses))]
        assert {(form["CallSid"], form["Direction"], form["To"]) for form in posted} == {
            (call.sid, "outbound-api", "+14155550100")
        }
        assert ("CallDuration" in posted[-1], posted[-1].get("AnsweredBy")) == (True, None)
        assert (call.call is not None) == ("in-progress" in statuses)
        assert [callback.status for callback in call.callbacks] == [204] * len(statuses)
        assert api.violations == []


async def test_an_answered_call_streams_what_its_own_twiml_says() -> None:
    async with dialled_bridge(caller=[Say("ask_sunday"), HangUp()]) as (bridge, api):
        call = await dial(api)
        await call.over()
        phone = call.call
        assert phone is not None
        assert (phone.voice_status, phone.upgrade_status, phone.ended_by) == (None, 101, "caller")
        start = bridge.messages[1]["start"]
        assert (start["callSid"], start["customParameters"]) == (call.sid, {"who": "me"})
        assert bytes(phone.sent).startswith(load_clip("ask_sunday", AudioFormat("mulaw", 8000)))
        assert bridge.messages[-1]["event"] == "stop"
        streamed = [form["StreamEvent"] for form in bridge.posted("/stream")]
        assert streamed == ["stream-started", "stream-stopped"]
        assert bridge.posted("/") == []


@pytest.mark.parametrize(
    ("outcome", "mode", "who"),
    [
        ("answered", "Enable", "human"),
        ("machine", "Enable", "machine_start"),
        ("machine", "DetectMessageEnd", "machine_end_beep"),
    ],
)
async def test_who_answered_is_told_when_asked_for(outcome: Any, mode: str, who: str) -> None:
    async with dialled_bridge(outcome=outcome, caller=[Silence(1000), HangUp()]) as (bridge, api):
        call = await dial(api, ("MachineDetection", mode), *AMD[1:])
        await call.over()
        [form] = bridge.posted("/amd")
        assert (form["CallSid"], form["AnsweredBy"]) == (call.sid, who)
        told = [form.get("AnsweredBy") for form in bridge.posted("/status/r3f")]
        assert told == [None, None, None, who]


async def test_machine_detection_in_the_foreground_is_told_with_the_answer() -> None:
    async with dialled_bridge(outcome="machine") as (bridge, api):
        call = await dial(api, AMD[0])
        await call.over()
        assert bridge.posted("/amd") == []
        assert bridge.posted("/status/r3f")[2]["AnsweredBy"] == "machine_start"


@pytest.mark.parametrize("outcome", ["busy", "no-answer"])
async def test_nobody_is_detected_where_nobody_answered(outcome: Any) -> None:
    async with dialled_bridge(outcome=outcome) as (bridge, api):
        await (await dial(api, *AMD)).over()
        assert not any("AnsweredBy" in form for _, form in bridge.forms)


@pytest.mark.parametrize(
    ("events", "statuses"),
    [
        ([], ["completed"]),
        (["answered"], ["in-progress"]),
        (["ringing", "completed"], ["ringing", "completed"]),
    ],
)
async def test_only_the_events_asked_for_are_posted(events: list[str], statuses: list[str]) -> None:
    async with dialled_bridge() as (_, api):
        fields = [*GOOD[:4], *(("StatusCallbackEvent", event) for event in events)]
        await post(api, "Calls.json", fields)
        await api.dialled[0].over()
        assert api.dialled[0].statuses == statuses
        assert api.dialled[0].status == "completed"


@pytest.mark.parametrize("word", ["completed", "canceled"])
async def test_a_call_that_rings_is_ended_by_rest_as_canceled(word: str) -> None:
    async with dialled_bridge(ring_s=100.0) as (_, api):
        call = await dial(api)
        status, answer = await end(api, call, word)
        assert (status, answer["status"]) == (200, "canceled")
        await call.over()
        assert call.statuses[-1] == "canceled"
        assert call.call is None
        assert (await end(api, call))[0] == 404
        assert [made.status for made in api.posts] == [200, 404]


async def test_a_call_in_progress_is_ended_by_completed_and_not_by_canceled() -> None:
    async with dialled_bridge(caller=[Silence(1e6)]) as (_, api):
        call = await dial(api)
        while call.call is None:
            await asyncio.sleep(0.01)
        await call.call.streaming()
        assert (await end(api, call, "canceled"))[1]["status"] == "in-progress"
        assert api.violations == ["Status=canceled does not end a call in progress"]
        assert (await end(api, call))[1]["status"] == "completed"
        await call.over()
        assert call.call.ended_by == "api"
        assert call.statuses == ["initiated", "ringing", "in-progress", "completed"]


async def test_a_redirect_ends_the_stream_and_its_twiml_is_kept() -> None:
    async with dialled_bridge(caller=[Silence(1e6)]) as (bridge, api):
        call = await dial(api)
        while call.call is None:
            await asyncio.sleep(0.01)
        await call.call.streaming()
        path = f"Calls/{call.sid}.json"
        status, answer = await post(api, path, [("Twiml", "<Response><Dial>+14155550101</Dial></Response>")])
        assert (status, answer["status"]) == (200, "in-progress")
        await call.over()
        assert (call.call.ended_by, call.call.stop_sent) == ("redirect", True)
        assert call.call.redirected is not None
        assert (call.call.redirected.verbs, api.violations) == (["Dial"], [])
        streamed = [form["StreamEvent"] for form in bridge.posted("/stream")]
        assert streamed == ["stream-started", "stream-stopped"]


async def test_twiml_of_a_redirect_is_judged() -> None:
    async with dialled_bridge(caller=[Silence(1e6)]) as (_, api):
        call = await dial(api)
        while call.call is None:
            await asyncio.sleep(0.01)
        await call.call.streaming()
        await post(api, f"Calls/{call.sid}.json", [("Twiml", "<Response>")])
        await call.over()
        assert [text[:15] for text in api.violations] == ["redirect: 12100"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ([("Twiml", TWIML)], 400, 21220),
        ([("Twiml", TWIML), ("Status", "completed")], 400, 20001),
        ([("Twiml", "x" * 4001)], 400, 20001),
        ([("Url", f"{PUBLIC}/voice")], 501, 20501),
        ([("Status", "busy")], 400, 20001),
    ],
)
async def test_an_update_that_is_refused_leaves_the_call_as_it_is(
    fields: list[tuple[str, str]], status: int, code: int
) -> None:
    async with dialled_bridge(ring_s=100.0) as (_, api):
        call = await dial(api)
        answer = await post(api, f"Calls/{call.sid}.json", fields)
        assert (answer[0], answer[1]["code"], call.is_over) == (status, code, False)
        assert len(api.violations) == (status == 501)
        await end(api, call)
        await call.over()
        assert (await post(api, f"Calls/{call.sid}.json", [("Twiml", TWIML)]))[0] == 404


async def test_a_phone_rings_no_longer_than_the_call_allows() -> None:
    async with dialled_bridge(ring_s=1000.0, speed=100.0) as (_, api):
        call = await dial(api, ("Timeout", "5"))
        await call.over()
        assert call.statuses[-1] == "no-answer"


async def test_outcomes_come_one_after_the_other_and_then_the_same() -> None:
    async with dialled_bridge(outcomes=["busy", "failed"], outcome="canceled") as (_, api):
        for _ in range(4):
            await (await dial(api)).over()
        assert [call.status for call in api.dialled] == ["busy", "failed", "canceled", "canceled"]


async def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="no-answer"):
        FakeTwilioApi(auth_token=TOKEN, outcome="noanswer")  # type: ignore[arg-type]


def without(*names: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in GOOD if name not in names]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (without("To"), 21201),
        (without("From"), 21213),
        (without("Twiml"), 21205),
        ([*without("Twiml"), ("Url", "voice")], 21205),
        ([*GOOD, ("Url", f"{PUBLIC}/voice")], 21205),
        ([*without("To"), ("To", "4155550100")], 21211),
        ([*without("From"), ("From", "bob")], 21212),
        ([*GOOD, ("Colour", "red")], 20001),
        ([*GOOD, ("To", "+14155550101")], 20001),
        ([*without("Twiml"), ("Twiml", "x" * 4001)], 20001),
        ([*GOOD, ("Timeout", "4")], 20001),
        ([*GOOD, ("Timeout", "soon")], 20001),
        ([*without("StatusCallback"), ("StatusCallback", "/status")], 21609),
        ([*GOOD, ("StatusCallbackEvent", "ringing answered")], 21626),
        ([*GOOD, ("StatusCallbackMethod", "PUT")], 20001),
        ([*GOOD, ("MachineDetection", "hangup")], 20001),
        ([*GOOD, *AMD[:2]], 21262),
    ],
)
async def test_a_wrong_form_makes_no_call_and_is_a_violation(
    fields: list[tuple[str, str]], code: int
) -> None:
    async with dialled_bridge() as (bridge, api):
        status, answer = await post(api, "Calls.json", fields)
        assert (status, answer["code"], answer["status"]) == (400, code, 400)
        assert [text.partition(" ")[0] for text in api.violations] == [str(code)]
        assert [made.status for made in api.refused] == [400]
        assert (api.dialled, bridge.forms) == ([], [])


@pytest.mark.parametrize("to", ["sip:alice@example.com", "client:joey"])
def test_an_address_may_be_called_from_any_name(to: str) -> None:
    assert judge_dial([("To", to), ("From", "bob"), ("Twiml", TWIML)]) is None


async def test_another_account_and_a_failing_api_make_no_call() -> None:
    async with dialled_bridge() as (_, api):
        status, answer = await post(api, "Calls.json", GOOD, {})
        assert (status, answer["code"]) == (401, 20003)
        api.status = 503
        assert (await post(api, "Calls.json", GOOD))[0] == 503
        assert ([made.status for made in api.refused], api.dialled) == ([401, 503], [])


async def test_twiml_that_is_none_is_a_violation_of_an_answered_call() -> None:
    async with dialled_bridge() as (_, api):
        await post(api, "Calls.json", [*without("Twiml"), ("Twiml", "<Response>")])
        await api.dialled[0].over()
        assert api.dialled[0].statuses[-1] == "completed"
        assert [text[:5] for text in api.violations] == ["12100"]


@pytest.mark.parametrize("ring_s", [100.0, 0.0])
async def test_leaving_the_fake_ends_the_calls_it_made(ring_s: float) -> None:
    async with dialled_bridge(ring_s=ring_s, caller=[Silence(1e6)]) as (_, api):
        call = await dial(api)
        while not ring_s and (call.call is None or not call.call.sent):
            await asyncio.sleep(0.01)
    await call.over(0.1)
    assert not call.is_over
