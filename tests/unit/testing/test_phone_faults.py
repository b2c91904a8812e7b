"""What a fake phone does wrong when it is told to, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import on_loopback
from naive_vonage_bridge import VonageBridge, serving

from vapimedia.errors import ConfigError
from vapimedia.testing import (
    FakeBrowserCall,
    FakeTwilioCall,
    FakeVonageCall,
    Fault,
    HangUp,
    PhoneFaults,
    Silence,
    parse_fault,
)
from vapimedia.testing.phone_faults import FaultyMedia

BRIEF = (Silence(400), HangUp())
SPEED = 20.0


class Recorder:
    """A bridge that keeps what a Twilio phone says, and closes the socket after a time if it is told to."""

    def __init__(self) -> None:
        self.base = ""
        self.messages: list[dict[str, Any]] = []
        self.closes_after_s: float | None = None

    @property
    def events(self) -> list[str]:
        """What came, runs of media as one."""
        kinds = [message["event"] for message in self.messages]
        return [kind for index, kind in enumerate(kinds) if not index or kinds[index - 1] != kind]

    @property
    def media(self) -> list[bytes]:
        found = (message for message in self.messages if message["event"] == "media")
        return [base64.b64decode(message["media"]["payload"]) for message in found]

    async def voice(self, request: web.Request) -> web.Response:
        url = f"{self.base.replace('http', 'ws')}/media"
        return web.Response(
            text=f'<Response><Connect><Stream url="{url}"/></Connect></Response>', content_type="text/xml"
        )

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(timeout=0.1)
        await ws.prepare(request)
        closing = None
        if self.closes_after_s is not None:
            closing = asyncio.create_task(self._close(ws, self.closes_after_s))
        async for message in ws:
            assert message.type is aiohttp.WSMsgType.TEXT
            self.messages.append(json.loads(message.data))
        if closing is not None:
            await closing
        return ws

    async def _close(self, ws: web.WebSocketResponse, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await ws.close()

    async def called(self, faults: PhoneFaults, **changes: Any) -> FakeTwilioCall:
        options: dict[str, Any] = {"caller": BRIEF, "speed": SPEED, "max_s": 5.0, **changes}
        return await FakeTwilioCall(f"{self.base}/voice", auth_token="t", faults=faults, **options).run()


@asynccontextmanager
async def recorder() -> AsyncIterator[Recorder]:
    bridge = Recorder()
    async with on_loopback(web.post("/voice", bridge.voice), web.get("/media", bridge.stream)) as bridge.base:
        yield bridge


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 600), max_size=4).map(tuple),
    st.booleans(),
    st.lists(st.binary(min_size=160, max_size=160), max_size=40),
)
def test_any_sizes_carry_the_same_audio(sizes: tuple[int, ...], odd: bool, frames: list[bytes]) -> None:
    media = FaultyMedia(PhoneFaults(sizes=sizes, odd_bytes=odd))
    payloads = [payload for frame in frames for payload in media.cut(frame)]
    audio = b"".join(frames)
    assert b"".join(payloads) == audio[: len(audio) - media.n_pending]
    allowed = set(sizes) if sizes else {159, 161} if odd else {160}
    assert {len(payload) for payload in payloads} <= allowed


@settings(max_examples=25)
@given(st.integers(0, 5), st.sampled_from([0.0, 0.2, 1.0]), st.integers(0, 100), st.integers(0, 3))
def test_no_message_is_lost_and_none_comes_later_than_it_may(
    reorder: int, duplicate: float, n_messages: int, seed: int
) -> None:
    media = FaultyMedia(PhoneFaults(reorder=reorder, duplicate=duplicate, seed=seed))
    sent = [one for n in range(n_messages) for one in media.order(str(n))] + media.flush()
    first_come = list(dict.fromkeys(sent))
    assert sorted(first_come, key=int) == [str(n) for n in range(n_messages)]
    assert len(sent) == n_messages + media.injected["duplicate"]
    late = [n for place, n in enumerate(first_come) if int(n) < place]
    assert all(first_come.index(n) - int(n) <= reorder for n in late)
    assert len(late) <= media.injected["reorder"]
    assert reorder or not late


def test_a_flood_is_as_many_times_real_time_as_was_asked_for_from_when_it_was() -> None:
    media = FaultyMedia(PhoneFaults(flood=2.5, flood_after_s=1.0))
    copies = [media.copies(n * 0.02) for n in range(150)]
    assert copies[:50] == [1] * 50 and sum(copies[50:]) == 250
    assert media.injected["flood"] == 150


@pytest.mark.parametrize(
    "faults,words",
    [
        (PhoneFaults(flood=0.5), "flood"),
        (PhoneFaults(duplicate=2), "duplicate"),
        (PhoneFaults(reorder=-1), "reorder"),
        (PhoneFaults(sizes=(0,)), "sizes"),
    ],
)
def test_what_no_phone_could_do_is_told_at_once(faults: PhoneFaults, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FakeTwilioCall("http://127.0.0.1/voice", auth_token="t", faults=faults)


def test_a_fault_that_a_protocol_has_no_place_for_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"FakeVonageCall has no such .*stop_twice"):
        FakeVonageCall(
            "http://127.0.0.1/answer",
            api_key="k",
            application_id="a",
            signature_secret="s" * 32,
            faults=PhoneFaults(stop_twice=True),
        )
    with pytest.raises(ConfigError, match=r"FakeBrowserCall has no such .*no_start"):
        FakeBrowserCall("http://127.0.0.1/call", faults=PhoneFaults(no_start=True))


async def test_without_faults_a_phone_does_what_it_did() -> None:
    async with recorder() as bridge:
        phone = await bridge.called(PhoneFaults())
    assert bridge.events == ["connected", "start", "media", "stop"] and not phone.injected
    assert b"".join(bridge.media) == phone.sent


@pytest.mark.parametrize(
    "faults,events",
    [
        (PhoneFaults(no_start=True, hang_up_after_s=0.05), ["connected", "stop"]),
        (PhoneFaults(no_start=True, early_media=True), ["connected", "media", "stop"]),
        (PhoneFaults(early_media=True), ["connected", "media", "start", "media", "stop"]),
        (PhoneFaults(stop_twice=True), ["connected", "start", "media", "stop"]),
        (
            PhoneFaults(stop_twice=True, media_after_stop=2),
            ["connected", "start", "media", "stop", "media", "stop"],
        ),
    ],
)
async def test_the_order_of_a_call_is_wrong_as_asked(faults: PhoneFaults, events: list[str]) -> None:
    async with recorder() as bridge:
        phone = await bridge.called(faults, caller=(Silence(8000), HangUp()))
    assert bridge.events == events
    assert all(phone.injected[name] for name in phone.injected) and phone.injected
    if faults.stop_twice:
        assert [message["event"] for message in bridge.messages].count("stop") == 2


async def test_a_start_comes_late_and_again() -> None:
    async with recorder() as bridge:
        faults = PhoneFaults(second_start_after_s=0.05, late_start_s=0.02)
        phone = await bridge.called(faults, caller=(Silence(6000), HangUp()))
    kinds = [message["event"] for message in bridge.messages]
    assert kinds.count("start") == 2 and kinds[:2] == ["connected", "start"]
    assert phone.injected == {"late_start_s": 1, "second_start_after_s": 1}


async def test_a_wrong_format_is_told_and_the_audio_is_as_it_was() -> None:
    async with recorder() as bridge:
        await bridge.called(PhoneFaults(wrong_rate=16000, wrong_encoding="audio/x-alaw"))
    start = next(message["start"] for message in bridge.messages if message["event"] == "start")
    assert start["mediaFormat"] == {"encoding": "audio/x-alaw", "sampleRate": 16000, "channels": 1}
    assert {len(payload) for payload in bridge.media} == {160}
    async with serving(VonageBridge()) as vonage:
        await vonage.phone(*BRIEF, faults=PhoneFaults(wrong_rate=8000)).run()
        assert vonage.texts[0]["content-type"] == "audio/l16;rate=8000"


async def test_media_is_cut_repeated_and_turned_round_on_the_wire() -> None:
    async with recorder() as bridge:
        faults = PhoneFaults(sizes=(118, 25, 2048), duplicate=0.3, reorder=3)
        phone = await bridge.called(faults, caller=(Silence(3000), HangUp()))
    chunks = [int(message["media"]["chunk"]) for message in bridge.messages if message["event"] == "media"]
    assert {len(payload) for payload in bridge.media} <= {118, 25, 2048}
    assert len(chunks) - len(set(chunks)) == phone.injected["duplicate"] > 0
    assert chunks != sorted(chunks) and phone.injected["reorder"]
    sizes = dict(zip(chunks, map(len, bridge.media), strict=True))
    assert sum(sizes.values()) == len(phone.sent)

    async with serving(VonageBridge()) as vonage:
        vonage_phone = await vonage.phone(*BRIEF, faults=PhoneFaults(odd_bytes=True)).run()
        assert {len(frame) for frame in vonage.frames} == {639, 641}
        assert b"".join(vonage.frames) == vonage_phone.sent


async def test_a_flood_reaches_the_bridge() -> None:
    async with recorder() as bridge:
        phone = await bridge.called(PhoneFaults(flood=20))
    assert phone.injected["flood"] > 0
    assert len(bridge.media) * 19 == phone.injected["flood"] * 20
    assert sum(map(len, bridge.media)) == len(phone.sent)


def breaking(kind: str) -> dict[str, Any]:
    """Return what breaks the path of a call that has begun, however long that took."""

    def act(phone: FakeTwilioCall) -> None:
        assert phone.media_proxy is not None
        phone.media_proxy.connections[0].apply(Fault(kind))

    return {"faults": PhoneFaults(network=(Fault("latency", value=0.001),)), "on_media_start": act}


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_broken_path_is_the_end_of_the_call_and_not_the_bridges_doing(kind: str) -> None:
    async with recorder() as bridge:
        phone = await bridge.called(caller=(), **breaking(kind))
    assert (phone.ended_by, phone.close_code) == (kind, 1006)
    assert phone.media_proxy is not None and phone.media_proxy.connections[0].broken_by == kind
    assert "stop" not in bridge.events


async def test_a_half_open_call_is_over_once_the_bridge_has_left_it() -> None:
    async with recorder() as bridge:
        bridge.closes_after_s = 0.3
        phone = await bridge.called(caller=(), max_s=20.0, **breaking("half-open"))
    assert (phone.ended_by, phone.close_code) == ("bridge", 1006)


async def test_a_refused_media_socket_leaves_the_webhook_alone() -> None:
    async with recorder() as bridge:
        phone = await bridge.called(PhoneFaults(network=(parse_fault("refuse"),)))
    assert (phone.voice_status, phone.upgrade_status, phone.ended_by) == (200, None, "upgrade")


async def test_a_slow_path_changes_no_message() -> None:
    network = (parse_fault("latency=20ms"), parse_fault("slice=7:up"), parse_fault("stall=50ms@50ms"))
    async with recorder() as bridge:
        phone = await bridge.called(PhoneFaults(network=network))
    assert bridge.events == ["connected", "start", "media", "stop"]
    assert b"".join(bridge.media) == phone.sent and phone.close_code == 1000
