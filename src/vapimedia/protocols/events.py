"""What a provider's control messages mean, in words that every dialect shares.

A dialect turns a message into these; ``session`` acts on them and knows no provider. Media does not appear
here: the frame path handles it in C. The one exception is ``Media``, a media message that was written in an
unusual way (escapes, odd nesting) and that the C scanner therefore left to the dialect.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = [
    "CallProgress",
    "Cleared",
    "Connected",
    "Dtmf",
    "LegFormat",
    "MarkPlayed",
    "Media",
    "Problem",
    "ProviderEvent",
    "Started",
    "Stopped",
    "UnknownMessage",
]


class LegFormat(msgspec.Struct, frozen=True):
    """What a leg says on the wire, before it is known whether the kernels can read it."""

    codec: str
    sample_rate: int
    channels: int = 1
    byte_order: Literal["little", "big"] = "little"

    @property
    def audio_format(self) -> AudioFormat | None:
        """The format for the kernels, or ``None`` if they cannot read this one (Opus, stereo, odd rates)."""
        known = ("mulaw", "alaw", "pcm_s16le")
        if self.codec not in known or self.channels != 1 or self.byte_order != "little":
            return None
        try:
            return AudioFormat(self.codec, self.sample_rate)  # type: ignore[arg-type]
        except ConfigError:
            return None


class Connected(msgspec.Struct, frozen=True):
    """The provider's greeting, before it has said which call this is."""


class Started(msgspec.Struct, frozen=True):
    """The media stream begins. ``format`` is what the provider says it sends and accepts."""

    call_id: str
    stream_id: str
    format: LegFormat
    account_id: str = ""
    parameters: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Started(call_id={self.call_id!r}, stream_id={self.stream_id!r}, format={self.format!r})"


class Media(msgspec.Struct, frozen=True):
    """One media message that only the full parser could read; ``payload`` is in the leg's format."""

    payload: bytes

    def __repr__(self) -> str:
        return f"Media({len(self.payload)} bytes)"


class Dtmf(msgspec.Struct, frozen=True):
    """The caller pressed a key. ``digit`` is one of ``0-9*#A-D``; ``duration_ms`` where the provider tells.

    ``repr`` hides the digit: digits in a row are a PIN or a card number.
    """

    digit: str
    duration_ms: int | None = None

    def __repr__(self) -> str:
        return f"Dtmf(duration_ms={self.duration_ms!r})"


class MarkPlayed(msgspec.Struct, frozen=True):
    """The provider returned a mark: everything sent before it was played, or dropped by a clear."""

    name: str


class Cleared(msgspec.Struct, frozen=True):
    """The provider confirms that it emptied its buffer (dialects that say so)."""


class Stopped(msgspec.Struct, frozen=True):
    """The provider ends the stream or the call. ``reason`` is its own word for it.

    ``outcome`` says why a call never came about (``media_lost``: our socket could not be reached); empty for one
    that did.
    """

    reason: str
    outcome: Literal["", "busy", "unanswered", "rejected", "cancelled", "failed", "media_lost"] = ""


class CallProgress(msgspec.Struct, frozen=True):
    """How far a call that we make has come, or who answered it. ``detail`` is the provider's own word."""

    status: Literal["ringing", "answered", "human", "machine"]
    detail: str = ""


class Problem(msgspec.Struct, frozen=True):
    """The peer did something wrong. A fatal problem ends the call with ``reason``; others are counted by it.

    ``reason`` is one of a small fixed set of snake_case words (``media_before_start``, ``invalid_json``,
    ``invalid_base64``, ``wrong_stream``, ``second_start``, ``unsupported_format``, ``missing_field``);
    ``text`` is a sentence for the log without secrets or phone numbers.
    """

    reason: str
    text: str
    fatal: bool = False


class UnknownMessage(msgspec.Struct, frozen=True):
    """A message of a kind this dialect does not know. Counted, never fatal."""

    name: str


ProviderEvent = (
    Connected
    | Started
    | Media
    | Dtmf
    | MarkPlayed
    | Cleared
    | Stopped
    | CallProgress
    | Problem
    | UnknownMessage
)
