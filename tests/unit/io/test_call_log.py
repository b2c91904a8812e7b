"""Lines about a call: its names on each, fields that are the same as text and as JSON, and nothing from outside raw."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator

import pytest

from vapimedia.io.call_log import NOBODY, CallLog, CallNames, HidesWords, about, plain, told_of, word_of
from vapimedia.io.log_format import JsonFormatter, TextFormatter, write_log

NAMES = CallNames("3f9a1c2e", "CA1", "vapi-1", "twilio")
HOSTILE = "a\nERROR vapimedia: forged\r\x1b[31m\x00\u2028\u202e" + "x" * 1000


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, handler = logging.getLogger("vapimedia.call"), Keep()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_line_holds_the_event_the_names_and_the_fields(lines: list[logging.LogRecord]) -> None:
    about(NAMES).of_leg("vapi").note("leg_open", "as %s", "meant", n=3, ms=1.5, ok=True, of="two words")
    assert lines[0].getMessage() == (
        "leg_open call=3f9a1c2e call_id=CA1 vapi_call_id=vapi-1 provider=twilio leg=vapi n=3 ms=1.5 ok=true "
        'of="two words": as meant'
    )
    record = lines[0].__dict__
    assert {name: record[name] for name in ("event", "call_id", "leg")} == {
        "event": "leg_open",
        "call_id": "CA1",
        "leg": "vapi",
    }
    assert record["fields"] == {"n": 3, "ms": 1.5, "ok": True, "of": "two words"}


def test_names_that_are_not_known_yet_are_left_out(lines: list[logging.LogRecord]) -> None:
    names = CallNames("3f9a1c2e", provider="twilio")
    log = CallLog(lambda: names)
    log.note("call_created")
    names = names._replace(call_id="CA1")
    log.note("call_progress")
    NOBODY.trouble("tool_unknown")
    assert [record.getMessage() for record in lines] == [
        "call_created call=3f9a1c2e provider=twilio",
        "call_progress call=3f9a1c2e call_id=CA1 provider=twilio",
        "tool_unknown",
    ]


def test_each_method_has_its_level(lines: list[logging.LogRecord]) -> None:
    log = about(NAMES)
    for write in (log.detail, log.note, log.trouble, log.fault):
        write("x")
    log.broke("x", ValueError("canary"))
    assert [record.levelname for record in lines] == ["DEBUG", "INFO", "WARNING", "ERROR", "ERROR"]


def test_what_comes_from_outside_stays_on_its_line(lines: list[logging.LogRecord]) -> None:
    about(NAMES._replace(call_id=HOSTILE)).note("x", detail=HOSTILE)
    text = TextFormatter().format(lines[0])
    assert "\n" not in text and text.isprintable() and len(text) < 1000
    assert len(JsonFormatter().format(lines[0]).splitlines()) == 1


def test_an_error_is_told_by_type_and_place(lines: list[logging.LogRecord]) -> None:
    try:
        raise ValueError("canary words\nof a caller")
    except ValueError as error:
        about(NAMES).broke("message_failed", error)
        assert told_of(error).startswith("ValueError at test_call_log.py:")
    assert "ValueError at test_call_log.py" in lines[0].getMessage()
    assert "canary" not in JsonFormatter().format(lines[0])


def test_a_line_of_json_is_an_object_with_the_promised_keys(lines: list[logging.LogRecord]) -> None:
    about(NAMES).of_leg("provider").trouble("audio_dropped", direction="up", dropped_flood_ms=40.0)
    read = json.loads(JsonFormatter(worker=2).format(lines[0]))
    assert read.pop("ts").endswith("+00:00")
    assert read == {
        "level": "warning",
        "event": "audio_dropped",
        "call": "3f9a1c2e",
        "call_id": "CA1",
        "vapi_call_id": "vapi-1",
        "provider": "twilio",
        "leg": "provider",
        "worker": 2,
        "logger": "vapimedia.call",
        "direction": "up",
        "dropped_flood_ms": 40.0,
    }


def test_a_field_never_takes_the_place_of_a_key(lines: list[logging.LogRecord]) -> None:
    about(NAMES).note("x", level="forged", ts="forged")
    read = json.loads(JsonFormatter().format(lines[0]))
    assert read["level"] == "info" and read["ts"] != "forged"


def test_any_record_is_one_line() -> None:
    record = logging.LogRecord("other", logging.INFO, "", 1, "%s", ("a\nb\x1b\u2029c",), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "a\nb\x1b\u2029c"
    assert len(JsonFormatter().format(record).splitlines()) == 1
    assert TextFormatter(worker=2).format(record).endswith("INFO worker 2 other: a\n    b??c")


def test_the_words_of_an_exception_are_left_out_where_a_library_logs_it() -> None:
    logger, text = logging.getLogger("test_call_log.library"), io.StringIO()
    logger.addFilter(HidesWords())
    handler = logging.StreamHandler(text)
    logger.addHandler(handler)
    try:
        raise ValueError("canary")
    except ValueError:
        logger.exception("a request failed")
    logger.removeHandler(handler)
    assert "a request failed: ValueError at test_call_log.py" in text.getvalue()
    assert "canary" not in text.getvalue() and len(text.getvalue().splitlines()) == 1


async def test_what_asyncio_says_of_an_exception_has_none_of_its_words_nor_of_a_callbacks_arguments() -> None:
    logger, text = logging.getLogger("asyncio"), io.StringIO()
    handler, hides = logging.StreamHandler(text), HidesWords()
    logger.addHandler(handler)
    logger.addFilter(hides)

    def fail(words: str) -> None:
        raise ValueError(words)

    async def fail_alone() -> None:
        fail("canary")

    try:
        loop = asyncio.get_running_loop()
        loop.call_soon(fail, "canary")
        alone = asyncio.ensure_future(fail_alone())
        await asyncio.wait([alone])
        del alone
        gc.collect()
        await asyncio.sleep(0)
    finally:
        logger.removeFilter(hides)
        logger.removeHandler(handler)
    said = text.getvalue()
    assert "Exception in callback" in said and "Task exception was never retrieved" in said
    assert said.count(": ValueError at test_call_log.py") == 2
    assert "canary" not in said and len(said.splitlines()) == 2


@pytest.mark.parametrize(
    "text,shown",
    [
        ("look_up", "look_up"),
        ("customer-ended-call", "customer-ended-call"),
        ("words of a caller", "(17 characters)"),
        ("x" * 65, "(65 characters)"),
        ("a15557770123", "(12 characters)"),
        ("a\nb", "(3 characters)"),
        ("", "(0 characters)"),
    ],
)
def test_a_peers_word_is_shown_if_it_is_one(text: str, shown: str) -> None:
    assert word_of(text) == shown


def test_plain_text_is_printable_and_short() -> None:
    assert plain("a\nb\x00c") == "a?b?c" and plain("ab", 1) == "a..."


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_process_writes_its_log_in_one_form(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr("sys.stderr", text)
    kept, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        write_log("info", "json" if form == "json" else "text")
        write_log("debug", "json" if form == "json" else "text")  # again: no line comes twice
        about(NAMES).note("call_created")
    finally:
        root.handlers[:], root.level = kept, level
        root.setLevel(level)
    (line,) = [one for one in text.getvalue().splitlines() if "call_created" in one]
    assert (json.loads(line)["call_id"] == "CA1") if form == "json" else ("call_id=CA1" in line)
