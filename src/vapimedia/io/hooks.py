"""What a user's bridge is asked and told: the call that comes in, how to answer it, the call that lives."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io.call_log import CallLog
from vapimedia.io.forward import wanted_destination
from vapimedia.protocols.vapi import (
    AssistantDestination,
    CreateCall,
    PhoneDestination,
    TransportMessage,
    add_message,
    append_context,
    control,
    handoff,
    say,
    send_transport_message,
    transfer,
)
from vapimedia.protocols.vapi.commands import ContextKind
from vapimedia.session import CallEnded, CallSummary, ForwardTarget

if TYPE_CHECKING:
    from vapimedia.io.live_call import LiveCall
    from vapimedia.io.live_control import LiveControl

__all__ = ["Call", "CallInfo", "CallOptions", "Reject", "check_types"]

_T = TypeVar("_T")
_fields = functools.cache(msgspec.structs.fields)


def check_types(given: msgspec.Struct, prefix: str) -> None:
    """Raise ``ConfigError`` for the first field of a struct of a user's whose value is not what its type says."""
    for field in _fields(type(given)):
        try:
            msgspec.convert(getattr(given, field.name), field.type)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{prefix}{field.name} has a value of the wrong type: {error}") from None


class CallInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A call that comes in, before it is answered, or one that we make. Its ``repr`` shows no phone number.

    ``fields`` are the provider's own webhook fields; all but ``provider`` are empty when the media socket was
    opened without a webhook (a page of one's own; others with ``--no-auth``).
    """

    provider: str
    call_id: str = ""
    from_: str = ""
    to: str = ""
    direction: str = "inbound"
    fields: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"CallInfo(provider={self.provider!r}, call_id={self.call_id!r}, direction={self.direction!r})"


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers one call, or talks in one that we make. What is not given comes from the bridge's settings.

    One of ``assistant_id``, ``assistant``, ``squad_id``, ``squad``, ``workflow_id``, ``workflow`` at most.
    ``overrides`` go to whichever answers, ``metadata`` into them; ``CallStarted`` returns ``parameters``.
    ``record=False`` leaves the call out where calls are recorded.
    Raises ``ConfigError`` for a value of the wrong type. Its ``repr`` shows ids only.
    """

    assistant_id: str | None = None
    assistant: dict[str, Any] | None = None
    squad_id: str | None = None
    squad: dict[str, Any] | None = None
    workflow_id: str | None = None
    workflow: dict[str, Any] | None = None
    overrides: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None
    record: bool | None = None
    parameters: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        check_types(self, "CallOptions.")

    def __repr__(self) -> str:
        ids = (
            name for name in ("assistant_id", "squad_id", "workflow_id") if getattr(self, name) is not None
        )
        return f"CallOptions({', '.join(f'{name}={getattr(self, name)!r}' for name in ids)})"

    def request(self, audio_format: AudioFormat, default_assistant_id: str) -> CreateCall:
        """Return the call to create. Raises ``ConfigError`` when it names no assistant, or several."""
        families = {
            name: getattr(self, name)
            for name in ("assistant_id", "assistant", "squad_id", "squad", "workflow_id", "workflow")
            if getattr(self, name) is not None
        }
        if not families:
            if not default_assistant_id:
                raise ConfigError(
                    "no assistant is configured; give --assistant-id, or choose one in on_call for each call"
                )
            families = {"assistant_id": default_assistant_id}
        family = next(iter(families)).removesuffix("_id")
        if self.overrides is not None:
            families[f"{family}_overrides"] = self.overrides
        return CreateCall(format=audio_format, metadata=self.metadata, name=self.name, **families)


class Reject(msgspec.Struct, frozen=True):
    """Do not answer the call. ``reason`` goes to the log, never to the caller."""

    reason: str = ""


class Call:
    """One call, as callbacks and tools see it. Methods may be called at any time, from any thread.

    What is said from another thread than the loop's is done a moment later.
    """

    def __init__(self, live: LiveCall) -> None:
        self._live = live
        self._loop = asyncio.get_running_loop()
        self.user_data: dict[str, Any] = {}

    @property
    def log(self) -> CallLog:
        """Writes lines about this call to the log, with its names (docs/logging.md)."""
        return self._live.log

    @property
    def info(self) -> CallInfo:
        """What the provider said when the call came in, or what we dialled."""
        return self._live.info

    @property
    def id(self) -> str:
        """The provider's call id; empty until it is known."""
        return self._live.call_id

    @property
    def vapi_call_id(self) -> str:
        """Vapi's call id; empty until ``POST /call`` was answered."""
        return self._live.vapi_call_id

    @property
    def provider(self) -> str:
        """``twilio``, ..."""
        return self._live.info.provider

    @property
    def recording(self) -> Path | None:
        """The file that both legs are recorded to, from the start of media on; ``None`` if they are not."""
        recording = self._live.recording
        return None if recording is None else recording.path

    def say(self, text: str, *, end_call_after: bool = False) -> None:
        """Have the assistant say *text* next."""
        self._on_loop(self._live.send_to_vapi, say(text, end_call_after_spoken=end_call_after))

    def add_message(self, role: str, content: str, *, trigger_response: bool = True) -> None:
        """Put a message into the conversation."""
        message = add_message(role, content, trigger_response=trigger_response)  # type: ignore[arg-type]
        self._on_loop(self._live.send_to_vapi, message)

    def append_context(self, kind: ContextKind, content: str) -> None:
        """Give the assistant context without a turn of its own.

        This and what follows goes by Vapi's control URL, in order; ``control`` can be awaited instead.
        """
        self._by_url(append_context(kind, content))

    def mute_assistant(self) -> None:
        """Keep the assistant from being heard."""
        self._by_url(control("mute-assistant"))

    def unmute_assistant(self) -> None:
        """Let the assistant be heard again."""
        self._by_url(control("unmute-assistant"))

    def mute_customer(self) -> None:
        """Keep the assistant from hearing the caller."""
        self._by_url(control("mute-customer"))

    def unmute_customer(self) -> None:
        """Let the assistant hear the caller again."""
        self._by_url(control("unmute-customer"))

    def say_first_message(self) -> None:
        """Have the assistant say its first message."""
        self._by_url(control("say-first-message"))

    def transfer(self, destination: PhoneDestination | str, content: str = "") -> None:
        """Ask Vapi to transfer its call, after *content* was spoken.

        What that does to a call without a phone leg of Vapi's own is not documented; the bridge has that leg.
        """
        self._by_url(transfer(destination, content))

    def handoff(self, destination: AssistantDestination | str, content: str = "") -> None:
        """Hand the call to another assistant, or the one with that id, after *content* was spoken."""
        self._by_url(handoff(destination, content))

    def send_transport_message(self, message: TransportMessage) -> None:
        """Send what Vapi passes to the transport of its call. Its pages name none for calls such as a bridge's."""
        self._by_url(send_transport_message(message))

    @property
    def control(self) -> LiveControl:
        """What speaks to the call by its control URL and can be awaited, on the bridge's own loop.

        Raises ``StateError`` before Vapi has made the call.
        """
        return self._live.controls.control

    def hang_up(self, reason: str = "hang_up") -> None:
        """End the call on both legs."""
        self._on_loop(self._live.hang_up, reason)

    def forward(self, destination: str | ForwardTarget, *, message: str = "") -> None:
        """Have the phone call go on at *destination*, without the assistant.

        That is a number in E.164, a ``sip:`` URI, or a destination such as Vapi names one.
        What the assistant has said is heard first; then the provider's own voice says *message*, and connects. The
        call ends as ``forwarded`` here; if the provider does not agree it goes on, and ``ForwardFailed`` tells.
        Raises ``ConfigError`` for what cannot be dialled or a provider that cannot forward, ``StateError`` before the
        media runs, after the end, and while another forward is under way.
        """
        to = wanted_destination(destination, message)
        self._live.session.check_forward(to)
        self._on_loop(self._live.forward, to)

    async def ended(self) -> CallEnded:
        """Wait until the call is over on both legs; return its end. Belongs to the bridge's own loop."""
        return await asyncio.shield(self._live.end)

    def summary(self) -> CallSummary:
        """Return the call in figures, so far or at its end."""
        return self._live.summary()

    def _by_url(self, message: bytes) -> None:
        self._on_loop(self._live.controls.send, message)

    def _on_loop(self, do: Callable[[_T], None], what: _T) -> None:
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:  # a thread without a loop
            is_here = False
        if is_here:
            do(what)
        else:
            with suppress(RuntimeError):  # the loop is closed, and the call over with it
                self._loop.call_soon_threadsafe(do, what)

    def __repr__(self) -> str:
        return f"Call(id={self.id!r}, vapi_call_id={self.vapi_call_id!r}, provider={self.provider!r})"
