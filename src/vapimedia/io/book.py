"""The calls of a bridge: those that live, what became of the others, and whose a media token is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import NamedTuple

from vapimedia.errors import StateError
from vapimedia.io.hooks import CallInfo
from vapimedia.io.live_call import LiveCall
from vapimedia.io.totals import Totals
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.token import TokenClaims, TokenSigner
from vapimedia.secret import Secret
from vapimedia.session import CallSummary, EndReason

__all__ = ["CallBook", "EndedCall", "TokenDesk"]

_REMEMBERED_CALLS = 1000


class EndedCall(NamedTuple):
    """What is left of a call: who it was with, and how it ended (``None``: nobody remembers)."""

    info: CallInfo
    end_reason: EndReason | None


class CallBook:
    """Live calls, and the figures of all that were."""

    def __init__(self) -> None:
        self.live: set[LiveCall] = set()
        self.summaries: deque[CallSummary] = deque(maxlen=_REMEMBERED_CALLS)
        self.ended_by_reason: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()
        self.is_empty = asyncio.Event()
        self.is_empty.set()
        self._ended: dict[tuple[str, str], EndedCall] = {}
        self._given_up: dict[str, None] = {}
        self.barge_ins = 0
        self.totals = Totals()
        """Media of the calls that ended."""

    def add(self, call: LiveCall) -> None:
        """A call begins."""
        self.live.add(call)
        self.is_empty.clear()

    def close(self, call: LiveCall, summary: CallSummary) -> None:
        """A call is over on both legs."""
        self.live.discard(call)
        # Status webhooks name a call that we made by our reference.
        self._ended[call.info.provider, call.reference or call.call_id] = EndedCall(
            call.info, summary.end_reason
        )
        while len(self._ended) > _REMEMBERED_CALLS:
            del self._ended[next(iter(self._ended))]
        self.summaries.append(summary)
        self.ended_by_reason[str(summary.end_reason)] += 1
        self.counters.update(summary.counters)
        self.barge_ins += summary.barge_ins
        self.totals.add(call.session, summary)
        if not self.live:
            self.is_empty.set()

    def find(self, provider: str, call_id: str) -> LiveCall | None:
        """Return the live call that *provider* knows as *call_id*."""
        found = (c for c in self.live if call_id and c.call_id == call_id and c.info.provider == provider)
        return next(found, None)

    def find_reference(self, provider: str, reference: str) -> LiveCall | None:
        """Return the live call that we made through *provider* under *reference*."""
        found = (c for c in self.live if c.reference == reference and c.info.provider == provider)
        return next(found, None) if reference else None

    def find_any(self, provider: str, call_id: str, reference: str) -> LiveCall | None:
        """Return the live call that a status webhook of *provider* is about: by our *reference* if it has one."""
        return self.find_reference(provider, reference) if reference else self.find(provider, call_id)

    def give_up(self, reference: str) -> None:
        """Remember a call that we do not want any more, and that the provider may have made or let ring on."""
        self._given_up[reference] = None
        if len(self._given_up) > _REMEMBERED_CALLS:
            del self._given_up[next(iter(self._given_up))]

    def is_given_up(self, reference: str) -> bool:
        """Whether the call under *reference* is to be hung up when the provider tells of it."""
        return reference in self._given_up

    def forget_given_up(self, reference: str) -> None:
        """The call under *reference* is over, or is being hung up."""
        self._given_up.pop(reference, None)

    def ended(self, provider: str, call_id: str, reference: str = "") -> EndedCall:
        """Return what is remembered of a call that ended; of one that nobody knows, its id."""
        unknown = EndedCall(CallInfo(provider=provider, call_id=call_id), None)
        return self._ended.get((provider, reference or call_id), unknown)

    def find_vapi(self, vapi_call_id: str) -> LiveCall | None:
        """Return the live call that Vapi knows as *vapi_call_id*."""
        return next((c for c in self.live if vapi_call_id and c.vapi_call_id == vapi_call_id), None)


class TokenDesk:
    """Makes the one-time tokens of media sockets, and knows whose each is. Who lets them in is the ``Desk``."""

    def __init__(self, signer: TokenSigner, worker: int, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._signer = signer
        self._worker = worker
        self._waiting: dict[bytes, LiveCall] = {}  # by jti: answered, no media socket yet
        self._claims: dict[LiveCall, TokenClaims] = {}

    def make(self, call_id: str, *, ring_s: float = 0.0) -> tuple[Secret, TokenClaims]:
        """Return a new token for the call that the provider names *call_id* (empty: not known yet), and its claims.

        *ring_s* is how long the call may ring before its media socket comes.
        """
        now_s = time.time()
        token = self._signer.issue(call_id, self._worker, now_s, self._ttl_s + ring_s)
        claims = self._signer.open(token, now_s)
        if isinstance(claims, Refusal):
            raise StateError(f"a media token that was just made is refused: {claims.reason}")
        return Secret(token), claims

    def bind(self, call: LiveCall, token: Secret, claims: TokenClaims) -> None:
        """Give *call* its token."""
        call.token = token
        self._waiting[claims.jti] = call
        self._claims[call] = claims

    def take(self, jti: bytes) -> LiveCall | Refusal:
        """Return the call whose socket comes with the token *jti*, which was let in."""
        call = self._waiting.pop(jti, None)
        if call is None or call.is_over:
            return Refusal(403, "the call of this media token is over")
        return call

    def belongs(self, call: LiveCall, call_id: str) -> bool:
        """Whether *call*'s token, if it came with one, was made for *call_id*."""
        if call.reference:  # we made it: the provider's id was not known when its token was made
            return call_id in ("", call.call_id) or not call.call_id
        claims = self._claims.get(call)
        return claims is None or self._signer.is_for(claims, call_id)

    def forget(self, call: LiveCall) -> bytes | None:
        """The call is over: its token, whose name is returned, is worth nothing any more."""
        claims = self._claims.pop(call, None)
        if claims is None:
            return None
        self._waiting.pop(claims.jti, None)
        return claims.jti
