"""The front desk of a bridge: who may come in, and whose what is. One desk serves all workers.

A bridge alone in its process asks a ``LocalDesk``; each of several workers asks, by another ``Desk``, the one
that their supervisor keeps. Nothing here is on the path of media.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from vapimedia.io.call_setup import Dialects
from vapimedia.io.config import BridgeConfig
from vapimedia.io.errands import Errand, Reply
from vapimedia.io.http_head import Head
from vapimedia.protocols.dialect import Dialect, Refusal, UpgradeRequest
from vapimedia.protocols.seen import SeenOnce, Use, refusal_of
from vapimedia.protocols.token import TokenClaims, TokenLedger, TokenSigner

if TYPE_CHECKING:
    from vapimedia.io.live_call import LiveCall

__all__ = ["Claim", "Desk", "Entry", "FrontDesk", "LocalDesk", "Seat", "Ticket", "name_of", "names_of"]

_DRAIN_ACCEPT_S = 20.0
"""How long sockets with a live token are still taken while draining."""


class Ticket(NamedTuple):
    """A media socket that is expected. *is_dialled*: for a call that we make, which rings as long as it was told to."""

    jti: bytes
    worker: int
    expires_s: float
    provider: str
    is_dialled: bool = False

    @classmethod
    def of(cls, claims: TokenClaims, provider: str, *, is_dialled: bool = False) -> Ticket:
        return cls(claims.jti, claims.worker, claims.expires_s, provider, is_dialled)


class Entry(NamedTuple):
    """An upgrade that may come in, as *dialect* has read it.

    Without a *ticket* no webhook announced it: a call is made of it, for which a seat is taken.
    """

    provider: str
    dialect: Dialect
    ticket: Ticket | None


class Seat:
    """Room for one call, given back at the end of the block unless a call has taken it (``keep``)."""

    def __init__(self, desk: Desk, names: Sequence[str] = ()) -> None:
        self._desk = desk
        self._names = names
        self._is_kept = False

    def keep(self) -> None:
        """A live call has it now, and gives it back at its end."""
        self._is_kept = True

    def __enter__(self) -> Seat:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_kept:
            self._desk.give_back(self._names)


Claim = Seat | Refusal | Literal["elsewhere"]


class Desk(Protocol):
    """What a bridge asks before it takes a call, and tells about those it has."""

    worker: int
    """The number that is put into our tokens; 0 where there are no workers."""
    signer: TokenSigner

    def drain(self) -> None:
        """We take no new calls."""

    async def admission(self, provider: str = "", call_id: str = "") -> Refusal | None:
        """Return why no call can be taken now, or ``None``; nothing is taken. Of a call that is known: ``None``."""

    async def claim(self, provider: str, call_id: str = "") -> Claim:
        """Take a seat for a call, by the provider's id if there is one; ``elsewhere``: another worker has it."""

    async def expect(self, ticket: Ticket) -> None:
        """From the return on a media socket with this ticket is let in, once."""

    async def spend(self, uses: Sequence[Use]) -> Refusal | None:
        """Use names up; say why that is refused."""

    async def relay(self, names: Sequence[str], errand: Errand, key: str = "") -> Reply | None:
        """Have the worker do *errand* that knows one of *names*; ``None`` if no other does.

        What nobody knows is done by whoever was the first to ask with the same *key*.
        """

    def named(self, names: Sequence[str]) -> None:
        """A call of ours is known by these."""

    def left(self, names: Sequence[str], jti: bytes | None) -> None:
        """A call is over: its seat is free and its ticket worth nothing."""

    def give_back(self, names: Sequence[str]) -> None:
        """A seat was not needed."""


def names_of(call: LiveCall) -> list[str]:
    """Return every name by which webhooks may ask for *call*."""
    provider = call.info.provider
    ids = ((provider, call.call_id), (f"{provider}/ref", call.reference), ("vapi", call.vapi_call_id))
    return [name_of(kind, one) for kind, one in ids if one]


def name_of(kind: str, one: str) -> str:
    """Return the name of a call under which its worker is found: *kind* tells whose id it is."""
    return f"{kind} {one}"


