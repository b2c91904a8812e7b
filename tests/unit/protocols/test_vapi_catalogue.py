"""The catalogue of Vapi's messages is the decoders' and the documentation's.

``python tests/unit/protocols/test_vapi_catalogue.py`` writes the table in docs/reference/vapi.md anew.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from vapimedia import Bridge
from vapimedia.errors import ProtocolError
from vapimedia.protocols import vapi
from vapimedia.protocols.vapi import CATALOGUE, Entry, decode_event, decode_reply, decode_server_message

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "vapi.md"
BEGIN, END = "<!-- catalogue: begin -->\n", "<!-- catalogue: end -->"


def table() -> str:
    rows = [
        "| message | class | comes by | handler | answer | deadline |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in CATALOGUE:
        ways = [way for way, used in (("socket", entry.on_socket), ("webhook", entry.on_webhook)) if used]
        handler = {"": "", "tool": "`tool(name)`"}.get(entry.handler, f"`{entry.handler}`")
        reply = f"`{entry.reply.__name__}`" if entry.reply is not None else "audio" * bool(entry.deadline_s)
        deadline = f"{entry.deadline_s:g} s" if entry.deadline_s else ""
        cells = (f"`{entry.type}`", f"`{entry.struct.__name__}`", ", ".join(ways), handler, reply, deadline)
        rows.append(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))
    return "\n".join(rows) + "\n"


def parts() -> tuple[str, str, str]:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, _, after = rest.partition(END)
    return before, shown, after


def test_the_table_in_the_documentation_is_the_catalogue() -> None:
    assert parts()[1] == table(), "run: python tests/unit/protocols/test_vapi_catalogue.py"


def test_the_decoders_know_the_catalogues_types_and_no_others() -> None:
    assert {entry.struct for entry in CATALOGUE} == set(vapi.server_messages.SERVER_MESSAGE_TYPES)
    assert {entry.struct for entry in CATALOGUE if entry.on_socket} == set(vapi.events.EVENT_TYPES)
    assert len({entry.type for entry in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.type)
def test_each_entry_is_what_happens(entry: Entry) -> None:
    body = json.dumps({"type": entry.type})
    assert type(decode_server_message(body)) is entry.struct
    assert type(decode_event(body)) is (entry.struct if entry.on_socket else vapi.UnknownEvent)
    assert (entry.deadline_s is not None) is (entry.reply is not None or entry.handler == "")
    if entry.reply is None:
        with pytest.raises(ProtocolError):
            decode_reply(entry.type, b"{}")


def test_every_handler_is_a_decorator_of_the_bridge() -> None:
    assert [
        e.handler for e in CATALOGUE if e.handler and not callable(getattr(Bridge, e.handler, None))
    ] == []


def test_every_class_of_the_package_that_is_an_answer_is_in_the_catalogue() -> None:
    answers = {
        kind for kind in vars(vapi).values() if isinstance(kind, type) and issubclass(kind, vapi.Reply)
    }
    assert answers - {vapi.Reply} <= {entry.reply for entry in CATALOGUE}


def test_what_the_page_shows_runs() -> None:
    [block] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    exec(block, {})


if __name__ == "__main__":
    head, _, tail = parts()
    PAGE.write_text(head + BEGIN + table() + END + tail, encoding="utf-8")
    sys.stdout.write(table())
