"""Connections to a listenUrl, over real sockets with a server that plays scripts."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from listen_server import Script, serving

from vapimedia import AudioFormat, VapiClient
from vapimedia.errors import CallOver, ConfigError, StateError, VapiError
from vapimedia.io import listen
from vapimedia.io.listen import (
    AudioChunk,
    ListenEnded,
    Listening,
    ListenItem,
    ListenStarted,
    Reconnected,
)
from vapimedia.protocols.vapi import CreateCall, StatusUpdate
from vapimedia.testing import FakeVapi

FRAME = bytes(range(1, 65)) * 10
STEREO = json.dumps({"type": "start", "encoding": "linear16", "sampleRate": 8000, "channels": 2})
ENDED = '{"type":"status-update","status":"ended"}'


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(listen, "HOLD_S", 0.01)


async def all_of(listening: Listening) -> list[ListenItem]:
    async with asyncio.timeout(10), listening:
        return [item async for item in listening]


async def test_a_call_is_heard_until_it_ends_and_nothing_is_proved_unasked() -> None:
    async with serving([STEREO, FRAME[:99], "no JSON", FRAME[99:], ENDED, 1000]) as server:
        items = await all_of(listening := Listening(server.url))
    assert items[0] == ListenStarted(8000, 2, told=True)
    assert b"".join(item.pcm for item in items if isinstance(item, AudioChunk)) == FRAME
    assert isinstance(items[-2], StatusUpdate)
    assert items[-1] == ListenEnded("ended")
    assert (listening.sample_rate, listening.channels, listening.stats.malformed) == (8000, 2, 1)
    assert "Authorization" not in server.headers[0]
    assert "Sec-WebSocket-Extensions" not in server.headers[0]


async def test_a_public_key_is_sent_when_it_is_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving([ENDED, 1000]) as server:
        await all_of(listening := Listening(server.url, public_key="pk-canary"))
    assert server.headers[0]["Authorization"] == "Bearer pk-canary"
    assert "canary" not in caplog.text + repr(listening)


async def test_connecting_goes_on_while_the_call_lives_and_what_was_missed_is_told() -> None:
    scripts: list[Script] = [502, 503, 404, [STEREO, FRAME, 0], 500, [FRAME, 1011], 302, [FRAME, 1000], 410]
    async with serving(*scripts) as server:
        items = await all_of(listening := Listening(server.url))
    chunks = [item for item in items if isinstance(item, AudioChunk)]
    backs = [item for item in items if isinstance(item, Reconnected)]
    assert [chunk.pcm for chunk in chunks] == [FRAME] * 3
    assert len(backs) == 2
    assert chunks[2].at_ms == pytest.approx(sum(back.gap_ms for back in backs) + 40)
    assert items[-1] == ListenEnded("gone")
    assert len([item for item in items if isinstance(item, ListenStarted)]) == 1
    stats = listening.stats
    assert (stats.connects, stats.failed_connects, stats.reconnects) == (3, 6, 2)


async def test_a_server_that_breaks_each_connection_is_not_hammered(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pass_by(pause_s: float) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr(listen, "_pause", pass_by)
    scripts: list[Script] = [[FRAME, 1011]] * 5
    async with serving(*scripts, [FRAME, ENDED, 1000]) as server:
        await all_of(Listening(server.url))
    assert pauses[0] == 0.0  # what is missed meanwhile is not heard
    assert len(pauses) == 5
    for number, pause_s in enumerate(pauses[1:]):
        assert 0.5 <= pause_s / (listen._FIRST_PAUSE_S * 2**number) <= 1.5


async def test_a_server_that_only_says_goodbye_has_no_call_any_more() -> None:
    async with serving([FRAME, 1000], [STEREO, 1000]) as server:
        items = await all_of(listening := Listening(server.url))
    assert items[-1] == ListenEnded("gone")
    assert listening.stats.connects == 4


async def test_the_api_is_asked_whether_the_call_is_over() -> None:
    async def over() -> bool:
        return True

    async def unknown() -> bool:
        raise VapiError("no answer")

    async with serving([FRAME, 0], 500) as server:
        assert (await all_of(Listening(server.url, is_over=over)))[-1] == ListenEnded("ended")
        with pytest.raises(VapiError, match="status 500"):  # who does not answer says nothing
            await all_of(Listening(server.url, is_over=unknown, give_up_s=0.05))


async def test_a_server_that_never_closes_is_left_when_the_call_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listen, "_CLOSE_TIMEOUT_S", 0.02)
    monkeypatch.setattr(listen, "_SILENCE_S", 0.02)
    monkeypatch.setattr(listen, "_IS_OVER_EVERY_S", 0.0)
    answers = [False, True]

    async def over() -> bool:
        return answers.pop(0)

    async with serving([FRAME, 3600.0]) as server:
        items = await all_of(listening := Listening(server.url, is_over=over))
        assert (items[-1], listening.stats.connects, answers) == (ListenEnded("ended"), 1, [])
    monkeypatch.setattr(listen, "_LAST_WORDS_S", 0.05)
    async with serving([ENDED, *[FRAME, 0.005] * 1000]) as server:  # it does not stop speaking
        items = await all_of(Listening(server.url))
        assert items[-1] == ListenEnded("ended")


async def test_giving_up_is_an_error_without_any_connection_and_an_end_after_one() -> None:
    async with serving(503) as server:
        with pytest.raises(VapiError, match=r"within 0\.05 s: answered with status 503 \(\d+ attempts\)"):
            await all_of(Listening(server.url, give_up_s=0.05))
    with pytest.raises(VapiError, match="cannot connect: ") as refused:
        await all_of(Listening(server.url, give_up_s=0.01))
    assert "call-1" not in str(refused.value)
    async with serving([FRAME, 0], 503) as server:
        assert (await all_of(Listening(server.url, give_up_s=0.05)))[-1] == ListenEnded("lost")


async def test_a_call_that_wants_the_public_key_says_so_at_once() -> None:
    async with serving(401) as server:
        with pytest.raises(VapiError, match="public key") as refused:
            await all_of(Listening(server.url))
    assert refused.value.status == 401
    assert len(server.headers) == 1


async def test_closing_ends_the_iteration_and_leaves_nothing_behind() -> None:
    async with serving([FRAME, *[FRAME] * 3, 0]) as server:
        async with asyncio.timeout(10), Listening(server.url) as listening:
            items = []
            async for item in listening:
                items.append(item)
                if isinstance(item, AudioChunk):
                    await listening.close()
        await listening.close()
        assert items[-1] == ListenEnded("closed")
        with pytest.raises(StateError, match="listen anew"):
            await listening.__aenter__()
    with pytest.raises(StateError, match="enter it first"):
        await anext(Listening(server.url))


@pytest.mark.parametrize(
    "url",
    [
        "https://phone.vapi.ai/c/listen",
        "ws://phone.vapi.ai/c/listen",
        "wss://a@phone.vapi.ai/",
        "",
        "wss://h/ x",
        "wss://[",
    ],
)
async def test_what_is_no_listen_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        Listening(url)

    async def found() -> str:
        return url

    finder: Callable[[], Awaitable[str]] = found
    with pytest.raises(ConfigError, match="cannot listen"):
        await all_of(Listening(finder))


async def test_a_client_hears_a_call_by_its_id_until_the_api_says_that_it_is_over() -> None:
    async with FakeVapi() as vapi, VapiClient(vapi.api_key, base_url=vapi.url) as client:
        wanted = CreateCall(format=AudioFormat("pcm_s16le", 16000), assistant_id="asst_1")
        call = await client.create_call(wanted)
        items: list[ListenItem] = []
        async with asyncio.timeout(10), aiohttp.ClientSession() as http, client.listen(call.id) as listening:
            async with http.ws_connect(call.websocket_call_url.reveal()) as caller:
                async for item in listening:
                    items.append(item)
                    if isinstance(item, ListenStarted):
                        for _ in range(5):
                            await caller.send_bytes(FRAME)
                    if isinstance(item, AudioChunk) and item.at_ms >= 80:
                        break
            items += [item async for item in listening]
        with pytest.raises(CallOver, match="the call is over"):
            await all_of(client.listen(await client.get_call(call.id)))
        with pytest.raises(ConfigError, match="not an allowed host"):
            await all_of(client.listen("wss://example.com/listen"))
    assert b"".join(item.pcm for item in items if isinstance(item, AudioChunk)) == FRAME * 5
    assert items[-1] == ListenEnded("ended")
