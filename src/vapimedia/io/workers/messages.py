"""What the supervisor and a worker say to each other. Both are of one build, so nothing here is kept compatible."""

from __future__ import annotations

import msgspec

from vapimedia.io.config import BridgeConfig
from vapimedia.io.desk import Ticket
from vapimedia.io.errands import Errand, Reply
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.seen import Use

__all__ = [
    "AskAdmission",
    "AskClaim",
    "AskExpect",
    "AskLeave",
    "AskRelay",
    "AskSnapshot",
    "AskSpend",
    "AskWork",
    "Body",
    "Broken",
    "Claimed",
    "Close",
    "Done",
    "Drain",
    "Draining",
    "Failed",
    "GiveBack",
    "Last",
    "Left",
    "Named",
    "Passed",
    "Ping",
    "Pong",
    "Ready",
    "Relayed",
    "Setup",
    "Taken",
    "Verdict",
]


class _Body(msgspec.Struct, frozen=True, tag=True, array_like=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # they hold keys, tokens and phone numbers


# --- told by the supervisor --------------------------------------------------------------------


class Setup(_Body, frozen=True):
    """The first message to a worker: who it is, and what every worker has in common."""

    number: int
    config: BridgeConfig
    secret: bytes
    """Signs media tokens."""
    port: int
    admin_port: int
    log_level: str


class Passed(_Body, frozen=True):
    """A connection comes with this, unread: a request, or an upgrade at *provider*'s path that was judged."""

    provider: str = ""
    ticket: Ticket | None = None


class Ping(_Body, frozen=True):
    """Are you there?"""


class Drain(_Body, frozen=True):
    """Take no new calls, let the live ones run out, and end."""

    reason: str


class Close(_Body, frozen=True):
    """End at once."""


# --- told by a worker --------------------------------------------------------------------------


class Ready(_Body, frozen=True):
    """Connections may be passed."""


class Failed(_Body, frozen=True):
    """The settings keep it from starting."""

    reason: str


class Pong(_Body, frozen=True):
    """Yes."""


class Draining(_Body, frozen=True):
    """It was told from outside to drain: new calls are for the others."""


class Last(_Body, frozen=True):
    """All has ended: the figures that stay of it."""

    snapshot: bytes


class Named(_Body, frozen=True):
    """Webhooks may ask for a call of this worker by these names."""

    names: list[str]


class Left(_Body, frozen=True):
    """A call is over: its seat is free, its ticket worth nothing."""

    names: list[str]
    jti: bytes | None


class GiveBack(_Body, frozen=True):
    """A seat was not needed, and there is no call by these names."""

    names: list[str]


# --- asked by a worker -------------------------------------------------------------------------


class AskAdmission(_Body, frozen=True):
    """Would a call be taken? A ``Verdict``."""

    provider: str
    call_id: str


class AskClaim(_Body, frozen=True):
    """Take a seat. ``Claimed``."""

    provider: str
    call_id: str


class AskExpect(_Body, frozen=True):
    """Let a media socket in, once. ``Done``."""

    ticket: Ticket


class AskSpend(_Body, frozen=True):
    """Use names up. A ``Verdict``."""

    uses: list[Use]


class AskRelay(_Body, frozen=True):
    """Have the worker do it that has the call. ``Relayed``, or with nothing in it if there is none.

    What is about no call is for the worker that was the first to ask with this *key*.
    """

    names: list[str]
    errand: Errand
    key: str = ""


class AskLeave(_Body, frozen=True):
    """Nothing lives here any more. ``Done``: no connection is passed from here on."""

    snapshot: bytes


# --- asked by the supervisor -------------------------------------------------------------------


class AskWork(_Body, frozen=True):
    """Do what another worker was asked for. ``Relayed``."""

    errand: Errand


class AskSnapshot(_Body, frozen=True):
    """What is there to tell? ``Taken``."""


# --- answers -----------------------------------------------------------------------------------


class Verdict(_Body, frozen=True):
    refusal: Refusal | None


class Claimed(_Body, frozen=True):
    refusal: Refusal | None = None
    is_elsewhere: bool = False


class Relayed(_Body, frozen=True):
    reply: Reply | None


class Taken(_Body, frozen=True):
    snapshot: bytes


class Done(_Body, frozen=True):
    pass


class Broken(_Body, frozen=True):
    """There is no answer: the other side failed, or is gone."""


Body = (
    Setup
    | Passed
    | Ping
    | Drain
    | Close
    | Ready
    | Failed
    | Pong
    | Draining
    | Last
    | Named
    | Left
    | GiveBack
    | AskAdmission
    | AskClaim
    | AskExpect
    | AskSpend
    | AskRelay
    | AskLeave
    | AskWork
    | AskSnapshot
    | Verdict
    | Claimed
    | Relayed
    | Taken
    | Done
    | Broken
)
