"""``vapimedia dial``, whole: the command in this process, both APIs and Vapi as fakes in a thread of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
from outbound_scene import (
    API_KEY,
    APPLICATION,
    FROM,
    NO_ANSWER,
    PROVIDERS,
    SIGNATURE_SECRET,
    TO,
    application_key,
)
from plain_settings import isolate
from scene import ACCOUNT, AUTH_TOKEN, PUBLIC_URL
from twilio.request_validator import RequestValidator

from vapimedia.cli import main
from vapimedia.testing import AssistantScript, EndCall, FakeTwilioApi, FakeVapi, Pause, SendText
from vapimedia.testing.fake_vonage_api import FakeVonageApi

both = pytest.mark.parametrize("provider", PROVIDERS)


def transcript(role: str, words: str) -> SendText:
    event = {"type": "transcript", "role": role, "transcriptType": "final", "transcript": words}
    return SendText(json.dumps(event))


SCRIPT = AssistantScript(
    (
        transcript("assistant", "Hello, [red]this[/] is\x1b[2J the shop"),
        transcript("user", "Hi"),
        transcript("user", "Hi"),  # as by webhook
        Pause(100),
        EndCall(),
    )
)


class Backstage:
    """Vapi and the API of *provider*, on a loop in a thread."""

    def __init__(self, provider: str, **wanted: Any) -> None:
        self.provider = provider
        self.port = _free_port()
        self.assistant = wanted.pop("assistant", SCRIPT)
        self.wanted = {"ring_s": 0.05, "max_s": 10} | wanted
        self.api: Any = None
        self.vapi: Any = None
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._ready: Future[None] = Future()

    def _api(self) -> FakeTwilioApi | FakeVonageApi:
        where = {"public_url": PUBLIC_URL, "bridge_url": f"http://127.0.0.1:{self.port}"}
        if self.provider == "twilio":
            return FakeTwilioApi(account_sid=ACCOUNT, auth_token=AUTH_TOKEN, **self.wanted, **where)
        wanted = {"outcomes" if name == "outcome" else name: value for name, value in self.wanted.items()}
        return FakeVonageApi(
            application_id=APPLICATION,
            public_key=application_key()[1],
            api_key=API_KEY,
            signature_secret=SIGNATURE_SECRET,
            **wanted,
            **where,
        )

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        async with FakeVapi(assistant=self.assistant) as self.vapi, self._api() as self.api:
            self._ready.set_result(None)
            await self._stop.wait()
        await asyncio.sleep(0.05)  # closed sockets are let go of a moment later

    @contextmanager
    def running(self) -> Iterator[Backstage]:
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        thread.start()
        self._ready.result(10)
        try:
            yield self
        finally:
            assert self._stop is not None
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)
            self._loop.close()

    def environ(self) -> dict[str, str]:
        return {
            "VAPI_API_KEY": "vapi-test-key",
            "VAPI_WEBHOOK_SECRET": "webhook-secret",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_API_URL": self.api.url,
            "VAPIMEDIA_TWILIO_FROM": FROM,
            "VONAGE_API_KEY": API_KEY,
            "VONAGE_APPLICATION_ID": APPLICATION,
            "VONAGE_PRIVATE_KEY": application_key()[0],
            "VONAGE_SIGNATURE_SECRET": SIGNATURE_SECRET,
            "VONAGE_API_URL": self.api.url,
            "VAPIMEDIA_VONAGE_FROM": FROM,
        }

    def argv(self, *more: str) -> list[str]:
        where = ["--public-url", PUBLIC_URL, "--port", str(self.port), "--vapi-url", self.vapi.url]
        return ["dial", "--provider", self.provider, "--assistant-id", "asst_1", *where, *more]

    @property
    def made(self) -> list[Any]:
        return self.api.dialled if self.provider == "twilio" else self.api.calls  # type: ignore[no-any-return]

    @property
    def asked_to_end(self) -> int:
        """How often the API was asked to end a call."""
        if self.provider == "twilio":
            return len(self.api.posts)
        return sum(one.method == "PUT" for one in self.api.requests)

    def when(self, condition: Callable[[], object], do: Callable[[], object]) -> threading.Thread:
        """Do something once *condition* holds, beside the command."""

        def work() -> None:
            for _ in range(2000):
                if condition():
                    do()
                    return
                threading.Event().wait(0.005)

        thread = threading.Thread(target=work)
        thread.start()
        return thread


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@contextmanager
def backstage(monkeypatch: pytest.MonkeyPatch, provider: str, **wanted: Any) -> Iterator[Backstage]:
    with Backstage(provider, **wanted).running() as behind:
        for name, value in behind.environ().items():
            monkeypatch.setenv(name, value)
        yield behind


@both
def test_a_call_that_is_answered_is_told_step_by_step_and_exits_with_0(
    provider: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    with backstage(monkeypatch, provider) as behind:
        assert main(behind.argv(TO)) == 0
        assert behind.api.violations == [] and len(behind.made) == 1
    said = capsys.readouterr()
    lines = [line.split(" s  ", 1)[1].split(None, 1) for line in said.out.splitlines() if " s  " in line]
    steps = [line[0] for line in lines]
    assert {"queued", "ringing", "answered", "live"} <= set(steps) and steps[-1] == "ended"
    assert steps.index("ringing") < steps.index("answered")
    assert steps.count("called") == 1 and ["called", "Hi"] in lines
    assert "Hello, [red]this[/] is [2J the shop" in said.out  # neither markup nor control characters
    assert lines[-1][1].startswith("vapi_ended (assistant-ended-call)")
    assert said.out.startswith("Calling +1555***0456") and said.err == ""
    for digits in (TO[1:], FROM[1:]):
        assert digits not in said.out + said.err + caplog.text


@both
def test_json_is_one_object_at_the_end(
    provider: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with backstage(monkeypatch, provider) as behind:
        assert main([*behind.argv(TO), "--json"]) == 0
        call = behind.made[0]
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert said.err == "" and told["error"] is None and told["answered"] is True
    assert (told["provider"], told["end_reason"], told["detail"]) == (
        provider,
        "vapi_ended",
        "assistant-ended-call",
    )
    assert told["call_id"] == (call.sid if provider == "twilio" else call.call.call_uuid)
    statuses = [step["status"] for step in told["statuses"]]
    assert {"queued", "ringing", "answered", "live"} <= set(statuses) and statuses[-1] == "ended"
    times = [step["at_ms"] for step in told["statuses"]]
    assert times == sorted(times) and told["duration_ms"] > 0
    assert TO[1:] not in said.out and "Hi" not in said.out


@pytest.mark.parametrize(
    "provider,outcome,words",
    [
        ("twilio", "busy", "the line is busy"),
        ("twilio", "no-answer", "nobody answered"),
        ("twilio", "failed", "the provider could not make the call"),
        ("twilio", "canceled", "cancelled before anybody answered"),
        ("vonage", "busy", "the line is busy"),
        ("vonage", "unanswered", "nobody answered"),
        ("vonage", "rejected", "the call was rejected"),
        ("vonage", "failed", "the provider could not make the call"),
    ],
)
def test_a_call_that_nobody_answers_exits_with_1_and_says_why(
    provider: str,
    outcome: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with backstage(monkeypatch, provider, outcome=outcome) as behind:
        assert main([*behind.argv(TO), "--json"]) == 1
        assert behind.vapi.requests == []
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and words in said.err and len(said.err.splitlines()) == 1
    assert words in json.loads(said.out)["error"] and json.loads(said.out)["answered"] is False


@both
def test_an_api_that_refuses_exits_with_1_and_says_what_it_said(
    provider: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with backstage(monkeypatch, provider, status=401) as behind:
        assert main([*behind.argv(TO), "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {provider.title()} refused the call: ")
    assert json.loads(said.out)["end_reason"] == "failed"


def test_a_machine_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = AssistantScript((Pause(500), EndCall()))
    with backstage(monkeypatch, "twilio", outcome="machine", amd_s=0.05, assistant=script) as behind:
        assert main(behind.argv(TO, "--machine-detection", "Enable")) == 0
    assert "machine    machine_start" in capsys.readouterr().out


@both
@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_rings_hangs_up_at_the_provider(
    provider: str,
    number: signal.Signals,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with backstage(monkeypatch, provider, ring_s=20) as behind:
        pressing = behind.when(lambda: behind.made, lambda: os.kill(os.getpid(), number))
        assert main([*behind.argv(TO), "--json"]) == code
        pressing.join()
        assert behind.asked_to_end == 1 and behind.vapi.requests == []
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert said.err == "" and told["end_reason"] == "hang_up"
    assert told["error"] == f"interrupted by {number.name}"


@both
def test_ctrl_c_in_a_live_call_hangs_up_at_both_sides(
    provider: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with backstage(monkeypatch, provider, assistant=None) as behind:
        pressing = behind.when(
            lambda: any(call.uplink for call in behind.vapi.calls.values()),
            lambda: os.kill(os.getpid(), signal.SIGINT),
        )
        assert main(behind.argv(TO)) == 130
        pressing.join()
        assert behind.asked_to_end == 1
    assert "hang_up (interrupted)" in capsys.readouterr().out


def test_the_media_socket_alone_is_called_with_a_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    document = [{"action": "talk", "text": "Hello"}]
    (tmp_path / "ncco.json").write_text(json.dumps(document))
    with backstage(monkeypatch, "vonage") as behind:
        assert main(behind.argv("--document", "ncco.json")) == 0
        assert behind.made[0].body["ncco"] == document
    assert capsys.readouterr().out.startswith("Calling the media socket alone")


def test_an_app_may_choose_the_assistant_and_sees_its_events(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dialling_shop.py").write_text(
        "from vapimedia import Bridge, CallOptions\n"
        "bridge = Bridge()\n"
        "seen = []\n"
        "@bridge.on_call\n"
        "async def choose(info):\n"
        "    return CallOptions(assistant_id=f'asst_of_{info.direction}')\n"
        "bridge.on_event(lambda call, event: seen.append(type(event).__name__))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with backstage(monkeypatch, "twilio") as behind:
        argv = behind.argv(TO, "--app", "dialling_shop:bridge")
        at = argv.index("--assistant-id")
        assert main([*argv[:at], *argv[at + 2 :]]) == 0
        assert behind.vapi.requests[0].body["assistantId"] == "asst_of_outbound"
    import dialling_shop  # type: ignore[import-not-found]  # it was just written

    assert dialling_shop.seen[-1] == "CallEnded" and "CallStarted" in dialling_shop.seen


@both
def test_a_ring_timeout_is_the_providers_business(
    provider: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with backstage(monkeypatch, provider, outcome=NO_ANSWER[provider]) as behind:
        assert main(behind.argv(TO, "--ring-timeout-s", "7")) == 1
        made = behind.made[0]
        asked = made.form["Timeout"] if provider == "twilio" else str(made.body["ringing_timer"])
        assert asked == "7"
        assert main(behind.argv(TO, "--ring-timeout-s", "601")) == 2
    assert "ring_timeout_s is 601" in capsys.readouterr().err


def test_a_call_that_comes_in_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[int] = []

    def call_in() -> None:
        fields = {"CallSid": "CA" + "9" * 32, "From": "+15557770999", "To": FROM}
        signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{PUBLIC_URL}/twilio/voice", fields)
        url = f"http://127.0.0.1:{behind.port}/twilio/voice"
        headers = {"X-Twilio-Signature": signature}
        try:
            request.urlopen(request.Request(url, urlencode(fields).encode(), headers), timeout=5).close()
        except HTTPError as error:
            answers.append(error.code)
            error.close()

    with backstage(monkeypatch, "twilio", outcome="no-answer", ring_s=0.5) as behind:
        calling = behind.when(lambda: behind.made, call_in)
        assert main(behind.argv(TO)) == 1
        calling.join()
    assert answers == [503]


@pytest.mark.slow
def test_a_second_ctrl_c_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an API that never answers
        environ = {
            "VAPI_API_KEY": "k",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        argv = [sys.executable, "-m", "vapimedia", "dial", TO, "--from", FROM, "--assistant-id", "asst_1"]
        dialling = subprocess.Popen(
            [*argv, "--public-url", PUBLIC_URL, "--port", "0"],
            env=dict(os.environ) | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(20)
        with silent.accept()[0]:
            dialling.send_signal(signal.SIGINT)
            assert dialling.stdout is not None
            while "ended" not in dialling.stdout.readline():
                pass
            dialling.send_signal(signal.SIGINT)
            _, errors = dialling.communicate(timeout=8)  # the API would be waited for longer
    assert dialling.returncode == 130
    assert "Traceback" not in errors
