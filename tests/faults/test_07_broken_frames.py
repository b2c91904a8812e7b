"""A peer that breaks RFC 6455 gets the code that says how, on either leg: 1009 for a flood of fragments, 1002 for
reserved bits and unknown opcodes, HTTP 426 for another version. The call ends on both legs, once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fault_scene import faulty
from faulty_call import LEGS, FarEnd, live_call
from scene import start, stream_url
from twilio.request_validator import RequestValidator
from wire import BINARY, CONTINUATION, PING, TEXT, connected, nothing_left, on_uvloop_first, until


def fragment_flood(end: FarEnd) -> None:
    end.frame(BINARY, b"a", fin=False)
    for _ in range(1000):
        end.frame(CONTINUATION, b"a", fin=False)


def empty_fragments(end: FarEnd) -> None:
    end.frame(TEXT, b"", fin=False)
    for _ in range(1000):
        end.frame(CONTINUATION, b"", fin=False)


def _one(opcode: int, **how: object) -> Callable[[FarEnd], None]:
    return lambda end: end.frame(opcode, b"{}", **how)


BREACHES: dict[str, tuple[Callable[[FarEnd], None], int]] = {
    "fragment flood": (fragment_flood, 1009),
    "flood of empty fragments": (empty_fragments, 1009),
    "rsv1": (_one(TEXT, rsv=4), 1002),
    "rsv2": (_one(BINARY, rsv=2), 1002),
    "rsv3 on a ping": (_one(PING, rsv=1), 1002),
    "opcode 3": (_one(3), 1002),
    "opcode 15": (_one(15), 1002),
    "no beginning": (_one(CONTINUATION), 1002),
    "long ping": (lambda end: end.frame(PING, bytes(126)), 1002),
}


@on_uvloop_first
@pytest.mark.parametrize("leg_name", LEGS)
@pytest.mark.parametrize("breach", list(BREACHES))
async def test_a_breach_is_answered_with_its_code_and_ends_the_call_once(breach: str, leg_name: str) -> None:
    send, code = BREACHES[breach]
    async with faulty() as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid
        async with nothing_left(), live_call(scene) as (phone, leg):
            end = FarEnd(leg_name, phone, leg)
            send(end)
            assert await end.close_code() == code
            if leg_name == "vapi":
                assert await phone.close_code() == 1000
            await until(lambda: leg.is_over and not scene.bridge.calls)
        assert [event.reason for event in scene.ended] == ["protocol_error"]
        assert leg.texts == ([{"type": "end-call"}] if leg_name == "provider" else [])
        # The one whose socket cannot be told any more is told by request.
        ended_by_request = [(leg.call_id, {"type": "end-call"})] if leg_name == "vapi" else []
        await until(lambda: scene.vapi.controls == ended_by_request)


@pytest.mark.parametrize("masked", [True, False])
async def test_masks_are_as_the_side_demands(masked: bool) -> None:
    async with faulty() as scene, live_call(scene) as (phone, leg):
        end = FarEnd("vapi" if masked else "provider", phone, leg)
        end.frame(TEXT, b"{}", masked=masked)
        assert await end.close_code() == 1002


@on_uvloop_first
@pytest.mark.parametrize("version", ["12", "8", "0", "", "13, 8"])
async def test_another_version_is_told_which_one_is_spoken_and_spends_no_token(version: str) -> None:
    async with faulty() as scene:
        url = stream_url(await scene.voice())
        signature = RequestValidator(scene.auth_token).compute_signature(url, {})
        path = "/" + url.split("/", 3)[3]
        headers = {"X-Twilio-Signature": signature, "Sec-WebSocket-Version": version}
        async with connected(scene.bridge.port) as wire:
            answer = await wire.upgrade(path, headers)
        assert answer.status == 426 and answer.closes
        assert answer.headers["sec-websocket-version"] == "13"
        async with scene.socket(url) as wire:
            wire.text(start())
            await until(lambda: scene.vapi.legs)
