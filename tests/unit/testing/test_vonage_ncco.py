"""The judge of NCCOs lets through what Vonage's own models make, and nothing undocumented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_vonage_bridge import ncco
from vonage_voice.models import Connect, Talk
from vonage_voice.models.common import WebsocketAuthorization
from vonage_voice.models.connect_endpoints import PhoneEndpoint, WebsocketEndpoint

from vapimedia.testing.vonage_ncco import judge_call_body, parse_ncco, read_actions
from vapimedia.testing.vonage_wire import judge_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
@pytest.mark.parametrize("authorization", [None, {"type": "vonage"}, {"type": "custom", "value": "x"}])
def test_an_ncco_of_the_official_models_has_no_violations(
    rate: int, authorization: dict[str, str] | None
) -> None:
    endpoint = WebsocketEndpoint(
        uri="wss://voice.example.com/vonage/media/t0?a=b",
        contentType=f"audio/l16;rate={rate}",
        headers={"call_uuid": "c0"},
        authorization=WebsocketAuthorization(**authorization) if authorization else None,
    )
    connect = Connect(
        endpoint=[endpoint],
        from_="15005550001",
        eventType="synchronous",
        eventUrl=["https://voice.example.com/vonage/event"],
        eventMethod="POST",
        limit=7200,
        timeout=30,
    )
    actions = [connect, Talk(text="Goodbye.")]
    made = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in actions]
    found = parse_ncco(json.dumps(made))
    assert found.violations == []
    assert (found.fmt.sample_rate, found.uri) == (rate, endpoint.uri)
    assert (found.synchronous, found.from_, found.headers) == (True, "15005550001", {"call_uuid": "c0"})
    assert [action["action"] for action in found.after] == ["talk"]


def test_a_fallback_to_a_phone_of_the_official_models_has_no_violations() -> None:
    connect = Connect(endpoint=[PhoneEndpoint(number="15005550002")], from_="15005550001")
    made = [connect.model_dump(mode="json", by_alias=True, exclude_none=True)]
    assert read_actions(made).violations == []
    assert read_actions(made).uri is None


@pytest.mark.parametrize(
    "changes",
    [
        {"uri": "https://voice.example.com/media"},
        {"uri": "wss://voice.example.com/media#part"},
        {"uri": "wss://["},
        {"uri": None},
        {"content-type": "audio/l16;rate=44100"},
        {"content-type": {}},
        {"contentType": "audio/l16;rate=16000"},
        {"headers": {"long": "x" * 502}},
        {"headers": ["a"]},
        {"headers": {"event": "mine"}},
        {"authorization": {"type": "basic"}},
        {"authorization": {"type": "custom"}},
        {"authorization": {"type": "custom", "value": "x", "more": 1}},
    ],
)
def test_an_endpoint_must_be_as_documented(changes: dict[str, Any]) -> None:
    assert len(read_actions(ncco(**changes)).violations) == 1


def test_headers_of_512_bytes_are_taken() -> None:
    assert read_actions(ncco(headers={"x": "y" * 504})).violations == []
    assert read_actions(ncco(headers={"x": "y" * 505})).violations != []


@pytest.mark.parametrize(
    "changes",
    [
        {"eventType": "asynchronous"},
        {"eventUrl": "https://voice.example.com/vonage/event"},
        {"eventUrl": []},
        {"eventMethod": "PUT"},
        {"limit": 7201},
        {"timeout": "60"},
        {"from": "+15005550001"},
        {"randomFromNumber": True},
        {"event_url": []},
        {"endpoint": []},
    ],
)
def test_a_connect_action_must_be_as_documented(changes: dict[str, Any]) -> None:
    (connect,) = ncco()
    assert len(read_actions([connect | changes]).violations) == 1


def test_an_ncco_connects_to_one_socket() -> None:
    assert read_actions(ncco() + ncco()).violations != []
    assert read_actions([]).violations == []


def test_a_connect_action_may_leave_out_its_caller() -> None:
    # By the NCCO reference; the models of Vonage's SDK want from or randomFromNumber.
    (connect,) = ncco()
    del connect["from"]
    found = read_actions([connect])
    assert (found.violations, found.from_) == ([], None)


@pytest.mark.parametrize(
    "action",
    [
        {"action": "talk"},
        {"action": "talk", "text": ""},
        {"action": "talk", "text": 5},
        {"action": "stream"},
        {"action": "conversation"},
        {"action": "notify"},
    ],
)
def test_an_action_has_what_it_cannot_do_without(action: dict[str, Any]) -> None:
    assert len(read_actions([action]).violations) == 1


def test_what_comes_after_is_what_follows_the_socket() -> None:
    phone = {"action": "connect", "endpoint": [{"type": "phone", "number": "15005550002"}]}
    talk = {"action": "talk", "text": "Goodbye."}
    found = read_actions([phone, *ncco(), talk])
    assert (found.violations, found.after) == ([], [talk])
    assert read_actions([phone, talk]).after == []


@pytest.mark.parametrize("document", ["", "{}", "[1]", '[{"action":"fly"}]', '[{"action":["connect"]}]'])
def test_what_is_no_ncco_is_a_violation(document: str) -> None:
    assert parse_ncco(document).violations != []


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_nothing_makes_the_judges_raise(data: st.DataObject) -> None:
    (connect,) = ncco()
    endpoint = connect["endpoint"][0]
    keys = st.sampled_from([*sorted(connect), "timeout", "limit", "randomFromNumber"])
    ends = st.sampled_from(sorted(endpoint))
    broken = connect | data.draw(st.dictionaries(keys, JSON, max_size=2))
    if isinstance(broken["endpoint"], list) and broken["endpoint"][:1] == [endpoint]:
        broken["endpoint"] = [endpoint | data.draw(st.dictionaries(ends, JSON, max_size=2))]
    parse_ncco(json.dumps([broken]))
    judge_call_body(broken | {"to": [endpoint]} | data.draw(st.dictionaries(st.text(max_size=4), JSON)))
    judge_call_body(data.draw(JSON))
    judge_message(json.dumps(data.draw(JSON)))
