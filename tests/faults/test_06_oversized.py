"""What is larger than its limit is refused within 100 ms, 1009 for a frame or a message and 431 for a head of HTTP, and
costs no more than 1 MiB of memory. The limits: 64 KiB on the provider's leg, 16 MiB on Vapi's (a conversation-update
holds the whole conversation), 8 KiB for a head."""

from __future__ import annotations

import asyncio
import itertools
import math
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from fault_scene import elapsed_ms, faulty
from faulty_call import LEGS, FarEnd, live_call, soon
from own_bridge import own_bridge
from scene import Scene, Vapi, start, stream_url
from wire import BINARY, CONTINUATION, TEXT, connected, nothing_left, on_uvloop_first, until

BOUND_MS = 100
MOST_KB = 1024
LIMITS = {"provider": 65_536, "vapi": 16 << 20}
BEGUN = {"provider": b"\x82\xff%b" + bytes(4), "vapi": b"\x82\x7f%b"}  # a mask only where there must be one


def only_the_head(end: FarEnd) -> None:
    """One byte more than is allowed is announced, and never comes."""
    end.write(BEGUN[end.name] % struct.pack(">Q", LIMITS[end.name] + 1))


def an_absurd_length(end: FarEnd) -> None:
    end.write(BEGUN[end.name] % struct.pack(">Q", 2**62))


def the_largest_length(end: FarEnd) -> None:
    end.write(BEGUN[end.name] % struct.pack(">Q", 2**63 - 1))


def a_text(end: FarEnd) -> None:
    end.frame(TEXT, b" " * (LIMITS[end.name] + 1))


def much_more(end: FarEnd) -> None:
    end.frame(BINARY, bytes(8 << 20 if end.name == "provider" else 20 << 20))


def fragments(end: FarEnd) -> None:
    """Each is allowed; together they are not."""
    end.frame(BINARY, bytes(LIMITS[end.name] - 1), fin=False)
    end.frame(CONTINUATION, bytes(2))


OVERSIZED: dict[str, Callable[[FarEnd], None]] = {
    "only the head": only_the_head,
    "an absurd length": an_absurd_length,
    "the largest length": the_largest_length,
    "a text": a_text,
    "much more": much_more,
    "fragments": fragments,
}


@on_uvloop_first
@pytest.mark.parametrize("leg_name", LEGS)
@pytest.mark.parametrize("what", ["only the head", "an absurd length", "the largest length"])
async def test_a_frame_is_refused_by_its_head_in_time(what: str, leg_name: str) -> None:
    await _refused(what, leg_name)


@on_uvloop_first
@pytest.mark.parametrize(
    ("what", "leg_name"),
    [
        ("a text", "provider"),
        ("much more", "provider"),
        ("fragments", "provider"),
        *(
            pytest.param(what, "vapi", marks=pytest.mark.slow)
            for what in ("a text", "much more", "fragments")
        ),
    ],
)
async def test_what_has_come_already_is_refused_in_time(what: str, leg_name: str) -> None:
    # 16 MiB take their time to come, in this process too, which writes and reads them.
    await _refused(what, leg_name, BOUND_MS if leg_name == "provider" else None)


async def _refused(what: str, leg_name: str, bound_ms: float | None = BOUND_MS) -> None:
    numbers = itertools.count(1)
    async with faulty() as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid

        async def attempt() -> float:
            scene.events.clear()
            async with nothing_left(), live_call(scene, next(numbers)) as (phone, leg):
                end = FarEnd(leg_name, phone, leg)
                OVERSIZED[what](end)
                since_s = asyncio.get_running_loop().time()
                assert await end.close_code() == 1009
                took_ms = elapsed_ms(since_s)
                await until(lambda: leg.is_over and not scene.bridge.calls)
            assert [event.reason for event in scene.ended] == ["protocol_error"]
            return took_ms

        await soon(bound_ms or math.inf, attempt)


