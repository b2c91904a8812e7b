"""The log of a call: its names on each line, events in order, a handful at info, and nothing private even at debug."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from scene import call_sid, media, running
from test_secrets import _expect_no_canary, canary, live_one_call, prepare, vapi_with_canaries
from wire import until

from vapimedia.io.log_format import JsonFormatter, TextFormatter

# What is about a call, and what is about a process.
_CALL_LOGGER = "vapimedia.call"


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Everything that is logged below ``vapimedia`` at debug level."""
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    logger, handler = logging.getLogger("vapimedia"), Keep()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(level)


def events_of(records: list[logging.LogRecord]) -> list[str]:
    return [vars(record)["event"] for record in records if record.name == _CALL_LOGGER]


async def test_a_call_tells_its_life_in_order_with_its_names_on_each_line(
    records: list[logging.LogRecord],
) -> None:
    async with running() as scene, scene.call() as (phone, leg):
        for _ in range(10):
            phone.text(media(b"\x10" * 160))
            await leg.socket.send_bytes(b"\x10" * 1600)
        await until(lambda: "first_audio" in events_of(records))
        phone.text({"event": "dtmf", "streamSid": "MZ" + "2" * 32, "dtmf": {"digit": "7"}})
        await leg.say({"type": "user-interrupted"})
        await until(lambda: "barge_in" in events_of(records) and "dtmf" in events_of(records))
        phone.text({"event": "stop", "streamSid": "MZ" + "2" * 32, "stop": {"callSid": call_sid()}})
        await until(lambda: scene.ended)
    about = [record for record in records if record.name == _CALL_LOGGER]
    ours = {vars(record)["call"] for record in about}
    assert len(ours) == 1 and len(ours.pop()) == 8
    assert {vars(record)["call_id"] for record in about} == {call_sid()}
    assert {vars(record)["provider"] for record in about} == {"twilio"}
    made = events_of(records).index("vapi_created")
    assert all(vars(record)["vapi_call_id"] for record in about[made:])
    names = [name for record in about for name in [vars(record)["event"]] if record.levelno >= logging.INFO]
    first_open = names.index("leg_open")
    assert names[:2] == ["call_created", "vapi_created"] or names[0] == "call_created"
    assert first_open > 0 and names.index("media_started") > first_open
    assert names.index("first_audio") > names.index("media_started")
    assert names[-1] == "call_ended" and names.count("call_ended") == 1
    assert names.count("first_audio") == 2 and names.count("leg_open") == 2
    assert len(names) == 8  # a handful
    assert "7" not in {str(value) for record in about for value in vars(record)["fields"].values()}


async def test_no_line_of_a_whole_call_shows_a_canary_in_either_form(
    records: list[logging.LogRecord],
) -> None:
    async with running(
        vapi_with_canaries(),
        prepare,
        vapi_api_key=canary("the API key"),
        vapi_webhook_secret=canary("the webhook secret"),
        twilio_auth_token=canary("Twilio's token"),
    ) as scene:
        scene.bridge.on_event(lambda _call, event: scene.events.append(event))
        await live_one_call(scene, canary("Twilio's token"))
        await until(lambda: "call_ended" in events_of(records))
    forms = io.StringIO()
    for record in records:
        line = JsonFormatter().format(record)
        told = json.loads(line)
        assert {"ts", "level", "event", "logger"} <= told.keys()
        assert record.name != _CALL_LOGGER or told["call_id"] == call_sid()
        print(line, TextFormatter().format(record), file=forms)
    _expect_no_canary(forms.getvalue())
    assert {"tool_failed", "tool_unknown", "call_ended"} <= set(events_of(records))
