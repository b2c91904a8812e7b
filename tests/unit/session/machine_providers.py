"""Three providers for state machines: what each may say, good and bad, and what is in our words to it."""

from __future__ import annotations

import base64
import json
from typing import Any

from vapimedia.formats import AudioFormat
from vapimedia.protocols.browser import BrowserDialect, BrowserSettings
from vapimedia.protocols.commands import Command, SendBinary, SendText
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.protocols.vonage import VonageDialect, VonageSettings


def _json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def _twilio(event: str, **fields: Any) -> bytes:
    return _json(event=event, streamSid="MZ1", **fields)


class Provider:
    """One provider's words: *starts* begin its stream, *ends* end it, *texts* are all else but media, good and bad."""

    fmt = AudioFormat("pcm_s16le", 16_000)
    starts: tuple[bytes, ...] = ()
    texts: tuple[bytes, ...] = ()
    ends: tuple[bytes, ...] = ()
    stops_once = False

    def dialect(self) -> Any:
        raise NotImplementedError

    def media(self, audio: bytes) -> tuple[bytes, bool]:
        return audio, False

    def mark(self, name: str) -> bytes:
        return b"{}"

    def audio_in(self, command: Command) -> bytes:
        return command.data if isinstance(command, SendBinary) else b""

    def mark_in(self, command: Command) -> str:
        return ""


class Twilio(Provider):
    fmt = AudioFormat("mulaw", 8000)
    starts = (
        _twilio(
            "start",
            start={
                **{"streamSid": "MZ1", "callSid": "CA1", "accountSid": "AC1"},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        ),
    )
    texts = (
        *(_json(event="connected", protocol="Call", version="1.0.0"), _twilio("dtmf", dtmf={"digit": "5"})),
        *(_twilio("dtmf", dtmf={"digit": "x"}), _twilio("dtmf"), _twilio("mark", mark={"name": "else"})),
        *(
            _twilio("news"),
            b"",
            b"{",
            b"\xff",
            b"[]",
            b'{"event":5}',
            _twilio("media", media={"payload": "%"}),
        ),
        _twilio("media", media={"payload": ""}),
        _json(event="media", streamSid="MZ2", media={"payload": "AAAA"}),
        _twilio("media", media={"payload": "AAAA", "track": "outbound"}),
    )

    ends = (_twilio("stop", stop={"callSid": "CA1"}), _twilio("stop"))
    stops_once = True

    def dialect(self) -> TwilioDialect:
        return TwilioDialect(TwilioSettings(account_sid="AC1", auth_token="t", auth=False), call_id="CA1")

    def media(self, audio: bytes) -> tuple[bytes, bool]:
        payload = base64.b64encode(audio).decode()
        return _twilio("media", media={"payload": payload, "track": "inbound"}), True

    def mark(self, name: str) -> bytes:
        return _twilio("mark", mark={"name": name})

    def audio_in(self, command: Command) -> bytes:
        told = json.loads(command.data) if isinstance(command, SendText) else {}
        return base64.b64decode(told["media"]["payload"]) if told.get("event") == "media" else b""

    def mark_in(self, command: Command) -> str:
        told = json.loads(command.data) if isinstance(command, SendText) else {}
        return str(told["mark"]["name"]) if told.get("event") == "mark" else ""


class Vonage(Provider):
    starts = (_json(event="websocket:connected", **{"content-type": "audio/l16;rate=16000"}),)
    texts = (
        _json(event="websocket:dtmf", digit="5", duration=260),
        *(
            _json(event="websocket:dtmf"),
            _json(event="websocket:cleared"),
            _json(event="news"),
            b"",
            b"{",
            b"[]",
        ),
        *(
            b"\xff",
            b'{"event":5}',
            _json(event="websocket:notify"),
            _json(event="websocket:notify", payload=5),
        ),
    )

    def dialect(self) -> VonageDialect:
        return VonageDialect(VonageSettings(sample_rate=16_000, auth=False), call_id="call-1")

    def mark(self, name: str) -> bytes:
        return _json(event="websocket:notify", payload={"name": name})

    def mark_in(self, command: Command) -> str:
        told = json.loads(command.data) if isinstance(command, SendText) else {}
        return str(told["payload"]["name"]) if told.get("action") == "notify" else ""


class Browser(Provider):
    fmt = AudioFormat("pcm_s16le", 48_000)
    texts = (
        *(
            _json(type="dtmf", digit="5"),
            _json(type="dtmf", digit="x"),
            _json(type="dtmf"),
            _json(type="news"),
        ),
        *(b"", b"{", b"[]", b"\xff", b'{"type":5}'),
    )

    ends = (_json(type="hangup"), _json(type="end-call"))

    def dialect(self) -> BrowserDialect:
        return BrowserDialect(BrowserSettings(auth=False), call_id="page-1")
