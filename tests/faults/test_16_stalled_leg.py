"""Two seconds in which a leg's network carries nothing: the call survives, the caller is live at Vapi again within 1 s,
and nothing stands in the way of what is said later. What is more than 200 ms late for a phone that does not read is
left out and counted; otherwise no word of the assistant's is cut."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable

import pytest
from fault_scene import faulty
from media_laws import MULAW, loud, missing_from_ledger_ms, silent
from media_sims import Downlink, Stall, speech, words_in
from proxied_call import ProxiedCall, proxied_call
from scene import Scene, media
from wire import CLOSE, TEXT

from vapimedia.media import PlayoutPolicy

STALL_S = 2.0
TALK = [loud(MULAW, 400, seed=seed) + silent(MULAW, 600) for seed in range(20)]
ANY, EXACT = PlayoutPolicy(), PlayoutPolicy(exact_frames=True, lead_ms=19_800)


class Conversation:
    """Both sides talk in real time: words of 400 ms, pauses of 600."""

    def __init__(self, call: ProxiedCall) -> None:
        self.call = call
        self.up = b"".join(loud(MULAW, 20, seed=seed) for seed in range(1000))
        self.n_up = 0
        self.said = bytearray()
        self.heard = bytearray()
        self.is_over = False

    async def in_real_time(self, say: Callable[[int], object], until_s: float) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        for n in range(int(until_s * 50)):
            sent = say(n)
            if asyncio.iscoroutine(sent):
                await sent
            await asyncio.sleep(max(0.0, start_s + (n + 1) * 0.02 - loop.time()))

    def caller(self, n: int) -> None:
        self.call.phone.text(media(self.up[160 * n : 160 * n + 160]))
        self.n_up = n + 1

    async def assistant(self, n: int) -> None:
        audio = TALK[n // 50 % 20][n % 50 * 160 :][:160]
        self.said += audio
        await self.call.leg.socket.send_bytes(audio)

    async def listen(self) -> None:
        while True:
            opcode, payload = await self.call.phone.read_frame(timeout_s=10)
            if opcode == CLOSE:
                self.is_over = True
                return
            if opcode == TEXT and (message := json.loads(payload))["event"] == "media":
                self.heard += base64.b64decode(message["media"]["payload"])

    def uplink_lag_ms(self) -> float:
        """How old the newest is of what Vapi has heard of the caller."""
        heard = bytes(self.call.leg.audio)
        for at in range(len(heard) - 160, max(0, len(heard) - 8000), -160):
            found = self.up.find(heard[at : at + 160])
            if found >= 0:
                return 20 * self.n_up - found / 8 - 20
        return float("inf")


async def stalled(scene: Scene, call: ProxiedCall, leg: str) -> None:
    loop, talk = asyncio.get_running_loop(), Conversation(call)
    connection = call.provider_connection if leg == "provider" else call.vapi_connection
    working = [
        asyncio.create_task(talk.in_real_time(talk.caller, 13)),
        asyncio.create_task(talk.in_real_time(talk.assistant, 13)),
        asyncio.create_task(talk.listen()),
    ]
    await asyncio.sleep(1)
    assert talk.uplink_lag_ms() < 200
    connection.stall(STALL_S)
    await asyncio.sleep(STALL_S)
    resumed_s = loop.time()
    while talk.uplink_lag_ms() > 200:
        assert loop.time() - resumed_s <= 1.0, f"the caller is {talk.uplink_lag_ms()} ms late"
        await asyncio.sleep(0.01)
    back_ms = 1000 * (loop.time() - resumed_s)
    await asyncio.gather(*working[:2])
    summary = call.live.summary()
    assert not talk.is_over
    assert scene.ended == []
    uplink, downlink = summary.uplink, summary.downlink
    assert uplink is not None
    assert downlink is not None
    assert uplink.queued_ms <= 200
    assert downlink.queued_ms <= 300
    n_missing = len(words_in(bytes(talk.said))) - len(words_in(bytes(talk.heard)))
    print(
        f"{leg} stalled: live after {back_ms:.0f} ms; up dropped {uplink.dropped_closed_ms:.0f} ms; "
        f"down late {downlink.dropped_late_ms:.0f} ms, caught up {downlink.caught_up_ms:.0f} ms, "
        f"queued {downlink.queued_ms:.0f} ms, missing {n_missing / 8:.0f} ms"
    )
    # What is on its way at the end is not heard yet.
    assert n_missing / 8 <= downlink.dropped_late_ms + 300
    if leg == "vapi":
        assert downlink.dropped_late_ms == downlink.dropped_overflow_ms == 0
        assert words_in(bytes(talk.said)).startswith(words_in(bytes(talk.heard)))
    working[2].cancel()
    await asyncio.gather(working[2], return_exceptions=True)


@pytest.mark.slow
async def test_calls_survive_two_seconds_of_silence_on_the_network() -> None:
    async with (
        faulty() as scene,
        proxied_call(scene, buffer_bytes=4096, number=1) as one,
        proxied_call(scene, buffer_bytes=4096, number=2) as other,
    ):
        await asyncio.gather(stalled(scene, one, "provider"), stalled(scene, other, "vapi"))


@pytest.mark.parametrize("policy", [ANY, EXACT], ids=["any size", "exact"])
@pytest.mark.parametrize("late_ms", [0, 7])
def test_after_vapi_s_stall_no_word_is_cut_and_no_queue_stands_after_the_next_pauses(
    policy: PlayoutPolicy, late_ms: int
) -> None:
    audio = speech(40_000, word_ms=900, pause_ms=1100)
    downlink = Downlink(audio, policy, vapi_stall=Stall(10_000 + late_ms, 12_000 + late_ms))
    assert max(downlink.queued_ms) > 1500
    # It stands for 5 s before it is called standing, and is worked off in the pauses after that.
    assert all(queued_ms <= 300 for queued_ms in downlink.queued_ms[23_000 // 40 :])
    assert words_in(b"".join(downlink.heard)) == words_in(audio)
    assert missing_from_ledger_ms(downlink.stats) == pytest.approx(0, abs=1e-6)
