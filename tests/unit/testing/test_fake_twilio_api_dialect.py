"""What the Twilio dialect asks for, the fake does; what the fake tells, the dialect understands."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest
from dialled_bridge import ACCOUNT, MEDIA_URL, PUBLIC, STATUS_URL, TOKEN, dialled_bridge

from vapimedia.errors import ProviderError
from vapimedia.protocols import CallProgress, DialRequest, HttpCall, ProviderEvent, Stopped
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.testing.caller import HangUp, Silence


async def make(dialect: TwilioDialect, **changes: Any) -> tuple[int, bytes]:
    request = DialRequest(
        **{
            "to": "+14155550100",
            "from_": "+14155550199",
            "media_url": MEDIA_URL,
            "status_url": STATUS_URL,
            "machine_detection": "Enable",
        }
        | changes
    )
    return await carry_out(dialect.dial(request))


@pytest.mark.parametrize(
    ("outcome", "events"),
    [
        (
            "answered",
            [
                CallProgress("ringing", "ringing"),
                CallProgress("answered", "in-progress"),
                CallProgress("human", "human"),
                Stopped("stream-stopped"),
                Stopped("completed"),
            ],
        ),
        ("busy", [Stopped("busy", "busy")]),
        ("no-answer", [CallProgress("ringing", "ringing"), Stopped("no-answer", "unanswered")]),
        ("failed", [Stopped("failed", "failed")]),
    ],
)
async def test_a_call_is_made_followed_and_understood(outcome: Any, events: list[ProviderEvent]) -> None:
    async with dialled_bridge(outcome=outcome, caller=[Silence(1000), HangUp()]) as (bridge, api):
        dialect = TwilioDialect(TwilioSettings(ACCOUNT, TOKEN, api_url=api.url, public_url=PUBLIC))
        sid = dialect.read_dialled(*await make(dialect))
        await api.dialled[0].over()
        heard: list[ProviderEvent] = []
        for webhook in bridge.posts:
            assert dialect.check_webhook(webhook) is None
            report = dialect.read_status_webhook(webhook)
            assert report.call_id == sid == api.dialled[0].sid
            heard += report.events
        # The stream's callbacks come on their own, beside the call's.
        assert sorted(heard, key=repr) == sorted(events, key=repr)
        assert [one for one in heard if one != Stopped("stream-stopped")] == [
            one for one in events if one != Stopped("stream-stopped")
        ]
        assert api.violations == []


async def test_a_call_that_rings_is_hung_up() -> None:
    async with dialled_bridge(ring_s=100.0) as (_, api):
        dialect = TwilioDialect(TwilioSettings(ACCOUNT, TOKEN, api_url=api.url))
        dialect.read_dialled(*await make(dialect))
        status, _ = await carry_out(dialect.hangup()[0])
        assert status == 200
        await api.dialled[0].over()
        assert api.dialled[0].status == "canceled"
        status, _ = await carry_out(dialect.hangup()[0])
        assert status in dialect.hangup()[0].gone


async def test_a_refusal_is_told_without_the_number() -> None:
    async with dialled_bridge() as (_, api):
        dialect = TwilioDialect(TwilioSettings(ACCOUNT, TOKEN, api_url=api.url))
        number = DialRequest(
            to="+14155550100", from_="+14155550199", media_url=MEDIA_URL, status_url=STATUS_URL
        )
        request = dialect.dial(number)
        # The dialect itself would refuse what the API is made to refuse here.
        wrong = msgspec.structs.replace(request, body=request.body.replace(b"%2B14155550100", b"0155550100"))
        with pytest.raises(ProviderError) as caught:
            dialect.read_dialled(*await carry_out(wrong))
        assert str(caught.value) == (
            "Twilio refused the call: The 'To' number ... is not a valid phone number. (21211)"
        )


async def carry_out(request: Any) -> tuple[int, bytes]:
    assert isinstance(request, HttpCall)
    async with (
        aiohttp.ClientSession() as http,
        http.request(
            request.method, request.url.reveal(), headers=request.reveal_headers(0), data=request.body
        ) as answer,
    ):
        return answer.status, await answer.read()
