"""``vapimedia fake twilio`` and ``fake vonage``: one call to any bridge, and why it went wrong if it did."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import typer

from vapimedia.cli import fake_faults, report
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

if TYPE_CHECKING:
    from vapimedia.testing import FakeTwilioCall, FakeVonageCall

__all__ = ["trouble", "twilio", "vonage", "wav_for"]

_LOG = "the bridge's log says why"

PublicUrl = Annotated[
    str | None,
    typer.Option("--public-url", help="Origin the bridge was told; signatures and URLs are made of it."),
]
Wav = Annotated[
    Path | None,
    typer.Option(
        "--wav", help="Mono WAV file that the caller speaks, and then listens; unset: a scripted caller."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="WAV file for what the caller hears.")]
MaxS = Annotated[float, typer.Option("--max-s", min=1, help="Hang up after this long.")]


@report.ends_with_exit_code
def twilio(
    voice_url: Annotated[
        str, typer.Argument(help="The bridge's voice webhook, http://127.0.0.1:8080/twilio/voice.")
    ],
    *,
    public_url: PublicUrl = None,
    wav: Wav = None,
    out: Out = None,
    max_s: MaxS = 60.0,
    fault: fake_faults.Faults = None,
) -> int:
    """Make one call to a bridge, signed with TWILIO_AUTH_TOKEN (unset: twilio-test-token).

    Exit code 1, with the reason, if it went wrong. What --fault asks for is no reason where the bridge copes.

    Example: vapimedia fake twilio http://127.0.0.1:8080/twilio/voice --public-url https://bridge.example.com
    """
    _check("voice", voice_url, wav, out)
    faults = fake_faults.phone_faults(fault or (), says_stop=True)
    from vapimedia.io.loop import run  # noqa: PLC0415
    from vapimedia.testing import FakeTwilioCall, default_caller  # noqa: PLC0415  loads aiohttp

    call = FakeTwilioCall(
        voice_url,
        auth_token=os.environ.get("TWILIO_AUTH_TOKEN") or "twilio-test-token",
        caller=default_caller() if wav is None else (),
        public_url=public_url,
        max_s=max_s,
        on_media_start=lambda call: _speak(call, wav),
        faults=faults,
    )
    is_alive = run(_made(call, voice_url, fault))
    return _tell(call, out, wav, fault or (), is_alive)


@report.ends_with_exit_code
def vonage(
    answer_url: Annotated[
        str, typer.Argument(help="The bridge's answer webhook, http://127.0.0.1:8080/vonage/answer.")
    ],
    *,
    method: Annotated[str, typer.Option("--method", help="How the webhook comes: POST or GET.")] = "POST",
    event_url: Annotated[
        str | None,
        typer.Option(
            "--event-url",
            help="Where events about the phone's leg go; those of the media socket go where the NCCO says.",
        ),
    ] = None,
    public_url: PublicUrl = None,
    wav: Wav = None,
    out: Out = None,
    max_s: MaxS = 60.0,
    fault: fake_faults.Faults = None,
) -> int:
    """Make one call to a bridge, signed with VONAGE_SIGNATURE_SECRET (unset: vonage-test-secret-for-signatures).

    It comes from VONAGE_API_KEY (unset: vonage-test-key) and VONAGE_APPLICATION_ID (unset:
    vonage-test-application), at the rate that the bridge's NCCO asks for. A message of a wrong size drops the
    call, as Vonage does. Exit code 1, with the reason, if it went wrong. What --fault asks for is no reason where
    the bridge copes.

    Example: vapimedia fake vonage http://127.0.0.1:8080/vonage/answer --public-url https://bridge.example.com
    """
    verb: Literal["GET", "POST"] = "GET" if method.upper() == "GET" else "POST"
    if method.upper() != verb:
        raise ConfigError(f"--method must be POST or GET, not {method!r}")
    _check("answer", answer_url, wav, out)
    if event_url is not None:
        _check("event", event_url, None, None)
    faults = fake_faults.phone_faults(fault or (), says_stop=False)
    from vapimedia.io.loop import run  # noqa: PLC0415
    from vapimedia.testing import FakeVonageCall, default_caller  # noqa: PLC0415  loads aiohttp

    # PyJWT's advice on the length of a made-up secret; older ones give none.
    warnings.filterwarnings("ignore", message="The HMAC key is", category=UserWarning)
    environ = os.environ
    call = FakeVonageCall(
        answer_url,
        signature_secret=environ.get("VONAGE_SIGNATURE_SECRET") or "vonage-test-secret-for-signatures",
        api_key=environ.get("VONAGE_API_KEY") or "vonage-test-key",
        application_id=environ.get("VONAGE_APPLICATION_ID") or "vonage-test-application",
        caller=default_caller() if wav is None else (),
        public_url=public_url,
        event_url=event_url,
        answer_method=verb,
        max_s=max_s,
        on_media_start=lambda call: _speak(call, wav),
        faults=faults,
    )
    is_alive = run(_made(call, answer_url, fault))
    return _tell(call, out, wav, fault or (), is_alive)


def wav_for(path: Path, fmt: AudioFormat) -> bytes:
    """Return the audio of a mono WAV file in *fmt*. Raises ``ConfigError`` for a file that holds none."""
    import numpy as np  # noqa: PLC0415

    from vapimedia.audio import Converter, resample  # noqa: PLC0415  loads the compiled kernels
    from vapimedia.testing import read_wav  # noqa: PLC0415

    try:
        stored, data = read_wav(path)
    except OSError as error:
        raise ConfigError(f"--wav: cannot read {path}: {error.strerror or error}") from None
    except ConfigError as error:
        raise ConfigError(f"--wav: {error}") from None
    if len(data) < stored.bytes_per_sample:
        raise ConfigError(f"--wav: {path.name} holds no audio data")
    if stored == fmt:
        return data
    plain, wanted = (AudioFormat("pcm_s16le", one.sample_rate) for one in (stored, fmt))
    samples = np.frombuffer(Converter(stored, plain).push(data), "<i2")
    resampled = resample(samples, plain.sample_rate, wanted.sample_rate)
    return Converter(wanted, fmt).push(resampled.astype("<i2").tobytes())


def _check(what: str, url: str, wav: Path | None, out: Path | None) -> None:
    """Raise ``ConfigError`` for what would keep a call from being made or recorded."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"the {what} URL must start with http:// or https://, not {url!r}")
    if out is not None:
        report.check_writable(out)
    if wav is not None:
        wav_for(wav, AudioFormat("pcm_s16le", 16000))


