"""What ``vapimedia dial`` tells of its call: each step as it happens, the whole at the end, and whether it was one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from vapimedia.io.hooks import Call
from vapimedia.protocols.vapi import Transcript
from vapimedia.session import CallEnded, CallProgress, CallStarted

__all__ = ["DialRecord", "DialWatch", "Step", "masked", "trouble"]

_SPEAKERS = {"assistant": "assistant", "bot": "assistant", "user": "called"}
_ENDS_AS_CALLS_DO = frozenset({"provider_stop", "provider_closed", "vapi_ended", "hang_up", "forwarded"})
_WHY: Mapping[str, str] = {
    "busy": "the line is busy",
    "unanswered": "nobody answered",
    "rejected": "the call was rejected",
    "cancelled": "the call was cancelled before anybody answered",
    "failed": "the provider could not make the call",
    "vapi_failed": "Vapi did not take the call",
    "vapi_closed": "Vapi closed its socket before the call was over",
    "vapi_lost": "the connection to Vapi was lost",
    "media_lost": "the provider could not reach the media socket, or lost it",
    "provider_reset": "the provider's media socket was lost",
    "start_timeout": "the provider opened its media socket and never started the stream",
    "idle_timeout": "the provider went silent",
    "unsupported_format": "the provider announced a format that cannot be bridged",
    "protocol_error": "the provider or Vapi broke the protocol",
    "callback_error": "the app's on_event raised; the log says where",
    "drain": "the bridge was closed",
}
# Of a number, four digits at either end are shown; as many as are left must hide it.
_MIN_SHOWN_DIGITS = 11


class Step(msgspec.Struct, frozen=True):
    """How far the call had come, ``at_ms`` after the command to dial. ``detail`` is the provider's word."""

    status: str
    at_ms: int
    detail: str = ""


class DialRecord(msgspec.Struct):
    """One outgoing call, as ``--json`` prints it. It holds no number and nothing that was said."""

    provider: str = ""
    call_id: str = ""
    vapi_call_id: str = ""
    answered: bool = False
    statuses: list[Step] = []
    end_reason: str | None = None
    detail: str = ""
    duration_ms: int = 0
    """From the stream's start to its end."""
    error: str | None = None
    """Why the command fails; ``None`` if it does not."""


class DialWatch:
    """Takes a call's events into ``record`` and has *show* print each step: its status, and a text."""

    def __init__(self, show: Callable[[float, str, str], None]) -> None:
        self.record = DialRecord()
        self._show = show
        self._begun = time.monotonic()
        self._last_said: tuple[str, str] | None = None

    def step(self, status: str, detail: str = "", text: str | None = None) -> None:
        """The call has come this far."""
        at_s = time.monotonic() - self._begun
        self.record.statuses.append(Step(status, round(at_s * 1000), detail))
        self._show(at_s, status, detail if text is None else text)

    def __call__(self, call: Call | None, event: object) -> None:
        """Take one event of the bridge."""
        if call is None or call.info.direction != "outbound":
            return
        match event:
            case CallProgress(status, detail):
                self.record.answered |= status != "ringing"
                is_told = status in ("human", "machine")  # else it is the provider's word for the same
                self.step(status, detail, detail if is_told else "")
            case CallStarted():
                self.record.answered = True
                self.step("live")
            case Transcript() if event.final and event.transcript:
                self._said(_SPEAKERS.get(event.role or "", "called"), event.transcript)
            case CallEnded():
                self._ended(call, event)

    def _said(self, who: str, words: str) -> None:
        # The same words come by webhook too, where the assistant's server URL is this bridge.
        if (who, words) != self._last_said:
            self._last_said = who, words
            self._show(time.monotonic() - self._begun, who, words)

    def _ended(self, call: Call, event: CallEnded) -> None:
        record = self.record
        record.provider, record.call_id, record.vapi_call_id = call.provider, call.id, call.vapi_call_id
        record.end_reason, record.detail = event.reason, event.detail
        record.duration_ms = round(event.summary.duration_ms)
        record.error = trouble(record)
        told = f"{event.reason} ({event.detail})" if event.detail else event.reason
        self.step("ended", event.detail, f"{told}, {event.summary.duration_ms / 1000:.1f} s")


def trouble(record: DialRecord) -> str | None:
    """Return in a sentence why the call was none, ``None`` if somebody answered and it ended as calls do."""
    reason = record.end_reason or ""
    was_live = any(step.status == "live" for step in record.statuses)
    if reason in _ENDS_AS_CALLS_DO and was_live:
        return None
    if reason == "media_timeout":
        return (
            "somebody answered, but the provider opened no media socket; can it reach public_url?"
            if record.answered
            else "the provider did not say what became of the call; can it reach public_url?"
        )
    if reason in _ENDS_AS_CALLS_DO:
        why = "its audio came" if record.answered else "anybody answered"
        return f"the call ended before {why}{_quoted(record.detail)}"
    return f"{_WHY.get(reason, 'the call went wrong')}{_quoted(record.detail)}"


def masked(to: str | None) -> str:
    """Return *to* as it may be shown: enough to recognise one's own slip, not the number."""
    if to is None:
        return "the media socket alone"
    digits = "".join(char for char in to if char.isdigit())
    if not set(to) <= set("+0123456789 ()-.") or len(digits) < _MIN_SHOWN_DIGITS:
        return "***"
    return f"{'+' if to.strip().startswith('+') else ''}{digits[:4]}***{digits[-4:]}"


def _quoted(detail: str) -> str:
    return f" ({detail})" if detail else ""
