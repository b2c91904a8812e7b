"""Webhooks that come again: what was answered is answered again, and nothing runs or is told twice.

Vapi sends a server message again if its server has a ``backoffPlan`` and no answer in 2xx came. There is no
delivery id, so a message is known by what it says. Both memories are bounded, in count and in time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from vapimedia.io.errands import Reply
from vapimedia.protocols.vapi import Event, ToolCalls

__all__ = ["Repeats", "key_of"]

_KEPT_S = 600.0
_MAX_ANSWERS = 2048
_MAX_ANSWER_BYTES = 4 << 20
_MAX_TOLD = 20_000


class _Answer(NamedTuple):
    expires_s: float
    reply: asyncio.Future[Reply]


class Repeats:
    """One bridge's. *count* is told of each repeat by a word."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._answers: dict[Hashable, _Answer] = {}
        self._n_bytes = 0
        self._told: dict[Hashable, float] = {}

    async def answer(self, key: Hashable | None, run: Callable[[], Awaitable[Reply]]) -> Reply:
        """Return what *run* answers, or has answered under *key*; while it still runs, wait for it with the others.

        ``None`` is a key that nothing else has. Only answers in 2xx are remembered.
        """
        if key is None:
            return await run()
        loop = asyncio.get_running_loop()
        self._forget_old(loop.time())
        known = self._answers.get(key)
        if known is not None:
            self._count("webhook_repeated")
        while known is not None:
            await asyncio.wait([known.reply])
            if not known.reply.cancelled():
                return known.reply.result()
            known = self._answers.get(key)  # who ran it was cut off; one of those who waited runs it now
        answer = _Answer(loop.time() + _KEPT_S, loop.create_future())
        self._answers[key] = answer
        try:
            reply = await run()
        except BaseException:
            self._drop(key, answer)
            answer.reply.cancel()
            raise
        answer.reply.set_result(reply)
        if self._answers.get(key) is answer:
            self._n_bytes += len(reply.body)
            if not 200 <= reply.status < 300:
                self._drop(key, answer)
        return reply

    def is_new(self, key: Hashable | None) -> bool:
        """Return whether a message that wants no answer comes for the first time, and remember it."""
        if key is None:
            return True
        now_s = asyncio.get_running_loop().time()
        while self._told:
            first, expires_s = next(iter(self._told.items()))
            if expires_s > now_s and len(self._told) < _MAX_TOLD:
                break
            del self._told[first]
        if key in self._told:
            self._count("webhook_repeated")
            return False
        self._told[key] = now_s + _KEPT_S
        return True

    def _forget_old(self, now_s: float) -> None:
        while self._answers:
            key, oldest = next(iter(self._answers.items()))
            is_kept = oldest.expires_s > now_s and len(self._answers) < _MAX_ANSWERS
            if is_kept and self._n_bytes <= _MAX_ANSWER_BYTES:
                break
            self._drop(key, oldest)

    def _drop(self, key: Hashable, answer: _Answer) -> None:
        if self._answers.get(key) is answer:
            del self._answers[key]
            if answer.reply.done() and not answer.reply.cancelled():
                self._n_bytes -= len(answer.reply.result().body)


def key_of(message: Event, body: bytes, *, wants_answer: bool) -> bytes | None:
    """Return what tells *message* from any other, ``None`` where nothing does: 16 bytes, however long it is.

    Tool calls are known by their ids, as long as they ask for the same; requests by call, type and time. Of what
    is only told the content counts too: two transcripts may well be of the same millisecond.
    """
    call_id = message.call_id
    if isinstance(message, ToolCalls):
        asked = tuple((one.id, one.name, hash(one.raw_arguments)) for one in message.calls)
        is_known = call_id and asked and all(one[0] for one in asked)
        return _digest(message.type, call_id, asked) if is_known else None
    if message.timestamp is None:
        return None
    key = (message.type, call_id, message.timestamp)
    return _digest(*key) if wants_answer and call_id else _digest(*key, hash(body))


def _digest(*said: object) -> bytes:
    return hashlib.blake2b(repr(said).encode(), digest_size=16).digest()