def _speak(call: FakeTwilioCall | FakeVonageCall, wav: Path | None) -> None:
    """Give the caller the words of *wav*, now that the format of the call is known."""
    from vapimedia.testing import Say  # noqa: PLC0415

    if wav is not None:
        call.caller = (Say(wav_for(wav, call.ear.fmt)),)


async def _made(call: FakeTwilioCall | FakeVonageCall, url: str, faults: Sequence[str] | None) -> bool:
    """Make the call; with *faults*, returns whether the bridge answers still."""
    await call.run()
    if not faults or call.voice_status != 200:
        return True
    from vapimedia.testing.webhook_http import answers  # noqa: PLC0415  loads aiohttp

    parts = urlsplit(url)
    return await answers(f"{parts.scheme}://{parts.netloc}/")


def _tell(
    call: FakeTwilioCall | FakeVonageCall,
    out: Path | None,
    wav: Path | None,
    faults: Sequence[str],
    is_alive: bool,
) -> int:
    """Print what came of the call and return the exit code."""
    from vapimedia.audio import Converter  # noqa: PLC0415  loads the compiled kernels
    from vapimedia.testing import FakeVonageCall, write_wav  # noqa: PLC0415

    console, fmt = report.stdout(), call.ear.fmt
    if call.voice_status:
        upgrade = call.upgrade_status or "none"
        console.print(f"webhook {call.voice_status}, upgrade {upgrade}, ended by {call.ended_by}")
    per_s = fmt.sample_rate * fmt.bytes_per_sample
    console.print(
        f"sent {len(call.sent) / per_s:.1f} s, received {len(call.received) / per_s:.1f} s of audio ({fmt})"
    )
    if isinstance(call, FakeVonageCall):
        if call.fallback_ncco is not None:
            console.print(f"took the bridge's fallback NCCO: {_actions(call.fallback_ncco)}", markup=False)
        if call.ear.max_queued_messages:
            console.print(f"at most {call.ear.max_queued_messages} messages waited to be played")
    if faults and call.voice_status == 200:
        for line in fake_faults.told(call, faults):
            console.print(line, markup=False, soft_wrap=True)
    found = [*call.violations, *trouble(call, listens=wav is not None)]
    if not is_alive:
        found.append("the bridge does not answer any more")
    for text in found:
        report.print_error(text)
    if out is not None:
        plain = AudioFormat("pcm_s16le", fmt.sample_rate)  # what every player opens
        write_wav(out, plain, Converter(fmt, plain).push(bytes(call.heard)))
    return report.FAILED_EXIT if found else 0


