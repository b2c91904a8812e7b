"""The assistant's last words, when its socket is gone before the caller has heard them."""

from __future__ import annotations

import base64

from scene import running
from wire import until


async def test_last_words_beyond_the_lead_are_played_although_vapis_socket_is_gone() -> None:
    words = bytes(1 + i % 90 for i in range(8 * 700))
    async with running(vapi_format="mulaw/8000", lead_ms=100) as scene, scene.call() as (phone, leg):
        await leg.socket.send_bytes(words)
        await leg.say({"type": "status-update", "status": "ended", "endedReason": "assistant-said-goodbye"})
        await until(lambda: leg.is_over)
        heard = b""
        while len(heard) < len(words):
            heard += base64.b64decode((await phone.read_event("media"))["media"]["payload"])
        assert heard == words
        assert await phone.close_code() == 1000
        assert [ended.reason for ended in scene.ended] == ["vapi_ended"]
