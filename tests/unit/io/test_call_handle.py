"""What a user does with a call from a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from vapimedia.io.hooks import Call, CallInfo


class Live:
    """Notes in which thread it is told something."""

    call_id = vapi_call_id = ""
    info = CallInfo(provider="twilio")

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def hang_up(self, reason: str) -> None:
        self.told.append((reason, threading.get_ident()))


def test_a_call_is_told_everything_in_its_own_thread_and_nothing_once_that_has_ended() -> None:
    live: Any = Live()

    async def main() -> Call:
        call = Call(live)
        call.hang_up("here")
        assert len(live.told) == 1  # at once
        await asyncio.to_thread(call.hang_up, "from a thread")
        await asyncio.to_thread(asyncio.run, hang_up(call))
        await asyncio.sleep(0)
        return call

    async def hang_up(call: Call) -> None:
        call.hang_up("from another loop")

    call = asyncio.run(main())
    call.hang_up("too late")
    here = threading.get_ident()
    assert live.told == [("here", here), ("from a thread", here), ("from another loop", here)]