def _actions(ncco: list[dict[str, object]]) -> str:
    return ", ".join(str(action.get("action")) for action in ncco) or "no action"


def trouble(call: FakeTwilioCall | FakeVonageCall, *, listens: bool = False) -> list[str]:
    """Return why the call did not go well, in one sentence or none. Violations are not repeated.

    *listens*: the caller stays until the time is over, which is no trouble then.
    """
    from vapimedia.testing import FakeTwilioCall, PhoneFaults  # noqa: PLC0415

    refused = _twilio_refused(call) if isinstance(call, FakeTwilioCall) else _vonage_refused(call)
    if refused:
        return [refused]
    if call.upgrade_status is None:
        return [] if call.faults.network and fake_faults.broken_by(call) else [_unreached(call)]
    if call.upgrade_status != 101:
        return [f"the media stream was refused ({call.upgrade_status}); {_LOG}"]
    if call.ended_by == "wrong size":
        n_frame = call.ear.fmt.frame_bytes()
        return [f"the call was dropped (1006): each message to Vonage must be exactly {n_frame} bytes, 20 ms"]
    if call.faults != PhoneFaults():
        return fake_faults.coped(call, listens=listens)
    if call.ended_by == "timeout" and not listens:
        return [f"nobody ended the call: it was cut after {call.max_s:g} s (--max-s)"]
    if call.close_code != 1000:
        return [f"the bridge ended the call early, with close code {call.close_code}; {_LOG}"]
    return [] if call.received else [f"the call was answered, but no audio came; {_LOG}"]


def _unreached(call: FakeTwilioCall | FakeVonageCall) -> str:
    from vapimedia.testing import FakeTwilioCall  # noqa: PLC0415

    if isinstance(call, FakeTwilioCall):
        url = call.twiml.stream_url if call.twiml is not None else None
    else:
        url = call.ncco.uri if call.ncco is not None else None
    # The path holds the token.
    host = urlsplit(url or "").netloc
    if call.public_url is not None and urlsplit(call.public_url).netloc.lower() == host.lower():
        return f"no connection to the bridge's media socket; {_LOG}"
    return (
        f"no connection to the media socket at {host}: --public-url must be the one that the bridge was given"
    )


def _no_route(provider: str, path: str) -> str:
    return (
        f"no such route at the bridge (404): is it served with --provider {provider}, and is the path {path}?"
    )


def _twilio_refused(call: FakeTwilioCall) -> str:
    refusals = {
        403: "the bridge refused the signature with 403: TWILIO_AUTH_TOKEN must be the same here and there, "
        "and --public-url the one that the bridge was given",
        404: _no_route("twilio", "/twilio/voice"),
    }
    media_url = call.twiml.stream_url if call.twiml is not None else None
    return _refused(call, refusals, ("voice webhook", "stream"), media_url)


def _vonage_refused(call: FakeVonageCall) -> str:
    refusals = {
        401: "the bridge refused the token with 401: VONAGE_SIGNATURE_SECRET must be the same here and there, "
        "and the clocks too",
        403: "the bridge refused the token with 403: VONAGE_API_KEY and VONAGE_APPLICATION_ID must be the same "
        "here and there",
        404: _no_route("vonage", "/vonage/answer"),
    }
    media_url = call.ncco.uri if call.ncco is not None else None
    return _refused(call, refusals, ("answer webhook", "socket"), media_url)


def _refused(
    call: FakeTwilioCall | FakeVonageCall,
    refusals: Mapping[int, str],
    words: tuple[str, str],
    media_url: str | None,
) -> str:
    webhook, media = words
    if call.voice_status != 200:
        said = refusals.get(call.voice_status or 0) or call.voice_error
        return said or f"the {webhook} answered {call.voice_status}; {_LOG}"
    if media_url is None:
        return f"the bridge answered the call without a media {media}: it rejected it"
    return ""
