"""What can be made to go wrong on Vapi's side."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GARBAGE", "VapiFaults"]

# Texts no bridge may stumble over; sent after the first status-update when ``garbage`` is set.
GARBAGE = (
    "{not json",
    "",
    "null",
    "[]",
    '"listening"',
    '{"no":"type"}',
    '{"type":null}',
    '{"type":"never.heard.of","x":{"y":[1,2,3]}}',
    '{"type":"speech-update","status":7,"role":{}}',
    '{"message":{"type":"transcript","role":"user","transcriptType":"partial","transcript":""}}',
)


@dataclass
class VapiFaults:
    """Faults of a ``FakeVapi``; fields may be changed while it runs.

    ``create_statuses`` answers successive ``POST /call`` with these HTTP statuses (0: accept), then accepts.
    ``drop_after_s`` cuts the call socket without a close frame, ``close_after_s`` closes it with
    ``close_code`` and no ``status-update``. ``stall_after_s`` stops reading the socket for ``stall_s``.
    """

    create_statuses: tuple[int, ...] = ()
    create_delay_s: float = 0.0
    retry_after_s: int | None = None
    upgrade_status: int | None = None
    upgrade_delay_s: float = 0.0
    drop_after_s: float | None = None
    close_after_s: float | None = None
    close_code: int = 1011
    stall_after_s: float | None = None
    stall_s: float = 0.0
    garbage: bool = False
    subscription_blocked: bool = False
