"""``vapimedia control``: what a running call is told, and what each mistake is answered with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from aiohttp import web
from plain_settings import isolate

from vapimedia.cli import main
from vapimedia.cli.control import control

KEY = "canary-key"
CALL = "0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)
    monkeypatch.setenv("VAPI_API_KEY", KEY)


@pytest.mark.parametrize(
    "argv,flags,words",
    [
        ([], {}, "--list shows live calls"),
        ([CALL], {}, "verbs are say, add-message"),
        (["say", "Hi."], {}, "the call comes first: vapimedia control CALL say"),
        ([CALL, "mute"], {}, "did you mean 'mute-assistant'"),
        ([CALL, "hangup"], {}, "did you mean 'end-call'"),
        ([CALL, "END_CALL"], {}, "did you mean 'end-call'"),
        ([CALL, "say"], {}, "say needs what to say"),
        ([CALL, "say", " "], {}, "say needs what to say"),
        ([CALL, "end-call", "now"], {}, "end-call takes no text"),
        ([CALL, "say", "Hi."], {"role": "user"}, "--role goes with add-message, not with say"),
        ([CALL, "transfer", "+15005550006"], {"interrupt": True}, "--interrupt goes with say"),
        ([CALL, "add-message", "Hi."], {"role": "me"}, "known are assistant, function, user, system, tool"),
        ([CALL, "append-context", "Hi."], {"kind": "me"}, "known are commentary, thinking, instructions"),
        ([CALL, "transfer", "12345"], {}, "a number in E.164"),
        ([CALL, "transfer", "foo"], {}, "a number in E.164"),
        (["http://api.vapi.ai/1/control", "say", "Hi."], {}, "neither wss nor https\n"),
        ([CALL, "send-transport-message", "{"], {}, "it is not JSON"),
        ([CALL, "send-transport-message", '{"transport":"fax"}'], {}, "message.transport"),
        (["+15005550006", "say", "Hi."], {}, "neither the id of a Vapi call"),
        (["wss://x.vapi.ai/1/listen", "say", "Hi."], {}, "that is the listenUrl"),
        (["https://x.example/1/control", "say", "Hi."], {}, "--vapi-host"),
        ([CALL, "say", "Hi."], {"vapi_url": "http://x.example"}, "must be https"),
        ([CALL], {"list_calls": True}, "--list takes no CALL"),
    ],
)
def test_a_mistake_is_exit_code_2_and_one_line_that_says_what_is_right(
    capsys: pytest.CaptureFixture[str], argv: list[str], flags: dict[str, Any], words: str
) -> None:
    with pytest.raises(typer.Exit) as stopped:
        call, verb = [*argv, None, None][:2]
        control(call, verb, argv[2:], **flags)
    assert stopped.value.exit_code == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("error: ") and words in said.err
    assert "canary" not in said.err and "5550006" not in said.err


@pytest.mark.parametrize("argv", [("--list",), (CALL, "say", "Hi.")])
def test_only_an_id_needs_the_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.delenv("VAPI_API_KEY")
    assert main(["control", *argv]) == 2
    assert "VAPI_API_KEY is not set" in capsys.readouterr().err


class Api:
    url = ""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.status = 200

    async def run(self, *argv: str) -> int:
        return await asyncio.to_thread(main, ["control", *argv])


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()

    async def tell(request: web.Request) -> web.Response:
        body = api.calls if request.path == "/call" else api.calls[0]
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return web.json_response(body)

    async def take(request: web.Request) -> web.Response:
        api.told.append(await request.json())
        return web.json_response({"message": "no"}, status=api.status)

    app = web.Application()
    app.router.add_get("/call", tell)
    app.router.add_get("/call/{id}", tell)
    app.router.add_post("/control", take)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    live = {
        "id": CALL,
        "status": "in-progress",
        "type": "vapi.websocketCall",
        "createdAt": "2027-01-01T00:00:00.5Z",
    }
    api.calls = [
        live | {"monitor": {"controlUrl": f"{api.url}/control"}},
        {"id": "over", "status": "ended"},
    ]
    try:
        yield api
    finally:
        await runner.cleanup()


async def test_a_call_is_told_by_its_id_or_by_its_url_alone(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await api.run(CALL, "say", "One", "moment.", "--interrupt", "--vapi-url", api.url) == 0
    assert "taken say, in" in capsys.readouterr().out
    monkeypatch.delenv("VAPI_API_KEY")
    url = f"{api.url}/control"
    assert await api.run(url, "add-message", "VIP", "--silent", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verb"], said["ok"], "call" in said) == ("add-message", True, False)
    assert await api.run(url, "transfer", "sip:desk@example.test", "--first", "Bye.") == 0
    assert await api.run(url, "send-transport-message", '{"transport":"twilio","twiml":"<Response/>"}') == 0
    assert await api.run(url, "unmute-customer") == 0
    assert api.told == [
        {"type": "say", "content": "One moment.", "interruptAssistantEnabled": True},
        {
            "type": "add-message",
            "message": {"role": "system", "content": "VIP"},
            "triggerResponseEnabled": False,
        },
        {
            "type": "transfer",
            "destination": {"type": "sip", "sipUri": "sip:desk@example.test"},
            "content": "Bye.",
        },
        {"type": "send-transport-message", "message": {"transport": "twilio", "twiml": "<Response/>"}},
        {"type": "control", "control": "unmute-customer"},
    ]


async def test_what_the_call_does_not_take_is_exit_code_1(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.status = 410
    assert await api.run(CALL, "end-call", "--vapi-url", api.url, "--json") == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["ok"], told["status"], told["call"]) == (False, 410, CALL)
    assert said.err.startswith("error: the call does not run")
    api.calls[0] |= {"status": "ended", "endedReason": "silence-timed-out"}
    assert await api.run(CALL, "end-call", "--vapi-url", api.url) == 1
    assert "the call is over: silence-timed-out" in capsys.readouterr().err


async def test_the_live_calls_are_listed_with_their_whole_ids(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await api.run("--list", "--vapi-url", api.url) == 0
    out = capsys.readouterr().out
    assert CALL in out and "in-progress" in out and "over" not in out and "http" not in out
    assert await api.run("--list", "--json", "--vapi-url", api.url) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row == {
        "id": CALL,
        "status": "in-progress",
        "type": "vapi.websocketCall",
        "created_at": "2027-01-01T00:00:00.5Z",
    }
