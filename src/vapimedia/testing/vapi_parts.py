"""The parts a call of the fake Vapi is put together from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from vapimedia.testing.faults import VapiFaults
from vapimedia.testing.listen import ListenSettings
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.vapi_messages import ToolSpelling
from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost, WebhookSender

if TYPE_CHECKING:
    from vapimedia.testing.fake_vapi_call import FakeVapiCall

__all__ = ["Assistant", "Leg", "Utterance", "VapiSettings"]


@dataclass
class VapiSettings:
    """What all calls of a ``FakeVapi`` share."""

    pacing: Pacing
    speed: float
    faults: VapiFaults
    sender: WebhookSender
    listen: ListenSettings
    server_messages: frozenset[str]
    tool_spelling: ToolSpelling = "function"
    settle_s: float = 0.0
    on_event: Callable[[FakeVapiCall, dict[str, Any]], None] | None = None
    on_tool_reply: Callable[[FakeVapiCall, ToolCall], None] | None = None
    on_control: Callable[[FakeVapiCall, dict[str, Any]], None] | None = None
    on_webhook: Callable[[FakeVapiCall, WebhookPost], None] | None = None


@dataclass
class Utterance:
    """One stretch of downlink audio: what was meant to be said, and what was sent before it was cut short.

    ``sizes`` and ``sent_ns`` are the bytes and the time of each message.
    """

    name: str
    planned: bytes
    sent: bytearray = field(default_factory=bytearray)
    started_ns: int = 0
    ended_ns: int = 0
    interrupted: bool = False
    sizes: list[int] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)


class Assistant(Protocol):
    """What sits behind the call."""

    async def run(self) -> None:
        """Play the part; cancelled when the call ends."""

    async def heard(self, chunk: bytes) -> None:
        """Take the caller's audio."""

    async def told(self, message: dict[str, Any]) -> None:
        """Take a control message, from the socket or by HTTP."""

    async def say(self, text: str) -> None:
        """Speak *text* to its end."""


class Leg(Protocol):
    """What carries the caller's audio: a call socket, or a phone line."""

    async def send_text(self, text: str) -> bool:
        """Send a text; ``False`` when it broke off."""

    async def send_audio(self, chunk: bytes) -> bool:
        """Send the assistant's audio; ``False`` when the leg is gone."""

    def flush(self) -> None:
        """Drop what was sent and has not been heard, if Vapi can."""

    async def close(self, code: int) -> None:
        """Close it, and be done when it is closed."""

    def abort(self) -> None:
        """Cut it."""
