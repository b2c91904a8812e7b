"""Arguments that do not fit are an error entry of that tool, and what people said is not logged."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from vapimedia import Call
from vapimedia.errors import ConfigError
from vapimedia.io.tools import ToolBox
from vapimedia.protocols.vapi import ToolCall, ToolResult


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """What a user's Struct may do with its arguments."""

    day: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        if self.error == "value":
            raise ValueError(f"no such day: {self.day}")
        if self.error == "key":
            raise KeyError(self.day)


@pytest.mark.parametrize(
    ("arguments", "logged"),
    [
        ({"day": "canary", "error": "value"}, "ValueError (test_tool_box.py"),
        ({"day": "canary", "error": "key"}, "KeyError (test_tool_box.py"),
        ({"canary": 1}, "unknown field"),
        ({"day": ["canary"]}, "Expected `str`, got `array`"),
    ],
)
async def test_a_misfit_spares_its_siblings_and_the_log(
    arguments: dict[str, object], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    counts: Counter[str] = Counter()
    box = ToolBox(1.0, lambda what: counts.update([what]))

    async def hours(call: Call | None, args: Strict) -> str:
        return "9 to 18"

    box.add("hours", hours)
    wanted = [ToolCall("1", "hours", json.dumps(arguments).encode()), ToolCall("2", "hours", b"{}")]
    bad, good = json.loads(await box.answer(None, wanted))["results"]
    assert bad["error"].startswith("the arguments do not fit: ")
    assert good["result"] == "9 to 18" and counts == {"tool_misfit": 1}
    assert logged in caplog.text and "canary" not in caplog.text


@pytest.mark.parametrize(
    "function", [5, dict, max, lambda args: None, lambda call, *, args: None, lambda call, args, more: None]
)
def test_what_cannot_be_called_with_call_and_args_is_refused_in_one_sentence(function: Any) -> None:
    with pytest.raises(ConfigError, match="tool 't' takes a function of two arguments") as caught:
        ToolBox(1.0).add("t", function)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", [lambda *given: len(given), lambda call, args, more=1: 2])
async def test_a_tool_may_take_more_than_it_is_given(function: Any) -> None:
    box = ToolBox(1.0)
    box.add("t", function)
    [entry] = json.loads(await box.answer(None, [ToolCall("1", "t", b"{}")]))["results"]
    box.close()
    assert entry["result"] == "2"


@pytest.mark.parametrize(
    ("result", "logged"),
    [
        ({"a": object()}, "tool 't' returned a dict that cannot be written as JSON"),
        (ToolResult("1", result="ok", message={1j: 2}), "a ToolResult with a part that cannot be written"),
    ],
)
async def test_a_result_that_is_no_json_is_told_and_counted(
    result: object, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    counts: Counter[str] = Counter()
    box = ToolBox(1.0, lambda what: counts.update([what]))
    box.add("t", lambda call, args: result)
    [entry] = json.loads(await box.answer(None, [ToolCall("1", "t", b"{}")]))["results"]
    assert "cannot be written as JSON" in entry["error"]
    assert counts == {"tool_unwritable": 1} and logged in caplog.text


async def test_at_debug_level_the_stack_of_a_tool_that_raises_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def look_up(day: str) -> str:
        raise KeyError(f"no such day: {day}")

    def hours(call: Call | None, args: dict[str, str]) -> str:
        return look_up(args["day"])

    box = ToolBox(1.0)
    box.add("hours", hours)
    wanted = [ToolCall("1", "hours", b'{"day":"canary"}')]
    await box.answer(None, wanted)
    assert "in look_up" not in caplog.text
    with caplog.at_level("DEBUG", "vapimedia"):
        await box.answer(None, wanted)
    assert 'return look_up(args["day"])' in caplog.text and "in look_up" in caplog.text
    assert "canary" not in caplog.text and "_call(" not in caplog.text
