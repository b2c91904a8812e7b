"""What the fake assistant does in a call: steps, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from vapimedia.formats import AudioFormat
from vapimedia.testing.pacing import Pacing

__all__ = [
    "Ask",
    "AssistantScript",
    "AssistantStep",
    "CallTool",
    "CallTools",
    "Echo",
    "EndCall",
    "Pause",
    "SendEvent",
    "SendText",
    "Speak",
    "SpeechTiming",
    "StreamBytes",
    "Transfer",
    "WaitForDtmf",
    "WaitForSilence",
    "default_script",
]


@dataclass(frozen=True)
class Speak:
    """Speak a clip by name. The caller's voice cuts it short when *interruptible*."""

    clip: str
    interruptible: bool = True


@dataclass(frozen=True)
class WaitForSilence:
    """Wait until the caller has spoken and is silent again. *expect* names the clip, for the transcripts."""

    expect: str | None = None
    timeout_s: float = 15.0


@dataclass(frozen=True)
class WaitForDtmf:
    """Wait for an ``add-message`` that mentions *digit* (any digit when ``None``)."""

    digit: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True)
class CallTool:
    """Call a tool: an event on the socket, the question by webhook; its reply is awaited and judged.

    Without *timeout_s* the server's limit holds.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None


@dataclass(frozen=True)
class CallTools:
    """Call several tools in one message; each entry is a name and its arguments."""

    calls: tuple[tuple[str, dict[str, Any]], ...]
    timeout_s: float | None = None


@dataclass(frozen=True)
class Ask:
    """Post any server message about the call and await the answer, which ``call.webhooks`` has."""

    message: dict[str, Any]


@dataclass(frozen=True)
class Transfer:
    """Transfer the call as the assistant: to *destination*, or to where the server says."""

    destination: dict[str, Any] | None = None


@dataclass(frozen=True)
class Pause:
    """Do nothing for a while."""

    ms: float


@dataclass(frozen=True)
class SendText:
    """Send any text frame as it is: broken JSON, unknown events."""

    text: str


@dataclass(frozen=True)
class SendEvent:
    """Tell any event to who subscribed to its type: the socket, the listeners, the server URL."""

    event: dict[str, Any]


@dataclass(frozen=True)
class EndCall:
    """End the call from the assistant's side."""

    reason: str = "assistant-ended-call"


AssistantStep = (
    Speak
    | WaitForSilence
    | WaitForDtmf
    | CallTool
    | CallTools
    | Ask
    | Transfer
    | Pause
    | SendText
    | SendEvent
    | EndCall
)
SpeechTiming = Literal["word-alignment", "word-progress"]


@dataclass(frozen=True)
class AssistantScript:
    """A scripted assistant. The call stays open after the last step unless that is ``EndCall``.

    *timing* is what ``assistant.speechStarted`` carries, for those who subscribed to it.
    """

    steps: tuple[AssistantStep, ...]
    name: str = "corner store"
    timing: SpeechTiming | None = None

    @property
    def caller_lines(self) -> tuple[str | None, ...]:
        """The clips the caller is expected to say, in order."""
        return tuple(step.expect for step in self.steps if isinstance(step, WaitForSilence))


@dataclass(frozen=True)
class Echo:
    """Send every message of the caller straight back."""


@dataclass(frozen=True)
class StreamBytes:
    """Send given audio, without events: for load tests.

    *audio* is in the call's format, or a function that makes it from the format. *end* ends the call when
    it is all sent.
    """

    audio: bytes | Callable[[AudioFormat], bytes]
    pacing: Pacing | None = None
    delay_ms: float = 0.0
    end: bool = False


def default_script() -> AssistantScript:
    """Return the assistant's half of the demo dialogue; ``default_caller()`` is the caller's."""
    thinking = Pause(600)  # what a language model and a voice take to answer
    return AssistantScript(
        (
            Speak("greeting"),
            WaitForSilence("ask_monday"),
            thinking,
            Speak("let_me_check"),
            CallTool("store_hours", {"day": "monday"}),
            thinking,
            Speak("monday_hours"),
            WaitForSilence("ask_sunday"),
            thinking,
            Speak("sunday_hours"),
            WaitForDtmf("1"),
            Speak("goodbye", interruptible=False),
            # What is spoken is still on its way to the ear; the end of the call would cut it off.
            Pause(400),
            EndCall(),
        )
    )
