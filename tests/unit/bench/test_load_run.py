"""A load against bridges: ours is without fault, and a bridge that is not is seen as such."""

from __future__ import annotations

import asyncio
import base64
import json
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import ClientSession, WSMsgType, web

from vapimedia.cli import main
from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.formats import AudioFormat

pytest.importorskip("vapimedia.bench.load.generator", reason="the load generator is built on Linux only")
from vapimedia.bench.load import modes
from vapimedia.bench.load.modes import carry_out
from vapimedia.bench.load.plan import LoadPlan
from vapimedia.bench.load.report import Ends, LoadReport, make_report
from vapimedia.bench.load.run import LoadRun, Times
from vapimedia.bench.load.target import Target

QUICK = Times(warm_up_s=0.1, tail_s=0.2, drain_s=2)
FAULTS = ("none", "lose", "double", "corrupt", "cross", "be crossed")
CONTRACT = {
    *("bridge", "calls", "seconds", "mode", "frames", "latency_us", "codec_delay_ms", "cpu_us_per_frame"),
    *("cpu_share", "calls_per_core_80", "rss_kb", "generator", "barge_in_us", "stalled"),
}


class FaultyBridge:
    """Relays mu-law; the n-th call has the n-th fault in every tenth frame of its uplink."""

    def __init__(self, vapi_port: int, *, says_bye: bool = True) -> None:
        self.vapi_url = f"http://127.0.0.1:{vapi_port}"
        self.says_bye = says_bye
        self.legs: list[object] = []

    async def media(self, request: web.Request) -> web.WebSocketResponse:
        phone = web.WebSocketResponse()
        await phone.prepare(request)
        stream = ""
        wanted = {"format": "mulaw", "container": "raw", "sampleRate": 8000}
        async with ClientSession() as http:
            body = {"assistantId": "a", "transport": {"provider": "vapi.websocket", "audioFormat": wanted}}
            async with http.post(f"{self.vapi_url}/call", json=body) as answer:
                url = (await answer.json())["transport"]["websocketCallUrl"]
            async with http.ws_connect(url) as vapi:
                fault, n = FAULTS[len(self.legs) % len(FAULTS)], 0
                self.legs.append(vapi)
                speaking: asyncio.Task[None] | None = None
                async for message in phone:
                    event = json.loads(message.data)
                    if event["event"] == "start":
                        stream = event["streamSid"]
                        speaking = asyncio.create_task(self.speak(vapi, phone, stream))
                    elif event["event"] == "media":
                        n += 1
                        await self.relay(vapi, base64.b64decode(event["media"]["payload"]), fault, n)
                    elif event["event"] == "stop" and self.says_bye:
                        break
                if speaking is not None:
                    speaking.cancel()
        await phone.close()
        return phone

    async def relay(self, vapi: object, audio: bytes, fault: str, n: int) -> None:
        if n % 10 == 0:
            if fault == "lose":
                return
            if fault == "corrupt":
                audio = audio[::-1]
            if fault == "double":
                await vapi.send_bytes(audio)  # type: ignore[attr-defined]
            if fault == "cross":
                vapi = self.legs[FAULTS.index("be crossed")]
        await vapi.send_bytes(audio)  # type: ignore[attr-defined]

    async def speak(self, vapi: object, phone: web.WebSocketResponse, stream: str) -> None:
        async for message in vapi:  # type: ignore[attr-defined]
            if message.type is WSMsgType.BINARY:
                payload = base64.b64encode(message.data).decode()
                await phone.send_json({"event": "media", "streamSid": stream, "media": {"payload": payload}})


