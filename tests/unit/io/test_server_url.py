"""Whatever comes to the server URL gets an answer with a meaning."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia import Bridge, BridgeConfig
from vapimedia.io.book import CallBook
from vapimedia.io.desk import FrontDesk, LocalDesk
from vapimedia.io.handlers import Handlers
from vapimedia.io.server_url import ServerUrl
from vapimedia.io.tools import ToolBox
from vapimedia.protocols.dialect import WebhookRequest
from vapimedia.protocols.vapi import CATALOGUE, Malformed, describe_malformed

DATA = Path(__file__).parents[2] / "data" / "vapi"
TYPES = st.sampled_from([entry.type for entry in CATALOGUE] + ["brand.new", "", 5, None])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["call", "timestamp", "toolCallList", "toolWithToolCallList", "request", "messages", "artifact"]
)
MESSAGES = st.builds(
    lambda type_, fields: {"type": type_} | fields, TYPES, st.dictionaries(NAMES, JSON, max_size=4)
)


async def answer(bodies: list[bytes], **tools: Any) -> list[tuple[int, bytes]]:
    """What a bridge without any function of the user's but *tools* answers, nobody being on the phone."""
    counts: Counter[str] = Counter()
    told: list[object] = []
    config = BridgeConfig(auth=False)
    bridge: Any = SimpleNamespace(config=config, book=CallBook(), count=lambda what: counts.update([what]))
    bridge.handlers, bridge.tools = Handlers(config, bridge.count), ToolBox(18.0, bridge.count)
    for name, function in tools.items():
        bridge.tools.add(name, function)
    bridge.desk = LocalDesk(FrontDesk(config))
    bridge.tell = lambda call, message: told.append(message)
    bridge.run = asyncio.ensure_future
    url = ServerUrl(cast(Bridge, bridge))
    replies = [await url.run(WebhookRequest("POST", "/", {}, body), 0.0) for body in bodies]
    await asyncio.sleep(0)
    return [(reply.status, reply.body) for reply in replies]


@settings(max_examples=20)
@given(st.lists(MESSAGES | JSON, min_size=1, max_size=4), st.booleans())
def test_no_message_breaks_the_answer(messages: list[Any], is_wrapped: bool) -> None:
    bodies = [json.dumps({"message": message} if is_wrapped else message).encode() for message in messages]
    for status, body in asyncio.run(answer(bodies)):
        assert status in (200, 400, 501)
        assert status != 200 or isinstance(json.loads(body), dict)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_answer(body: bytes) -> None:
    [(status, told)] = asyncio.run(answer([body]))
    assert status in (200, 400) and told.count(b"\n") <= 1


async def test_every_message_that_vapi_documents_is_taken() -> None:
    files = [
        path
        for path in sorted(DATA.glob("*.json"))
        if path.name.split(".json")[0].split(".")[0] != "response"
    ]
    bodies = [body for body in (path.read_bytes() for path in files) if b'"message"' in body[:40]]
    assert len(bodies) > 30
    statuses = Counter(status for status, _ in await answer(bodies))
    assert set(statuses) <= {200, 501}


@pytest.mark.parametrize(
    ("text", "body", "expected"),
    [
        ("Expected `str`, got `int` - at `$.a`", b'{"type":"x"}', "$.a: Expected str, got int"),
        (
            "Expected `str`, got `int` - at `$.a`",
            b'{"message":{"a":1}}',
            "$.message.a: Expected str, got int",
        ),
        ("Expected `str` - at `$.message.a`", b'{"message":{"a":1}}', "$.message.a: Expected str"),
        ("Invalid value 'canary' - at `$.a`", b"{}", "$.a: Invalid value '...'"),
        ("Invalid value 'it's a canary' - at `$.a`", b"{}", "$.a: Invalid value '...'"),
        ("Object contains unknown field `a canary` - at `$.a`", b"{}", "$.a: Object contains unknown field"),
        ("JSON is malformed (byte 3)", b"{{{", "$: JSON is malformed (byte 3)"),
    ],
)
def test_an_error_names_its_place_in_the_whole_body_and_no_value(
    text: str, body: bytes, expected: str
) -> None:
    assert describe_malformed(Malformed("wrong_field", "x", text), body) == expected


async def _hours(_call: object, args: dict[str, str]) -> str:
    return f"open\non {args['day']}"


async def _broken(_call: object, _args: dict[str, Any]) -> None:
    raise RuntimeError("canary")


async def test_the_legacy_function_call_is_answered_by_the_tool_of_its_name() -> None:
    def asked(name: str, day: str) -> bytes:
        told = {"type": "function-call", "call": {"id": "c"}, "timestamp": 1}
        return json.dumps(
            {"message": told | {"functionCall": {"name": name, "parameters": {"day": day}}}}
        ).encode()

    bodies = [
        asked("hours", "monday"),
        asked("hours", "friday"),
        asked("broken", "monday"),
        asked("other", "monday"),
    ]
    first, second, failed, other = await answer(bodies, hours=_hours, broken=_broken)
    assert [first, second] == [
        (200, b'{"result":"open on monday"}'),
        (200, b'{"result":"open on friday"}'),
    ]
    assert failed[0] == 200
    assert list(json.loads(failed[1])) == ["result"]
    assert other == (200, b"{}")
