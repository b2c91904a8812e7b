"""What is taken from one answer of the generator. ``None`` where it says nothing about it."""

from __future__ import annotations

from bridges.generator import Answer

__all__ = [
    "barge_in_us",
    "capacity",
    "cpu_us",
    "downlink_ms",
    "kb_per_call",
    "most_calls",
    "p50_us",
    "p99_us",
    "stalled_ms",
    "uplink_ms",
]


def cpu_us(answer: Answer) -> float | None:
    """CPU time of the bridge's processes for one frame, user and system.

    What only receives and sends brings no frame back that could be told: its frames are those that it was sent.
    """
    if answer.cpu_us_per_frame is None and answer.cpu_share is not None and answer.frames.sent:
        return answer.cpu_share * answer.seconds * 1e6 / answer.frames.sent
    return answer.cpu_us_per_frame


def capacity(answer: Answer) -> float | None:
    """Calls that fill 80 % of one core, from the CPU time of a frame; 100 frames a second are a call."""
    us = cpu_us(answer)
    return 0.8e6 / (100 * us) if us else None


def most_calls(answer: Answer) -> float | None:
    """Calls found to be carried at 80 % of one core."""
    return answer.sustained_calls


def p50_us(answer: Answer) -> float | None:
    """One-way latency of both directions, the codec's own delay not included."""
    return answer.latency_us.get("both", {}).get("p50")


def p99_us(answer: Answer) -> float | None:
    return answer.latency_us.get("both", {}).get("p99")


def uplink_ms(answer: Answer) -> float | None:
    """The codec's delay from the caller to the API, as it lies in the sound."""
    return answer.codec_delay_ms.get("uplink")


def downlink_ms(answer: Answer) -> float | None:
    return answer.codec_delay_ms.get("downlink")


def kb_per_call(answer: Answer) -> float | None:
    """Growth of the resident set over idle calls."""
    return answer.rss_kb.get("per_call")


def barge_in_us(answer: Answer) -> float | None:
    """From the API's ``user-interrupted`` to the provider's ``clear``, p50."""
    return (answer.barge_in_us or {}).get("p50")


def stalled_ms(answer: Answer) -> float | None:
    """How much audio the bridge, its kernel included, held for each peer that did not read."""
    return (answer.stalled or {}).get("held_ms_per_call")
