"""No number, key or token of a call that a bridge makes shows up where an operator looks."""

from __future__ import annotations

import asyncio
import gc
import io
from typing import Any

import pytest
from aiohttp import web
from outbound_scene import PROVIDERS, SIGNATURE_SECRET, Asked, application_key, call_id, stubbed
from scene import AUTH_TOKEN, KEY, Vapi
from wire import until

from vapimedia import Call, CallOptions
from vapimedia.errors import ProviderError

CANARIES = {
    "the called number": "15557770456",
    "the number to call from": "15557770123",
    "a custom parameter": "canary-parameter",
    "Twilio's token": AUTH_TOKEN,
    "Vonage's signature secret": SIGNATURE_SECRET,
    "Vapi's key": KEY,
}
WORDS = "canary words of who was called"


def expect_no_canary(asked: list[Asked], *texts: str) -> None:
    private_key = application_key()[0]
    canaries = CANARIES | {"what was said": WORDS, "the private key": private_key.splitlines()[1]}
    for number, one in enumerate(asked):
        canaries[f"the media token of call {number}"] = one.media_url.rpartition("/")[2]
    for name, value in canaries.items():
        assert not [text for text in texts if value in text], f"{name} shows"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_call_that_is_made_shows_no_canary_in_logs_figures_or_reprs(
    log: io.StringIO, provider: str
) -> None:
    asyncio.get_running_loop().set_debug(True)
    shown: list[str] = []
    options = CallOptions(parameters={"p": CANARIES["a custom parameter"]})
    async with stubbed(provider) as (line, api):
        bridge = line.scene.bridge
        bridge.on_event(lambda call, event: shown.append(f"{call!r} {call and call.info!r} {event!r}"))
        call = await line.dial(options=options)
        url = api.asked[0].status_url
        for status in ("ringing", "in-progress"):
            await line.status(url, status)
        await line.status(url, "busy", signed=False)
        async with line.media(api.asked[0].media_url) as (_wire, answer):
            assert answer.status == 101
            leg = await line.scene.vapi.leg()
            await leg.say(
                {"type": "transcript", "role": "user", "transcriptType": "final", "transcript": WORDS}
            )
            await until(lambda: any("Transcript" in text for text in shown))
            shown += [
                repr(call),
                repr(bridge.calls),
                (await line.scene.get("/calls", admin=True)).body.decode(),
                (await line.scene.get("/metrics", admin=True)).body.decode(),
            ]
            await line.status(url, "completed")
            await call.ended()
        async with line.media(api.asked[0].media_url) as (_wire, answer):
            assert answer.status == 403
        shown += [repr(bridge.summaries), repr(bridge.counters)]
        await _hung_up_while_it_rings(line.dial())
    gc.collect()
    assert "vapimedia" in log.getvalue() and call_id(provider) in log.getvalue()  # the trap is set
    expect_no_canary(api.asked, log.getvalue(), *shown)


async def _hung_up_while_it_rings(dialling: Any) -> None:
    call: Call = await dialling
    call.hang_up("enough")
    await call.ended()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["refused", "silent", "made after all"])
async def test_no_failure_of_the_api_shows_a_canary(log: io.StringIO, provider: str, fault: str) -> None:
    async def make(asked: Asked) -> web.Response:
        if fault != "refused":
            await asyncio.sleep(30)
        quoted = f"cannot call +15557770456 from 15557770123 at {asked.media_url}: {asked.fields}"
        body = {"code": 21211, "message": quoted, "title": quoted, "detail": quoted}
        return web.json_response(body, status=400)

    async with stubbed(provider, make, Vapi()) as (line, api):
        line.scene.bridge.client._timeout_s = 0.1 if fault != "refused" else 5.0
        with pytest.raises(ProviderError) as caught:
            await line.dial(options=CallOptions(parameters={"p": CANARIES["a custom parameter"]}))
        if fault == "made after all":
            await line.status(api.asked[0].status_url, "ringing")
        shown = [str(caught.value), repr(caught.value), repr(line.scene.events)]
    gc.collect()
    expect_no_canary(api.asked, log.getvalue(), *shown)
