"""``--fault``: what goes wrong on purpose, and that it is no failure of a bridge that copes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_fake_call import PUBLIC, bridge_and_vapi, fake, plain_environment
from test_fake_trouble import made_call, made_vonage_call

from vapimedia.cli import main
from vapimedia.cli.fake_call import trouble
from vapimedia.cli.fake_faults import phone_faults, told, told_of_vapi, vapi_faults
from vapimedia.testing import FakeVapi, Fault, FaultProxy, Pacing, PhoneFaults, VapiFaults
from vapimedia.testing.webhook_http import answers

__all__ = ["plain_environment"]  # the fixture of the calls

TWILIO = ("http://127.0.0.1:9/twilio/voice",)
VONAGE = ("http://127.0.0.1:9/vonage/answer",)


@pytest.mark.parametrize(
    "fake_,argv,its_own,not_its_own",
    [
        ("twilio", TWILIO, "stop-twice@5s", "create="),
        ("vonage", VONAGE, "wrong-rate=16000", "stop-twice"),
        ("vapi", (), "webhook-slow=2s", "wrong-rate"),
    ],
)
def test_a_wrong_spelling_is_exit_code_2_with_those_of_that_fake(
    fake_: str,
    argv: tuple[str, ...],
    its_own: str,
    not_its_own: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fake", fake_, *argv, "--fault", "cut@8s", "--fault", "reset@12"]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "fault 'reset@12' is spelled wrong" in line and "latency=40ms" in line
    assert its_own in line and not_its_own not in line


def test_a_value_out_of_range_is_exit_code_2() -> None:
    assert main(["fake", "vonage", *VONAGE, "--fault", "duplicate=2"]) == 2


@pytest.mark.parametrize(
    "texts,faults",
    [
        (
            ["late-start=3s", "no-start", "early-media"],
            {"late_start_s": 3, "no_start": True, "early_media": True},
        ),
        (["second-start@5s", "wrong-rate=16000"], {"second_start_after_s": 5, "wrong_rate": 16000}),
        (["flood=20@5s", "duplicate=0.05"], {"flood": 20, "flood_after_s": 5, "duplicate": 0.05}),
        (["reorder=3", "odd-bytes", "hang-up@2s"], {"reorder": 3, "odd_bytes": True, "hang_up_after_s": 2}),
        (["sizes=118,25,2048"], {"sizes": (118, 25, 2048)}),
        (["stop-twice"], {"stop_twice": True, "hang_up_after_s": 5}),
        (["media-after-stop=5@7s"], {"media_after_stop": 5, "hang_up_after_s": 7}),
        (
            ["reset@12s", "stop-reading=5s@10s"],
            {"network": (Fault("reset", 12), Fault("stall", 10, 5, "down"))},
        ),
    ],
)
def test_a_phones_faults_are_its_switches(texts: list[str], faults: dict[str, Any]) -> None:
    assert phone_faults(texts, says_stop=True) == PhoneFaults(**faults)


def test_a_fake_vapis_faults_are_its_switches() -> None:
    texts = "create=503 create=429 create=hang create-slow=3s retry-after=2s webhook-slow=2s late-socket=3s"
    faults, pacing = vapi_faults([*texts.split(), "upgrade=403", "close=1011@8s", "garbage", "cut@8s"])
    assert faults == VapiFaults(
        create_statuses=(503, 429, "hang"),
        create_delay_s=3,
        retry_after_s=2,
        webhook_delay_s=2,
        upgrade_delay_s=3,
        upgrade_status=403,
        close_after_s=8,
        close_code=1011,
        garbage=True,
        network=(Fault("cut", 8),),
    )
    assert pacing is None
    faults, pacing = vapi_faults(["stop-reading@1s", "sizes=170,743"])
    assert faults.network == (Fault("stall", 1, None, "up"),)
    assert pacing == Pacing.irregular(chunk_bytes=(170, 743))
    _, pacing = vapi_faults(["odd-bytes"])
    assert pacing is not None and all(size % 2 for size in pacing.chunk_bytes)


# --- what is said of it ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [made_call, made_vonage_call])
@pytest.mark.parametrize(
    "found,words",
    [
        ({"ended_by": "reset", "close_code": 1006, "received": b""}, None),
        ({"close_code": 1008, "received": b""}, None),  # the bridge refused it, in order
        ({"close_code": 1006}, "without a close frame"),
        ({"close_code": 1006, "faults": PhoneFaults(network=(Fault("stall", direction="down"),))}, None),
        ({"ended_by": "timeout"}, "nobody ended the call"),
        ({"ended_by": "timeout", "faults": PhoneFaults(no_start=True)}, "for a start that did not come"),
        ({"upgrade_status": 403}, "stream was refused (403)"),
        ({"upgrade_status": None}, "no connection"),
    ],
)
def test_what_was_asked_for_is_no_trouble_and_what_was_not_is(
    make: Any, found: dict[str, Any], words: str | None
) -> None:
    lines = trouble(make(**({"faults": PhoneFaults(duplicate=0.1)} | found)))
    assert lines == [] if words is None else words in lines[0]


def test_what_was_injected_is_told_with_how_often() -> None:
    call = made_call(started_ns=1, ended_ns=3_000_000_001)
    call.injected.update({"duplicate": 12, "no_start": 1})
    assert told(
        call, ["duplicate=0.05", "no-start", "reorder=3", "latency=40ms", "stall@9s", "reset@12s"]
    ) == [
        "injected: duplicate=0.05 (12 times), no-start, reorder=3 (not reached), latency=40ms, "
        "stall@9s (not reached), reset@12s (not reached)",
        "the bridge ended the call after 3.0 s: close code 1000",
    ]


async def test_a_bridge_that_answers_nothing_is_found_out() -> None:
    async with FakeVapi() as anything, FaultProxy("127.0.0.1", 1) as nothing:
        assert await answers(anything.url) and not await answers(nothing.url())


async def test_what_a_fake_vapi_did_wrong_is_told_at_its_end() -> None:
    faults, _ = vapi_faults(["latency=1ms", "create=503"])
    async with bridge_and_vapi() as (_, _), FakeVapi(faults=faults) as vapi:
        await vapi.place_call()
    lines = told_of_vapi(vapi, ["latency=1ms", "create=503"])
    assert lines[0] == "injected: latency=1ms, create=503" and len(lines) == 2
    assert "ended by the fake" in lines[1]


# --- calls to a real bridge ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path,kind",
    [
        ("twilio/voice", "reset"),
        pytest.param("twilio/voice", "cut", marks=pytest.mark.slow),
        pytest.param("vonage/answer", "reset", marks=pytest.mark.slow),
        pytest.param("vonage/answer", "cut", marks=pytest.mark.slow),
    ],
)
async def test_a_bridge_copes_with_a_broken_connection(
    path: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with bridge_and_vapi() as (origin, vapi):
        provider = path.split("/", 1)[0]
        code = await fake(provider, f"{origin}/{path}", "--public-url", PUBLIC, "--fault", f"{kind}@300ms")
        [call] = vapi.calls.values()
        await asyncio.wait_for(call.ended(), 10)
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert f"injected: {kind}@300ms\n" in said.out and "the connection broke after" in said.out
    assert "as asked" in said.out


async def test_a_refused_media_socket_is_no_failure_of_the_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    async with bridge_and_vapi() as (origin, _):
        url = f"{origin}/twilio/voice"
        assert await fake("twilio", url, "--public-url", PUBLIC, "--fault", "refuse") == 0
    said = capsys.readouterr()
    assert "the media connection was refused, as asked" in said.out and not said.err


@pytest.mark.slow
async def test_a_whole_call_survives_what_only_makes_it_hard(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("latency=20ms", "sizes=118,25,2048", "duplicate=0.05", "second-start@300ms", "stall=200ms@500ms")
    argv = [word for text in texts for word in ("--fault", text)]
    async with bridge_and_vapi() as (origin, vapi):
        assert await fake("twilio", f"{origin}/twilio/voice", "--public-url", PUBLIC, *argv) == 0
        [call] = vapi.calls.values()
        assert call.violations == []
    said = capsys.readouterr()
    assert "close code 1000" in said.out and "not reached" not in said.out and not said.err


@pytest.mark.slow
async def test_another_rate_than_agreed_ends_the_call_and_not_the_bridge(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with bridge_and_vapi() as (origin, _):
        url = f"{origin}/twilio/voice"
        assert await fake("twilio", url, "--public-url", PUBLIC, "--fault", "wrong-rate=16000") == 0
    said = capsys.readouterr()
    assert "injected: wrong-rate=16000\nthe bridge ended the call" in said.out and not said.err