class FrontDesk:
    """Judges who may come in: seats, media tokens, what is good once, the drain."""

    def __init__(self, config: BridgeConfig, *, secret: bytes = b"") -> None:
        self._seen = SeenOnce()
        self.dialects = Dialects(config, self._seen)
        self.signer = TokenSigner(secret or secrets.token_bytes(32))
        self._config = config
        self._ledger = TokenLedger()
        self._tickets: dict[bytes, Ticket] = {}
        self._n_taken = 0
        self._draining_since: float | None = None

    def drain(self) -> None:
        """Take no new calls, and only for a while the media sockets of those that were answered."""
        if self._draining_since is None:
            self._draining_since = time.monotonic()

    def admission(self) -> Refusal | None:
        """Return why no call can be taken now, or ``None``."""
        if self._draining_since is not None:
            return Refusal(503, "the bridge is draining")
        if self._n_taken >= self._config.max_calls:
            return Refusal(503, f"the bridge carries {self._config.max_calls} calls already")
        return None

    def take_seat(self) -> Refusal | None:
        """Take a seat, or return why there is none."""
        refusal = self.admission()
        self._n_taken += refusal is None
        return refusal

    def free_seats(self, n: int = 1) -> None:
        """Seats are free again."""
        self._n_taken -= n

    def expect(self, ticket: Ticket) -> None:
        """Let a media socket with *ticket* in, once."""
        now_s = time.time()
        while self._tickets and (first := next(iter(self._tickets.values()))).expires_s <= now_s:
            del self._tickets[first.jti]
        self._tickets[ticket.jti] = ticket

    def forget(self, jti: bytes) -> None:
        """The ticket is worth nothing any more."""
        self._tickets.pop(jti, None)

    def forget_worker(self, worker: int) -> None:
        """The tickets of a worker that is gone are worth nothing any more."""
        self._tickets = {jti: one for jti, one in self._tickets.items() if one.worker != worker}

    def spend(self, uses: Sequence[Use]) -> Refusal | None:
        """Use names up; say why that is refused."""
        now_s = time.time()
        for use in uses:
            refusal = refusal_of(self._seen.spend(use.name, use.expires_s, now_s), "token")
            if refusal is not None:
                return refusal
        return None

    def judge(self, head: Head, remote: str) -> Entry | Refusal:
        """Return whom an upgrade is for, or why it is refused. What is good once is spent by this."""
        path = head.target.partition("?")[0]
        provider, _, rest = path.removeprefix("/").partition("/")
        if provider not in self._config.providers or rest.partition("/")[0] != "media":
            return Refusal(404, "there is no media socket at this path")
        dialect = self.dialects.new(provider)
        refusal = dialect.check_upgrade(UpgradeRequest(head.target, head.headers, remote, time.time()))
        if refusal is not None:
            return refusal
        token = rest.partition("/")[2].rstrip("/")
        if token:
            ticket = self._redeem(token, provider)
            return ticket if isinstance(ticket, Refusal) else Entry(provider, dialect, ticket)
        if self._config.auth and not dialect.caps.unannounced:
            return Refusal(403, "the path holds no media token")
        return self.take_seat() or Entry(provider, dialect, None)

    def _redeem(self, token: str, provider: str) -> Ticket | Refusal:
        now_s = time.time()
        claims = self.signer.open(token, now_s)
        if isinstance(claims, Refusal):
            return claims
        ticket = self._tickets.get(claims.jti)
        if ticket is not None and ticket.provider != provider:
            # Each provider proves in its own way who it is; and the token is not spent on this.
            return Refusal(403, "the media token is for another provider's path")
        refusal = self._ledger.spend(claims, now_s)
        if refusal is not None:
            return refusal
        if self._tickets.pop(claims.jti, None) is None or ticket is None:
            return Refusal(403, "the call of this media token is over")
        # A call that we made rings for as long as it was told to; the drain limit ends it.
        if self._has_drained_long() and not ticket.is_dialled:
            return Refusal(503, "the bridge is draining")
        return ticket

    def _has_drained_long(self) -> bool:
        return self._draining_since is not None and time.monotonic() - self._draining_since > _DRAIN_ACCEPT_S


class LocalDesk:
    """The desk of a bridge that is alone: everything is known at once, and nobody else has a call."""

    worker = 0

    def __init__(self, front: FrontDesk) -> None:
        self._front = front
        self.signer = front.signer

    def drain(self) -> None:
        """Take no new calls."""
        self._front.drain()

    async def admission(self, provider: str = "", call_id: str = "") -> Refusal | None:
        """Return why no call can be taken now, or ``None``."""
        return self._front.admission()

    async def claim(self, provider: str, call_id: str = "") -> Claim:
        """Take a seat."""
        return self._front.take_seat() or Seat(self)

    async def expect(self, ticket: Ticket) -> None:
        """Let a media socket with this ticket in, once."""
        self._front.expect(ticket)

    async def spend(self, uses: Sequence[Use]) -> Refusal | None:
        """Use names up; say why that is refused."""
        return self._front.spend(uses)

    async def relay(self, names: Sequence[str], errand: Errand, key: str = "") -> Reply | None:
        """Return ``None``: there is nobody else."""
        return None

    def named(self, names: Sequence[str]) -> None:
        """Nothing is to be done: the book of calls finds them."""

    def left(self, names: Sequence[str], jti: bytes | None) -> None:
        """A call is over."""
        self._front.free_seats()
        if jti is not None:
            self._front.forget(jti)

    def give_back(self, names: Sequence[str]) -> None:
        """A seat was not needed."""
        self._front.free_seats()
