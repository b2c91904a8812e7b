"""What can be made to go wrong on Vapi's side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vapimedia.testing.fault import Fault

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

    ``create_statuses`` answers successive ``POST /call`` with these HTTP statuses (0: accept; ``"hang"``: no answer,
    and no call), then accepts; ``create_delay_s`` makes the call that late, whether it is waited for or not.
    ``api_statuses`` does so for ``"list"``, ``"get"``, ``"update"`` and ``"delete"``. ``drop_after_s`` cuts the
    call socket without a close frame, ``close_after_s`` closes it with ``close_code`` and no
    ``status-update``. ``stall_after_s`` stops reading the socket for ``stall_s``.

    ``network`` is what call sockets suffer on their way, through the ``FaultProxy`` of the fake (``socket_proxy``);
    set it before the fake starts. Webhooks are posted ``webhook_delay_s`` late.

    ``control_status`` answers every control message with this HTTP status, ``control_delay_s`` does so late.
    The first ``listen_refusals`` listeners get 503; each is cut off ``listen_drop_after_s`` after it came.
    """

    create_statuses: tuple[int | Literal["hang"], ...] = ()
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
    api_statuses: dict[str, tuple[int, ...]] = field(default_factory=dict)
    control_status: int | None = None
    control_delay_s: float = 0.0
    listen_refusals: int = 0
    listen_drop_after_s: float | None = None
    webhook_delay_s: float = 0.0
    network: tuple[Fault, ...] = ()

    def next_status(self, operation: str) -> int | Literal["hang"]:
        """Take the next planned status of a REST operation; 0 when there is none."""
        planned: int | Literal["hang"]
        if operation == "create":
            planned, *rest = self.create_statuses or (0,)
            self.create_statuses = tuple(rest)
        else:
            planned, *later = self.api_statuses.get(operation) or (0,)
            self.api_statuses[operation] = tuple(later)
        return planned
