"""A clock, a provider with readable messages, and a driver that keeps everything a session ever said."""

from __future__ import annotations

from typing import Any

from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope
from vapimedia.protocols.commands import CloseSocket, Command, HttpCall, SendBinary, SendText
from vapimedia.protocols.dialect import BaseDialect, Caps
from vapimedia.protocols.events import (
    Cleared,
    Connected,
    Dtmf,
    LegFormat,
    MarkPlayed,
    Media,
    Problem,
    ProviderEvent,
    Started,
    Stopped,
    UnknownMessage,
)
from vapimedia.session import Actions, CallEnded, CallSession, SessionConfig

MULAW = AudioFormat("mulaw", 8000)
MS = 1_000_000
FRAME = bytes(range(160))
ENDED = b'{"type":"status-update","status":"ended","endedReason":"assistant-ended-call"}'
INTERRUPTED = b'{"type":"user-interrupted","turnId":"t1"}'
END_CALL = SendText(b'{"type":"end-call"}')
HANGUP = HttpCall("hangup", "POST", "https://provider.example/calls/1")


def speech(role: str, status: str) -> bytes:
    return f'{{"type":"speech-update","status":"{status}","role":"{role}","turn":1}}'.encode()


class FakeDialect(BaseDialect):
    """A provider whose media is binary and whose control messages are words."""

    name = "fake"

    def __init__(self, caps: Caps | None = None, leg_format: LegFormat | None = None) -> None:
        self.caps = caps or Caps(exact_frames=False, max_lead_ms=60_000, marks=True, clear=True)
        self.leg_format = leg_format or LegFormat("mulaw", 8000)
        self.announced = self.leg_format

    def feed(self, message: bytes, is_text: bool) -> list[ProviderEvent]:
        if not is_text:
            return [Problem("media_before_start", "media came before start")]
        word, _, rest = message.decode("utf-8", "replace").partition(" ")
        events: dict[str, list[ProviderEvent]] = {
            "connected": [Connected()],
            "start": [Started("call-1", "stream-1", self.announced, "account-1", {"plan": "gold"})],
            "stop": [Stopped("hung-up")],
            "dtmf": [Dtmf(rest)],
            "mark": [MarkPlayed(rest)],
            "media": [Media(rest.encode())],
            "cleared": [Cleared()],
            "bad": [Problem("invalid_json", "not JSON")],
            "odd": [Problem("wrong_stream", "another stream")],
            "fatal": [Problem(rest or "wrong_account", "not ours", fatal=True)],
        }
        return events.get(word, [UnknownMessage(word)])

    def envelope_in(self) -> Envelope:
        return Envelope(text=False)

    def envelope_out(self) -> Envelope:
        return Envelope(text=False)

    def mark(self, name: str) -> SendText | None:
        return SendText(f"mark {name}".encode())

    def clear(self) -> SendText | None:
        return SendText(b"clear") if self.caps.clear else None

    def hangup(self) -> list[Command]:
        return [HANGUP, CloseSocket(1000)]


class Driver:
    """Calls a session with its own clock and collects what comes out."""

    def __init__(
        self, dialect: Any = None, *, carries_media: bool = True, control: bool = True, **settings: Any
    ) -> None:
        self.now_ns = self.input_ns = 1_000 * MS
        self.dialect = dialect or FakeDialect()
        settings.setdefault("vapi_format", MULAW)
        settings.setdefault("prebuffer_ms", 0)
        settings.setdefault("mark_interval_ms", 500)
        config = SessionConfig(**settings)
        self.session = CallSession(
            self.dialect, config, now_ns=self.now_ns, carries_media=carries_media, vapi_call_id="vapi-1"
        )
        self.to_provider: list[Command] = []
        self.to_vapi: list[Command] = []
        self.events: list[Any] = []
        self.next_tick_ns: int | None = None
        if control:
            self.session.set_vapi_call("vapi-1", "https://vapi.example/control", {"x-key": "k"})

    def __getattr__(self, name: str) -> Any:
        """Any input of the session, without the time."""
        method = getattr(self.session, name)

        def call(*args: Any, **options: Any) -> Actions:
            actions: Actions = method(*args, self.now_ns, **options)
            self.input_ns = self.now_ns
            self.to_provider += actions.to_provider
            self.to_vapi += actions.to_vapi
            self.events += actions.events
            self.next_tick_ns = actions.next_tick_ns
            return actions

        return call

    def advance(self, ms: float) -> None:
        """Let time pass, ticking when the session asks for it."""
        until_ns = self.now_ns + int(ms * MS)
        while self.next_tick_ns is not None and self.next_tick_ns <= until_ns:
            self.now_ns = max(self.next_tick_ns, self.now_ns + MS)
            self.tick()
        self.now_ns = max(until_ns, self.now_ns)
        self.tick()

    def text(self, message: bytes | str) -> Actions:
        """A control message of the provider."""
        data = message.encode() if isinstance(message, str) else message
        return self.provider_message(data, True)

    def vapi_text(self, message: bytes) -> Actions:
        return self.vapi_message(message, True)

    def vapi_audio(self, ms: int) -> Actions:
        return self.vapi_message((FRAME * (ms // 20 + 1))[: ms * 8], False)

    def go_live(self) -> Driver:
        self.provider_opened()
        self.text("start")
        self.vapi_opened()
        self.forget()
        return self

    def forget(self) -> None:
        self.to_provider.clear()
        self.to_vapi.clear()
        self.events.clear()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ended(self) -> CallEnded | None:
        found = self.of(CallEnded)
        assert len(found) <= 1, "a call ends once"
        return found[0] if found else None

    @property
    def heard(self) -> bytes:
        """The audio sent to the provider."""
        return b"".join(command.data for command in self.to_provider if isinstance(command, SendBinary))

    @property
    def said(self) -> bytes:
        """The audio sent to Vapi."""
        return b"".join(command.data for command in self.to_vapi if isinstance(command, SendBinary))

    def without_audio(self, commands: list[Command]) -> list[Command]:
        return [command for command in commands if not isinstance(command, SendBinary)]
