"""``fake twilio`` and ``fake vonage`` make a call to any bridge, and say in one sentence why it went wrong."""

from __future__ import annotations

import asyncio
import struct
import warnings
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from vapimedia import Bridge, BridgeConfig
from vapimedia.cli import main
from vapimedia.cli.fake_call import wav_for
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.testing import (
    AssistantScript,
    EndCall,
    FakeVapi,
    Speak,
    heard_share,
    load_clip,
    read_wav,
    write_wav,
)

PUBLIC = "https://bridge.example.com"
SECRET = "vonage-test-secret-for-signatures"
PCM24 = AudioFormat("pcm_s16le", 24_000)
SCRIPT = AssistantScript((Speak("let_me_check", interruptible=False), EndCall()))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run away from any keys of the machine, colours and narrow terminals."""
    for name in ("VONAGE_SIGNATURE_SECRET", "VONAGE_API_KEY", "VONAGE_APPLICATION_ID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


# --- wrong usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["twilio", "vonage"])
def test_a_url_without_a_scheme_is_exit_code_2(provider: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", provider, "127.0.0.1:8080"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/twilio/voice", "http://127.0.0.1:9/vonage/answer"])
def test_a_bridge_that_is_not_there_is_exit_code_1_and_says_where_nothing_listens(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fake", url.split("/")[3], url]) == 1
    said = capsys.readouterr()
    assert said.err.strip() == "error: cannot connect to 127.0.0.1:9"
    assert "webhook" not in said.out


@pytest.mark.parametrize(
    "argv,words",
    [
        (["--method", "PUT"], "--method must be POST or GET, not 'PUT'"),
        (["--event-url", "/vonage/event"], "the event URL must start with http"),
        (["--wav", "absent.wav"], "--wav: cannot read absent.wav"),
        (["--wav", __file__], "--wav: test_fake_call.py is not a WAV file"),
        (["--out", "absent/heard.wav"], "cannot write absent/heard.wav"),
    ],
)
def test_wrong_usage_of_fake_vonage_is_one_sentence_before_any_call(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fake", "vonage", "http://127.0.0.1:9/vonage/answer", *argv]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line


def test_help_names_the_keys_and_what_stands_in_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", "vonage", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("VONAGE_SIGNATURE_SECRET", SECRET, "VONAGE_API_KEY", "VONAGE_APPLICATION_ID", "--wav"):
        assert text in shown


# --- a caller's own words ------------------------------------------------------------------------


@pytest.mark.parametrize("leg", ["mulaw/8000", "pcm_s16le/8000", "pcm_s16le/24000"])
@pytest.mark.parametrize("stored", ["pcm_s16le/22050", "pcm_s16le/16000", "mulaw/8000", "pcm_s16le/24000"])
def test_a_wav_file_of_any_rate_is_spoken_in_the_legs_format(stored: str, leg: str, tmp_path: Path) -> None:
    said, wanted = AudioFormat.parse(stored), AudioFormat.parse(leg)
    clip = load_clip("ask_monday", said)
    write_wav(tmp_path / "said.wav", said, clip)
    audio = wav_for(tmp_path / "said.wav", wanted)
    n_samples = len(clip) // said.bytes_per_sample
    assert len(audio) == -(-n_samples * wanted.sample_rate // said.sample_rate) * wanted.bytes_per_sample
    expected = load_clip("ask_monday", wanted)
    assert heard_share(expected, audio, wanted.sample_rate, fmt=wanted) == 1.0


def test_a_wav_file_without_audio_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", PCM24, b"")
    with pytest.raises(ConfigError, match=r"empty\.wav holds no audio"):
        wav_for(tmp_path / "empty.wav", PCM24)


def wav_file(path: Path, head: bytes, data: bytes) -> Path:
    """Write a WAV file with a ``fmt `` chunk of *head*."""
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def wav_head(tag: int, channels: int, bits: int, *, extensible: bool = False) -> bytes:
    width = channels * bits // 8
    head = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, channels, 16_000, 16_000 * width, width, bits
    )
    guid_end = bytes.fromhex("000000001000800000aa00389b71")
    return head + struct.pack("<HHIH", 22, bits, 4, tag) + guid_end if extensible else head


def test_16_bit_pcm_may_have_an_extensible_header(tmp_path: Path) -> None:
    file = wav_file(tmp_path / "own.wav", wav_head(1, 1, 16, extensible=True), bytes(640))
    assert read_wav(file) == (AudioFormat("pcm_s16le", 16_000), bytes(640))


@pytest.mark.parametrize(
    "head,words",
    [
        (wav_head(1, 2, 32, extensible=True), "32-bit PCM with 2 channels"),
        (wav_head(1, 1, 24, extensible=True), "24-bit PCM with 1 channel;"),
        (wav_head(3, 1, 32), "32-bit float with 1 channel;"),
        (wav_head(1, 2, 16), "16-bit PCM with 2 channels"),
        (wav_head(85, 2, 0), "0-bit audio of format tag 85 with 2 channels"),
        (wav_head(1, 1, 16, extensible=True)[:30], "format tag 65534"),
    ],
)
def test_a_wav_file_of_another_kind_is_told_with_what_makes_it_good(
    head: bytes, words: str, tmp_path: Path
) -> None:
    file = wav_file(tmp_path / "my own.wav", head, bytes(640))
    with pytest.raises(ConfigError) as caught:
        wav_for(file, PCM24)
    assert f"--wav: my own.wav is {words}" in str(caught.value) or "65534" in words
    assert words in str(caught.value)
    assert "sox 'my own.wav' -e signed-integer -b 16 -c 1 out.wav" in str(caught.value)


# --- calls to a real bridge ----------------------------------------------------------------------


@asynccontextmanager
async def bridge_and_vapi(
    script: AssistantScript = SCRIPT, **settings: Any
) -> AsyncIterator[tuple[str, FakeVapi]]:
    async with FakeVapi(assistant=script) as vapi:
        config = {
            "port": 0,
            "admin": "127.0.0.1:0",
            "providers": ("vonage", "twilio"),
            "vapi_url": vapi.url,
            "vapi_api_key": vapi.api_key,
            "assistant_id": "asst_1",
            "vonage_signature_secret": SECRET,
            "vonage_rate": 24_000,
            "twilio_auth_token": "twilio-test-token",
            "public_url": PUBLIC,
        }
        async with Bridge(BridgeConfig(**(config | settings))) as bridge:
            yield f"http://127.0.0.1:{bridge.port}", vapi


async def fake(*argv: str) -> int:
    """Run a command as it runs alone: with a loop of its own."""
    return await asyncio.to_thread(main, ["fake", *argv])


@pytest.mark.parametrize("method", ["POST", "get"])
async def test_vonage_speaks_a_file_and_records_what_it_hears(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fmt = AudioFormat("pcm_s16le", 22_050)
    write_wav(tmp_path / "said.wav", fmt, load_clip("ask_sunday", fmt)[: fmt.frame_bytes() * 40])
    out = tmp_path / "heard.wav"
    files = ("--wav", str(tmp_path / "said.wav"), "--out", str(out))
    async with bridge_and_vapi() as (origin, vapi):
        event_url = f"{origin}/vonage/event"
        url = f"{origin}/vonage/answer"
        code = await fake(
            *("vonage", url, "--public-url", PUBLIC, "--method", method, "--event-url", event_url), *files
        )
        (call,) = vapi.calls.values()
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert "ended by bridge" in said.out and "pcm_s16le/24000" in said.out
    assert "messages waited to be played" in said.out
    heard_format, heard = read_wav(out)
    clip = load_clip("let_me_check", PCM24)
    assert heard_format == PCM24 and heard_share(clip, heard, 24_000, fmt=PCM24) == 1.0
    spoken = load_clip("ask_sunday", PCM24)[: PCM24.frame_bytes() * 40]
    assert heard_share(spoken, bytes(call.uplink), 24_000, fmt=PCM24, peak=0.8) > 0.5


async def test_who_speaks_a_file_may_listen_until_the_time_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "said.wav", PCM24, load_clip("ask_sunday", PCM24)[: PCM24.frame_bytes() * 20])
    endless = AssistantScript((Speak("greeting", interruptible=False),))
    async with bridge_and_vapi(endless) as (origin, _):
        code = await fake(
            *("twilio", f"{origin}/twilio/voice", "--public-url", PUBLIC, "--max-s", "1.5"),
            *("--wav", str(tmp_path / "said.wav"), "--out", str(tmp_path / "heard.wav")),
        )
    said = capsys.readouterr()
    assert (code, said.err) == (0, "") and "ended by timeout" in said.out
    with wave.open(str(tmp_path / "heard.wav")) as heard:  # which opens PCM only
        assert (heard.getframerate(), heard.getsampwidth()) == (8000, 2)
        assert any(heard.readframes(heard.getnframes()))


async def test_a_wrong_secret_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VONAGE_SIGNATURE_SECRET", "another-secret-of-thirty-two-bytes")
    async with bridge_and_vapi() as (origin, _):
        assert await fake("vonage", f"{origin}/vonage/answer", "--public-url", PUBLIC) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "VONAGE_SIGNATURE_SECRET must be the same" in line and "another-secret" not in line


async def test_a_short_secret_that_was_made_up_is_no_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VONAGE_SIGNATURE_SECRET", "short")
    with warnings.catch_warnings():
        async with bridge_and_vapi(vonage_signature_secret="short") as (origin, _):
            assert await fake("vonage", f"{origin}/vonage/answer", "--public-url", PUBLIC) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("more", [(), ("--public-url", "https://other.example.com")])
async def test_a_public_url_that_is_not_the_bridges_is_told(
    more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    public_url = "https://127.0.0.1:9"
    async with bridge_and_vapi(public_url=public_url) as (origin, _):
        assert await fake("vonage", f"{origin}/vonage/answer", *more) == 1
    errors = capsys.readouterr().err
    assert "--public-url" in errors or "public URL" in errors
    assert "/media/" not in errors  # a token follows it


@pytest.mark.parametrize("provider,path", [("vonage", "/vonage/answer"), ("twilio", "/twilio/voice")])
async def test_a_route_that_is_not_there_is_told(
    provider: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with bridge_and_vapi() as (origin, _):
        assert await fake(provider, f"{origin}/nowhere", "--public-url", PUBLIC) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"--provider {provider}" in line and path in line


async def test_another_account_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with bridge_and_vapi(vonage_api_key="of-the-bridge") as (origin, _):
        assert await fake("vonage", f"{origin}/vonage/answer", "--public-url", PUBLIC) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "VONAGE_API_KEY" in line


async def test_a_message_of_a_wrong_size_and_the_fallback_that_follows_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with careless_bridge() as origin:
        assert await fake("vonage", f"{origin}/answer") == 1
    said = capsys.readouterr()
    assert "took the bridge's fallback NCCO: talk" in said.out
    violation, reason = said.err.strip().splitlines()
    assert "100 bytes of audio, not 640" in violation
    assert "dropped (1006)" in reason and "exactly 640 bytes" in reason


@asynccontextmanager
async def careless_bridge() -> AsyncIterator[str]:
    """Serve a bridge that does not cut its audio into frames."""

    async def answer(request: web.Request) -> web.Response:
        endpoint = {
            "type": "websocket",
            "uri": f"ws://{request.host}/media",
            "content-type": "audio/l16;rate=16000",
        }
        event_url = f"http://{request.host}/event"
        connect = {"action": "connect", "eventType": "synchronous", "eventUrl": [event_url]}
        return web.json_response([connect | {"endpoint": [endpoint]}])

    async def event(request: web.Request) -> web.Response:
        if (await request.json())["status"] == "disconnected":
            return web.json_response([{"action": "talk", "text": "Please call again."}])
        return web.Response(status=204)

    async def media(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_bytes(bytes(640))
        await ws.send_bytes(bytes(100))
        async for _ in ws:
            pass
        return ws

    app = web.Application()
    app.router.add_post("/answer", answer)
    app.router.add_post("/event", event)
    app.router.add_get("/media", media)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# --- one sentence for each way to fail -----------------------------------------------------------
