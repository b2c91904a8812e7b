"""The demo dialogue, fake against fake, with the smallest bridge between them."""

from __future__ import annotations

import pytest
from naive_bridge import naive_bridge

from vapimedia.formats import AudioFormat
from vapimedia.testing import (
    CLIPS,
    FakeTwilioCall,
    FakeVapi,
    compare_frames,
    default_caller,
    default_script,
    heard_share,
    load_clip,
    sound,
)

MULAW = AudioFormat("mulaw", 8000)


@pytest.mark.slow
async def test_the_default_dialogue_runs_to_its_end() -> None:
    async with (
        FakeVapi(assistant=default_script(), speed=6.0, server_secret="s") as vapi,
        naive_bridge(vapi.url, vapi.api_key) as bridge,
    ):
        vapi.server_url = f"{bridge.base}/webhook"
        phone = FakeTwilioCall(
            f"{bridge.base}/voice", auth_token="t", caller=default_caller(), speed=6.0, max_s=20
        )
        await phone.run()
        call = await (await vapi.wait_for_call()).ended()

    assert (phone.violations, call.violations) == ([], [])
    assert (phone.step_timeouts, call.step_timeouts) == (0, 0)
    assert (phone.ended_by, call.ended_reason, call.close_code) == ("bridge", "assistant-ended-call", 1000)

    said = {utterance.name: utterance for utterance in call.downlink}
    assert list(said) == [clip.name for clip in CLIPS.values() if clip.speaker == "assistant"]
    assert [utterance.name for utterance in call.downlink if utterance.interrupted] == ["monday_hours"]
    assert bytes(said["goodbye"].sent) == load_clip("goodbye", MULAW)

    assert bytes(phone.sent).startswith(bytes(call.uplink))
    assert bytes(phone.received) == b"".join(bytes(utterance.sent) for utterance in call.downlink)
    assert compare_frames(bytes(phone.sent)[: len(call.uplink)], bytes(call.uplink), 160, b"\xff").intact

    assert [tool.problems for tool in call.tool_calls] == [[]]
    assert call.tool_calls[0].result == "nine to six"
    assert {post.type for post in call.webhooks} == {"tool-calls", "status-update", "end-of-call-report"}
    assert all(post.status == 200 for post in call.webhooks)

    finals = [event for event in call.events("transcript") if event["transcriptType"] == "final"]
    lines = {event["transcript"] for event in finals if event["role"] == "user"}
    assert lines == {CLIPS["ask_monday"].text, CLIPS["ask_sunday"].text}
    assert len(call.events("user-interrupted")) == len(call.interrupts_ns) == 1
    (barge_in,) = phone.barge_ins
    assert barge_in.clear_ns is not None

    received = sound.decode(bytes(phone.received), MULAW)
    for name in ("greeting", "goodbye"):
        clip = sound.decode(load_clip(name, MULAW), MULAW)
        assert heard_share(clip, received, 8000) == 1.0