@contextmanager
def running(bridge: FaultyBridge) -> Iterator[str]:
    """Run it in a thread; yield its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    app = web.Application()
    app.router.add_get("/twilio/media", bridge.media)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    try:
        port = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
        yield f"ws://127.0.0.1:{port}/twilio/media"
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_every_fault_of_a_bridge_is_seen_as_what_it_is() -> None:
    run = LoadRun(times=Times(warm_up_s=0.1, tail_s=0.2, drain_s=0.3))
    with running(FaultyBridge(run.vapi_port)) as url:
        run.aim(url)
        run.begin(len(FAULTS), mulaw=True)
        run.place_calls(len(FAULTS))
        run.warm_up()
        span = run.count_for(0.7)
        run.drain()
        ends = run.end_calls()
    assert ends == (0, 0)
    flows = run.totals()
    for fault, (up, down) in zip(FAULTS, flows, strict=True):
        damage = {name: up[name] for name in ("lost", "duplicated", "corrupted", "crossed")}
        wrong = {
            "lose": "lost",
            "double": "duplicated",
            "corrupt": "corrupted",
            "cross": "lost",
            "be crossed": "crossed",
        }
        expected = dict.fromkeys(damage, 0)
        if fault in wrong:
            expected[wrong[fault]] = damage[wrong[fault]]
            assert 2 <= (damage[wrong[fault]] or 0) <= 5, fault
        assert damage == expected, fault
        assert down["received"] == down["sent"] and not down["corrupted"], fault
    report = make_report(run, span, Ends(*ends), bridge="faulty", n_calls=6, mode="real-time", rss_kb={})
    assert report.failed
    assert report.damaged == sum(
        report.frames[name] for name in ("lost", "duplicated", "corrupted", "crossed")
    )


def test_a_call_that_the_bridge_does_not_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vapimedia.bench.load.run._END_TIMEOUT_S", 0.2)
    run = LoadRun(times=QUICK)
    with running(FaultyBridge(run.vapi_port, says_bye=False)) as url:
        run.aim(url)
        run.begin(1, mulaw=True)
        run.place_calls(1)
        assert run.end_calls() == (1, 0)


@pytest.mark.slow
def test_our_bridge_loses_doubles_and_changes_no_frame() -> None:
    report = carry_out(LoadPlan(calls=2, seconds=0.8, times=QUICK))
    assert not report.failed, report
    assert report.frames["sent"] == report.frames["received"] >= 2 * 2 * 35
    assert set(report.__struct_fields__) >= CONTRACT
    assert report.cpu_us_per_frame and report.calls_per_core_80 and report.rss_kb["under_load"]
    assert report.codec_delay_ms["uplink"] == pytest.approx(4, abs=0.5)
    assert report.latency_us["both"]["p50"]


@pytest.mark.parametrize("most", [7, 90, 433, 1000])
def test_the_search_ends_close_below_what_a_bridge_carries(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(plan: LoadPlan, run: LoadRun, bridge: Target, n_calls: int) -> LoadReport:
        """The cost of a call falls with their number, as it really does."""
        share = 0.8 * (n_calls / most) ** 0.8
        return LoadReport(
            bridge="made up",
            calls=n_calls,
            seconds=3,
            mode="real-time",
            frames=dict.fromkeys(("sent", "received", "lost", "duplicated", "corrupted", "crossed"), 0),
            directions={},
            latency_us={"both": {"p99": 400.0}},
            codec_delay_ms={},
            cpu_us_per_frame=1.0,
            cpu_share=share,
            calls_per_core_80=None,
            rss_kb={},
            generator={"cpu_share": 0.1},
            ends=Ends(),
        )

    monkeypatch.setattr(modes, "_step", step)
    found = modes.find_max(LoadPlan(), LoadRun(), Target())
    assert 0.93 * most - 1 <= (found.sustained_calls or 0) <= most
    assert found.steps is not None and len(found.steps) <= 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        LoadPlan(calls=2, seconds=1.5, format=AudioFormat("mulaw", 8000)),
        LoadPlan(calls=2, seconds=1.5, closed_loop=True),
        LoadPlan(calls=2, seconds=1.5, closed_loop=True, format=AudioFormat("mulaw", 8000), window=3),
    ],
    ids=["mulaw", "closed loop", "closed loop with a window, mulaw"],
)
def test_our_bridge_is_without_fault_in_either_format_and_pace(plan: LoadPlan) -> None:
    report = carry_out(plan)
    assert not report.failed, report


@pytest.mark.slow
def test_an_interruption_reaches_the_phone_as_clear() -> None:
    report = carry_out(LoadPlan(calls=3, seconds=2.5, barge_in=True))
    assert not report.failed, report
    assert report.barge_in_us is not None
    assert report.barge_in_us["interruptions"] == report.barge_in_us["clears"] >= 6  # type: ignore[operator]


@pytest.mark.slow
def test_a_phone_that_stops_reading_is_reported_apart() -> None:
    report = carry_out(LoadPlan(calls=4, seconds=2.5, stalled=1))
    assert not report.failed, report
    assert report.stalled is not None and report.stalled["own_bytes"]
    assert report.stalled["bridge_backlog_bytes_max"] is not None
    assert report.frames["sent"] == pytest.approx(2 * 3 * 125, abs=20)


@pytest.mark.slow
def test_a_bridge_that_dies_is_told_with_its_last_words() -> None:
    code = "import sys; print('no such assistant'); sys.exit(3)"
    with pytest.raises(VapimediaError, match="exit code 3: no such assistant"):
        carry_out(LoadPlan(calls=1, bridge=shlex.join([sys.executable, "-c", code])))


@pytest.mark.parametrize(
    "argv",
    [
        ["--calls", "0"],
        ["--calls", "1001"],
        ["--url", "ws://127.0.0.1:1/x"],
        ["--url", "ws://127.0.0.1:1/x", "--vapi-port", "1", "--bridge", "x"],
        ["--pid", "1"],
        ["--format", "alaw/8000"],
        ["--find-max", "--idle"],
        ["--closed-loop", "--barge-in"],
        ["--stalled", "50"],
        ["--stalled", "1", "--seconds", "1"],
        ["--bridge", "x", "--serve-flags", "--unpaced"],
    ],
)
def test_wrong_usage_of_bench_calls_is_exit_code_2_and_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "calls", *argv]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_elsewhere_than_on_linux_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert main(["bench", "calls"]) == 2
    assert "Linux only" in capsys.readouterr().err


def test_a_bridge_s_url_must_be_one() -> None:
    run = LoadRun()
    for url in (
        "http://127.0.0.1:8080/twilio/media",
        "ws://127.0.0.1/twilio/media",
        "ws://127.0.0.1:99999/",
        "8080",
    ):
        with pytest.raises(ConfigError, match="ws://"):
            run.aim(url)
