"""Plain data of the media layer: settings in, figures out. All durations carry their unit in the name."""

from __future__ import annotations

import msgspec

__all__ = ["Distribution", "HopStats", "LivePolicy", "PathStats", "PlayoutPolicy"]


class LivePolicy(msgspec.Struct, frozen=True):
    """How a live path (caller to Vapi) behaves.

    ``gap_ms``: silence is inserted after this much without media, or twice the largest chunk if that is more.
    ``max_backlog_ms``: how far the stream may run ahead of real time before frames are dropped (flood), and how
    much is kept at most while the far side is not open yet, or does not read. ``max_age_ms``: how much of what is
    that old is kept while it does not read, what the socket still holds included; silence is dropped first.
    ``paced=False`` lifts the flood limit and inserts no silence (benchmarks).
    """

    gap_ms: int = 60
    max_backlog_ms: int = 2000
    max_age_ms: int = 200
    paced: bool = True


class PlayoutPolicy(msgspec.Struct, frozen=True):
    """How a playout path (Vapi to caller) behaves.

    ``exact_frames``: one message per frame, never a partial one; what is left of a frame is padded with silence
    when the assistant has finished, or just before the provider runs dry. ``lead_ms``: how far ahead of playout
    audio is sent. ``prebuffer_ms``: the cushion that starts each utterance. ``max_playout_ms``: what may be queued;
    more is dropped, newest first, and counted; ``early_ms`` is the same limit before the provider takes audio.
    ``max_late_ms``: what should have been heard longer ago than this is dropped while the provider does not read.
    ``paced=False`` sends everything at once and drops nothing for being late (benchmarks).
    """

    exact_frames: bool = False
    lead_ms: int = 60_000
    prebuffer_ms: int = 40
    max_playout_ms: int = 120_000
    early_ms: int = 10_000
    max_late_ms: int = 200
    paced: bool = True


class HopStats(msgspec.Struct, frozen=True, gc=False):
    """One latency histogram, read out. Microseconds."""

    count: int
    p50_us: float
    p99_us: float
    max_us: float


class Distribution(msgspec.Struct, frozen=True):
    """A whole histogram, read out, to be added to others (``vapimedia.media.distribution``).

    ``buckets`` holds those that are not empty, by their number in ``csrc/histogram.h``. ``sum`` and ``max`` are exact,
    in the unit of what was counted (ns, bytes).
    """

    count: int = 0
    sum: int = 0
    max: int = 0
    buckets: dict[int, int] = {}


class PathStats(msgspec.Struct, frozen=True, gc=False):
    """Figures of one direction since its start. Nothing is lost silently: what came in or was inserted is what
    went out, is queued, was cleared or repaid, or stands in a ``dropped_*`` field. On playout paths what went out
    is heard, still queued at the provider, or cleared there."""

    messages_in: int = 0
    """Media messages received."""
    messages_out: int = 0
    audio_in_ms: float = 0.0
    """Audio received, or made by us (key tones), whatever became of it."""
    audio_out_ms: float = 0.0
    """Audio sent, inserted silence included."""
    queued_ms: float = 0.0
    """Audio that was not sent yet, plus what the provider has not played yet (playout paths)."""
    heard_ms: float = 0.0
    """Audio that the caller has heard, by the provider's clock and marks (playout paths)."""
    inserted_silence_ms: float = 0.0
    """Silence for pauses, for the rest of a frame, and at ``flush`` for the converter's delay."""
    repaid_silence_ms: float = 0.0
    """Silent frames left out again to repay inserted silence and key tones."""
    caught_up_ms: float = 0.0
    """Silent frames left out of a queue that stood for seconds, after a stall or by a drift of clocks (playout
    paths)."""
    dropped_flood_ms: float = 0.0
    dropped_overflow_ms: float = 0.0
    dropped_closed_ms: float = 0.0
    """Audio left when the path was closed or its far side was gone or stalled."""
    dropped_late_ms: float = 0.0
    """Audio that should have been heard ``max_late_ms`` ago and could not be sent: the provider did not read
    (playout paths)."""
    dropped_wrong_size_ms: float = 0.0
    """The audio of the messages in ``wrong_size``."""
    dropped_disorder_ms: float = 0.0
    """Audio that came after its place in the stream was given up (providers whose media may come out of order)."""
    cleared_ms: float = 0.0
    """Audio dropped by clears: our queue and what the provider had not played."""
    clears: int = 0
    gaps: int = 0
    """Times the provider ran dry inside an utterance, by the ledger, and had more after a second at most (playout
    paths): the caller heard a hole. Without Vapi's ``speech-update`` short pauses between utterances count too."""
    gap_ms: float = 0.0
    """How long it was dry then, all together."""
    foreign: int = 0
    """Messages of another stream or track."""
    duplicates: int = 0
    """Messages that had come before, by their number; dropped, and counted nowhere else."""
    reordered: int = 0
    """Messages that came after later ones and were put right."""
    invalid: int = 0
    """Media messages that could not be read (base64, empty)."""
    wrong_size: int = 0
    """Messages held back because they were not exactly one frame, to a provider whose leg they would have ended
    (``exact_frames``). Never happens: above 0 is a fault of this library, and worth a report."""
    codec_delay_ms: float = 0.0
    convert: HopStats | None = None
    """Received to converted."""
    queue: HopStats | None = None
    """Received to due for sending, prebuffer and pacing included."""
    send: HopStats | None = None
    """Received to handed to the socket."""
