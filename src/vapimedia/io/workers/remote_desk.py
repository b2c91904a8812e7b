"""The desk of a worker: its supervisor keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vapimedia.io.desk import Claim, Seat, Ticket, name_of
from vapimedia.io.errands import Errand, Reply
from vapimedia.io.workers.channel import Channel
from vapimedia.io.workers.messages import (
    AskAdmission,
    AskClaim,
    AskExpect,
    AskRelay,
    AskSpend,
    Body,
    Claimed,
    GiveBack,
    Left,
    Named,
    Relayed,
    Verdict,
)
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.seen import Use
from vapimedia.protocols.token import TokenSigner

__all__ = ["RemoteDesk"]

_GONE = Refusal(503, "the bridge is draining")  # without a supervisor nothing new is taken


class RemoteDesk:
    """Asks over *channel*; each question costs about 0.2 ms of waiting."""

    def __init__(self, channel: Channel, worker: int, secret: bytes) -> None:
        self.worker = worker
        self.signer = TokenSigner(secret)
        self._channel = channel

    def drain(self) -> None:
        """Nothing is to be done: a worker drains because its supervisor said so."""

    async def admission(self, provider: str = "", call_id: str = "") -> Refusal | None:
        """Return why no call can be taken now, or ``None``."""
        answer = await self._channel.ask(AskAdmission(provider, call_id))
        return answer.refusal if isinstance(answer, Verdict) else _GONE

    async def claim(self, provider: str, call_id: str = "") -> Claim:
        """Take a seat; ``elsewhere``: another worker has the call."""
        asking = self._channel.ask(AskClaim(provider, call_id))
        names = [name_of(provider, call_id)] if call_id else []
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(lambda answer: self._not_needed(answer.result(), names))
            raise
        if not isinstance(answer, Claimed):
            return _GONE
        if answer.is_elsewhere:
            return "elsewhere"
        return answer.refusal or Seat(self, names)

    def _not_needed(self, answer: Body, names: list[str]) -> None:
        if isinstance(answer, Claimed) and answer.refusal is None and not answer.is_elsewhere:
            self.give_back(names)

    async def expect(self, ticket: Ticket) -> None:
        """Have a media socket with this ticket passed to us, once."""
        await self._channel.ask(AskExpect(ticket))

    async def spend(self, uses: Sequence[Use]) -> Refusal | None:
        """Use names up; say why that is refused."""
        if not uses:
            return None
        answer = await self._channel.ask(AskSpend(list(uses)))
        return answer.refusal if isinstance(answer, Verdict) else _GONE

    async def relay(self, names: Sequence[str], errand: Errand, key: str = "") -> Reply | None:
        """Have the worker do *errand* that knows one of *names*, or asked with *key* before; ``None`` if no other."""
        if not names and not key:
            return None
        answer = await self._channel.ask(AskRelay(list(names), errand, key))
        return answer.reply if isinstance(answer, Relayed) else None

    def named(self, names: Sequence[str]) -> None:
        """A call of ours is known by these."""
        self._channel.tell(Named(list(names)))

    def left(self, names: Sequence[str], jti: bytes | None) -> None:
        """A call is over."""
        self._channel.tell(Left(list(names), jti))

    def give_back(self, names: Sequence[str]) -> None:
        """A seat was not needed."""
        self._channel.tell(GiveBack(list(names)))
