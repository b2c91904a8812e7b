"""Arguments that do not fit are an error entry of that tool, and what people said is not logged."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest

from vapimedia import Call
from vapimedia.io.tools import ToolBox
from vapimedia.protocols.vapi import ToolCall


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
