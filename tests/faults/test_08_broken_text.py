"""Text that is not UTF-8 ends its leg at once, with 1007. JSON and base64 that cannot be read are dropped and counted,
and end it with 1007 after 16 in a row. Neither ever makes a traceback."""

from __future__ import annotations

import io
import json

import pytest
from canaries import CANARIES
from fault_scene import faulty
from faulty_call import LEGS, FarEnd, live_call, said
from scene import Scene, media
from wire import CONTINUATION, TEXT, nothing_left, on_uvloop_first, until

IN_A_ROW = 16
GOOD = {"provider": media(b"\x10" * 160), "vapi": said()}


def _base64(payload: str) -> bytes:
    message = media(b"")
    message["media"]["payload"] = payload
    return json.dumps(message).encode()


WORDS = CANARIES["a transcript"].encode()
NOT_UTF8 = {
    "provider": {
        "unknown event": b'{"event":"x","words":"' + WORDS + b'\xff"}',
        "parameter of an event": b'{"event":"dtmf","streamSid":"\xc3\x28","dtmf":{"digit":"5"}}',
        "media": json.dumps(media(b"\x10" * 160)).encode().replace(b"inbound", b"inbound\xff"),
        "another track of media": json.dumps(media(b"\x10" * 160))
        .encode()
        .replace(b"inbound", b"\xed\xa0\x80"),
        "payload": _base64("////").replace(b"////", b"//\xff/"),
        "after media": json.dumps(media(b"\x10" * 160)).encode()[:-1] + b',"z":"\xff"}',
    },
    "vapi": {
        "transcript": b'{"type":"transcript","transcript":"' + WORDS + b'\xff"}',
        "unknown event": b'{"type":"x\xed\xa0\x80"}',
    },
}
UNREADABLE = {
    "provider": {
        "no JSON": b"{not json " + WORDS,
        "nothing": b"",
        "a list": b"[]",
        "deep": b"[" * 20_000,
        "no base64": _base64("a*!="),
        "half of base64": _base64("//////8"),
        "padding inside": _base64("AA==AA=="),
    },
    "vapi": {
        "no JSON": b"{not json " + WORDS,
        "nothing": b"",
        "a list": b"[]",
        "deep": b'{"type":"transcript","x":' + b"[" * 20_000,
    },
}
KINDS = [(leg, kind) for leg in LEGS for kind in UNREADABLE[leg]]


def n_bad(scene: Scene) -> int:
    """How many messages the live call, or else the one that ended, counts as unreadable."""
    calls = scene.bridge.calls
    summary = calls[0].summary() if calls else scene.ended[0].summary
    assert summary is not None
    names = ("invalid_json", "invalid_base64", "missing_field", "vapi_malformed")
    return sum(summary.counters.get(name, 0) for name in names)


async def ended(scene: Scene, end: FarEnd) -> None:
    """Expect 1007 on this leg, and the end of both."""
    assert await end.close_code() == 1007
    if end.name == "vapi":
        assert await end.phone.close_code() == 1000
    await until(lambda: end.leg.is_over and not scene.bridge.calls)
    assert [event.reason for event in scene.ended] == ["protocol_error"]


@on_uvloop_first
@pytest.mark.parametrize("is_split", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("leg_name", "kind"), [(leg, kind) for leg in LEGS for kind in NOT_UTF8[leg]])
async def test_what_is_not_utf8_ends_its_leg_at_once(
    leg_name: str, kind: str, is_split: bool, shown: io.StringIO
) -> None:
    text = NOT_UTF8[leg_name][kind]
    async with faulty() as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid
        async with nothing_left(), live_call(scene) as (phone, leg):
            end = FarEnd(leg_name, phone, leg)
            if is_split:
                end.frame(TEXT, text[:20], fin=False)
                end.frame(CONTINUATION, text[20:])
            else:
                end.frame(TEXT, text)
            await ended(scene, end)
    assert "Traceback" not in shown.getvalue()


@on_uvloop_first
@pytest.mark.parametrize(("leg_name", "kind"), KINDS)
async def test_the_sixteenth_unreadable_message_in_a_row_ends_its_leg_and_no_other_does(
    leg_name: str, kind: str, shown: io.StringIO
) -> None:
    bad = UNREADABLE[leg_name][kind]
    async with faulty() as scene:
        await scene.get("/healthz")
        async with nothing_left(), live_call(scene) as (phone, leg):
            end = FarEnd(leg_name, phone, leg)
            for _ in range(IN_A_ROW - 1):
                end.frame(TEXT, bad)
            end.frame(TEXT, json.dumps(GOOD[leg_name]).encode())  # the next are in another row
            for _ in range(IN_A_ROW - 1):
                end.frame(TEXT, bad)
            await until(lambda: n_bad(scene) == 2 * (IN_A_ROW - 1))
            assert scene.bridge.calls and not scene.ended
            end.frame(TEXT, bad)
            await ended(scene, end)
        assert n_bad(scene) == 2 * IN_A_ROW - 1
    assert "Traceback" not in shown.getvalue()
