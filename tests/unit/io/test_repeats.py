"""A webhook that comes again runs nothing again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from vapimedia.io import repeats
from vapimedia.io.errands import Reply
from vapimedia.io.repeats import Repeats, key_of
from vapimedia.protocols.vapi import Event, decode_server_message


class Asked:
    """Something that answers, and how often it was asked."""

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.n = 0
        self.status, self.body = status, body
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> Reply:
        self.n += 1
        await self.may_answer.wait()
        return Reply(self.status, self.body or str(self.n).encode())


async def test_what_was_answered_is_answered_again_and_counted() -> None:
    counted: list[str] = []
    memory, asked = Repeats(counted.append), Asked(body=b"")
    replies = [await memory.answer("a", asked) for _ in range(3)]
    assert asked.n == 1 and len(set(replies)) == 1
    assert counted == ["webhook_repeated"] * 2
    await memory.answer("b", asked)
    assert asked.n == 2


async def test_a_repeat_joins_the_one_that_still_runs() -> None:
    memory, asked = Repeats(lambda what: None), Asked()
    asked.may_answer.clear()
    both = [asyncio.ensure_future(memory.answer("a", asked)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked.may_answer.set()
    assert len(set(await asyncio.gather(*both))) == 1 and asked.n == 1


async def test_who_joined_does_it_anew_when_the_first_is_cut_off() -> None:
    memory, asked = Repeats(lambda what: None), Asked()
    asked.may_answer.clear()
    first, *others = (asyncio.ensure_future(memory.answer("a", asked)) for _ in range(4))
    await asyncio.sleep(0)
    first.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    asked.may_answer.set()
    assert len({await other for other in others}) == 1 and asked.n == 2


async def test_what_nothing_else_has_and_what_was_refused_is_not_remembered() -> None:
    memory, asked = Repeats(lambda what: None), Asked()
    for _ in range(2):
        await memory.answer(None, asked)
    refused = Asked(status=503)
    for _ in range(2):
        await memory.answer("a", refused)
    assert (asked.n, refused.n) == (2, 2)
    assert memory.is_new(None) and memory.is_new(None)


async def test_both_memories_are_bounded_in_count_bytes_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_MAX_ANSWERS", 10)
    monkeypatch.setattr(repeats, "_MAX_TOLD", 10)
    monkeypatch.setattr(repeats, "_MAX_ANSWER_BYTES", 500)
    memory, asked = Repeats(lambda what: None), Asked(body=b"x" * 100)
    for number in range(50):
        await memory.answer(number, asked)
        assert memory.is_new(number) and not memory.is_new(number)
        assert len(memory._answers) <= 10 and len(memory._told) <= 10
        assert memory._n_bytes == 100 * len(memory._answers) <= 600
    assert memory.is_new(0)
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now_s + 601)
    await memory.answer(49, asked)
    assert asked.n == 51 and memory.is_new(49)


def message(**fields: Any) -> tuple[Event, bytes]:
    body = msgspec.json.encode({"message": {"type": "hang", "call": {"id": "c1"}, "timestamp": 7.0} | fields})
    decoded = decode_server_message(body)
    assert isinstance(decoded, Event)
    return decoded, body


def tool_call(id_: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool-calls", "toolCallList": [{"id": id_, "name": "t", "arguments": {"a": 1}}]} | fields


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({}, {}, True),
        ({}, {"timestamp": 8.0}, False),
        ({}, {"call": {"id": "c2"}}, False),
        ({"type": "speech-update", "role": "user"}, {"type": "speech-update", "role": "assistant"}, False),
        (tool_call("i1"), tool_call("i1", timestamp=9.0), True),
        (tool_call("i1"), tool_call("i2"), False),
    ],
)
def test_a_message_is_known_by_what_it_says(one: Any, other: Any, is_same: bool) -> None:
    keys = [key_of(*message(**fields), wants_answer=False) for fields in (one, other)]
    assert None not in keys
    assert (keys[0] == keys[1]) is is_same


@pytest.mark.parametrize(
    "fields", [{"timestamp": None}, tool_call(""), tool_call("i1", call={}), {"type": "tool-calls"}]
)
def test_what_nothing_tells_from_others_has_no_key(fields: Any) -> None:
    assert key_of(*message(**fields), wants_answer=True) is None


def test_a_key_is_short_however_long_the_message() -> None:
    call = {"id": "c" * 100_000}
    for fields in ({"call": call}, tool_call("i" * 100_000, call=call)):
        key = key_of(*message(**fields), wants_answer=True)
        assert key is not None and len(key) == 16


def test_a_request_is_the_same_whatever_else_it_holds_by_now() -> None:
    requests = [message(type="transfer-destination-request", artifact={"n": n}) for n in range(2)]
    assert len({key_of(*one, wants_answer=True) for one in requests}) == 1