# --- heads of HTTP -------------------------------------------------------------------------------


def _head(n_bytes: int) -> bytes:
    return b"GET /twilio/media/x HTTP/1.1\r\nHost: b\r\nX: ".ljust(n_bytes, b"x")


@on_uvloop_first
@pytest.mark.parametrize("n_bytes", [8192, 1 << 20])
async def test_a_head_of_a_request_is_refused_in_time(n_bytes: int) -> None:
    async with faulty() as scene:

        async def attempt() -> float:
            async with nothing_left(), connected(scene.bridge.port) as wire:
                since_s = asyncio.get_running_loop().time()
                wire.send(_head(n_bytes))
                answer = await wire.head()
                assert (answer.status, answer.closes) == (431, True)
                return elapsed_ms(since_s)

        await scene.get("/healthz")
        await soon(BOUND_MS, attempt)


async def _endless_head(request: web.Request, _body: object) -> web.StreamResponse:
    """Answer the upgrade with a head that does not end."""
    transport: Any = request.transport
    transport.write(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * (8 << 20))
    await asyncio.sleep(30)
    return web.Response()


@on_uvloop_first
async def test_a_head_of_vapis_answer_is_refused_in_time() -> None:
    numbers = itertools.count(1)
    since_s = 0.0

    async def upgrade(request: web.Request, body: object) -> web.StreamResponse:
        nonlocal since_s
        since_s = asyncio.get_running_loop().time()
        return await _endless_head(request, body)

    async with faulty(Vapi(upgrade=upgrade)) as scene:
        await scene.get("/healthz")

        async def attempt() -> float:
            scene.events.clear()
            await _unanswered(scene, next(numbers))
            await until(lambda: scene.ended)
            assert [event.reason for event in scene.ended] == ["vapi_failed"]
            return elapsed_ms(since_s)

        await soon(BOUND_MS, attempt)


async def _unanswered(scene: Scene, number: int) -> None:
    """A call whose socket at Vapi does not come about."""
    async with scene.socket(stream_url(await scene.voice(number))) as phone:
        phone.text(start(number))
        assert await phone.close_code() == 1000


# --- memory --------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_none_of_it_costs_a_mebibyte() -> None:
    numbers = itertools.count(1)
    async with own_bridge() as bridge:
        scene = bridge.scene

        async def call(leg_name: str, send: Callable[[FarEnd], None]) -> None:
            async with live_call(scene, next(numbers)) as (phone, leg):
                end = FarEnd(leg_name, phone, leg)
                send(end)
                assert await end.close_code() in (1000, 1009)
                await until(lambda: leg.is_over)
            await bridge.until_over()

        async def head(n_bytes: int) -> None:
            async with connected(scene.bridge.port) as wire:
                wire.send(_head(n_bytes))
                await wire.head()
                await asyncio.sleep(0.1)

        async def vapis_head() -> None:
            scene.vapi.upgrade = _endless_head
            await _unanswered(scene, next(numbers))
            await bridge.until_over()

        for leg_name in LEGS:  # lets the first calls' costs be paid
            await call(leg_name, lambda end: end.frame(8, (1000).to_bytes(2, "big")))
        faults: dict[str, Callable[[], Awaitable[None]]] = {
            f"{leg_name}: {what}": lambda leg_name=leg_name, what=what: call(leg_name, OVERSIZED[what])  # type: ignore[misc]
            for leg_name in LEGS
            for what in OVERSIZED
            if (leg_name, what) != ("vapi", "fragments")  # the first of them is within the limit, and kept
        }
        faults |= {"a head": lambda: head(8 << 20), "a head of Vapi's": vapis_head}
        grown_kb = {}
        for what, fault in faults.items():
            before_kb = bridge.forget_peak()
            await fault()
            grown_kb[what] = bridge.rss_kb("VmHWM") - before_kb
        assert max(grown_kb.values()) <= MOST_KB, grown_kb
