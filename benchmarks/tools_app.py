"""The bridge of ``tools_beside_media.py``: tools that wait as real ones do, on the loop and in threads."""

from __future__ import annotations

import asyncio
import time

import msgspec

from vapimedia import Bridge, Call

bridge = Bridge()


class Question(msgspec.Struct):
    number: int


@bridge.tool("in_a_task")
async def in_a_task(call: Call | None, args: Question) -> dict[str, int]:
    await asyncio.sleep(0.05)
    return {"answer": args.number}


@bridge.tool("in_a_thread")
def in_a_thread(call: Call | None, args: Question) -> str:
    time.sleep(0.05)
    return f"the answer\nis {args.number}"


@bridge.tool("too_late")
async def too_late(call: Call | None, args: Question) -> str:
    await asyncio.sleep(60)
    return "nobody waits for this"
