"""Does what webhooks ask for: checks who sent them, finds the call they are about, and has that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.io.book import EndedCall
from vapimedia.io.call_log import CallLog, CallNames, about, plain
from vapimedia.io.desk import name_of
from vapimedia.io.errands import Errand, Reply, refused
from vapimedia.io.hooks import CallInfo, Reject
from vapimedia.io.outbound import hang_up_given_up
from vapimedia.io.server_url import ServerUrl
from vapimedia.io.wire_log import regarding
from vapimedia.protocols.dialect import Dialect, Document, IncomingCall, Refusal, StatusReport, WebhookRequest
from vapimedia.protocols.events import Stopped
from vapimedia.protocols.seen import NotedUses

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["Clerk"]


class Clerk:
    """One bridge's. What is about a call of another worker is relayed there, and the answer comes from there."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self.server_url = ServerUrl(bridge)

    async def answer(self, provider: str, webhook: WebhookRequest, origin: str) -> Reply:
        """A call comes in. *origin* is ours as the provider sees it; empty: it did not tell a proper one."""
        bridge, uses = self._bridge, NotedUses()
        dialect = bridge.dialects.new(provider, seen=uses)
        incoming: IncomingCall | ProtocolError
        try:
            incoming = dialect.read_voice_webhook(webhook)
            # First, as a signature that is good once is spent by checking it: it may be tried again later.
            refusal = await bridge.reception.admission_of(provider, incoming.call_id)
        except ProtocolError as error:
            incoming, refusal = error, None
        refusal = refusal or dialect.check_webhook(webhook) or await bridge.desk.spend(uses.uses)
        if refusal is None and isinstance(incoming, ProtocolError):
            refusal = Refusal(400, str(incoming))
        if refusal is not None or isinstance(incoming, ProtocolError):
            return refused(refusal or Refusal(400, ""))
        if not origin:
            return refused(Refusal(400, "the Host header is no host"))
        info = CallInfo(
            provider=provider,
            call_id=incoming.call_id,
            from_=incoming.from_,
            to=incoming.to,
            direction=incoming.direction,
            fields=incoming.fields,
        )
        regarding(_log_of(info))
        try:
            said = await bridge.reception.answer(info, dialect, origin)
        except ConfigError as error:
            _log_of(info).fault("call_unanswered", "the call cannot be answered: %s", plain(str(error)))
            return Reply.of(dialect.refuse(str(error)))
        return _reply(said, info, dialect)

    async def status(self, provider: str, reference: str, webhook: WebhookRequest) -> Reply:
        """Something has become of a call; with *reference* of one that we made."""
        uses = NotedUses()
        dialect = self._bridge.dialects.new(provider, seen=uses)
        refusal = dialect.check_webhook(webhook) or await self._bridge.desk.spend(uses.uses)
        if refusal is not None:
            return refused(refusal)
        try:
            report = dialect.read_status_webhook(webhook)
        except ProtocolError as error:
            return refused(Refusal(400, str(error)))
        regarding(about(CallNames(call_id=report.call_id, provider=provider)))
        if self._bridge.book.find_any(provider, report.call_id, reference) is None:
            one = (f"{provider}/ref", reference) if reference else (provider, report.call_id)
            errand = Errand("status", provider, reference=reference, webhook=webhook)
            reply = await self._bridge.desk.relay([name_of(*one)] if one[1] else [], errand)
            if reply is not None:
                return reply
        return await self._status(provider, reference, report)

    async def run(self, errand: Errand) -> Reply:
        """Do what another worker was asked for, and found to be about a call of ours."""
        webhook = errand.webhook or WebhookRequest("POST", "", {}, b"")
        dialect = self._bridge.dialects.new(errand.provider) if errand.provider else None
        if dialect is None:
            return await self.server_url.run(webhook, errand.spent_s)
        if errand.kind == "status":
            return await self._status(errand.provider, errand.reference, dialect.read_status_webhook(webhook))
        said = await self._bridge.reception.answer_again(errand.provider, errand.call_id)
        return _reply(said, CallInfo(provider=errand.provider, call_id=errand.call_id), dialect)

    async def _status(self, provider: str, reference: str, report: StatusReport) -> Reply:
        bridge = self._bridge
        call = bridge.book.find_any(provider, report.call_id, reference)
        if call is not None:
            regarding(call.log)
            call.provider_events(report.events)
        elif any(isinstance(event, Stopped) for event in report.events) and not reference:
            bridge.reception.call_is_over(provider, report.call_id)
        elif reference:
            hang_up_given_up(bridge, provider, reference, report)
        if not report.media_lost:
            return Reply()
        # It is over by now. One that was live a moment ago had lost its media, whatever its end is called.
        lost = bridge.book.ended(provider, report.call_id, reference)
        if call is not None:
            lost = EndedCall(call.info, None)
        _log_of(lost.info).trouble("media_lost", status=report.media_lost)
        document = await bridge.reception.fall_back(lost, report.media_lost)
        return Reply() if document is None else Reply.of(document)


def _log_of(info: CallInfo) -> CallLog:
    return about(CallNames(call_id=info.call_id, provider=info.provider))


def _reply(said: Document | Reject | Refusal | Reply, info: CallInfo, dialect: Dialect) -> Reply:
    if isinstance(said, Reply):
        return said
    if isinstance(said, Reject):
        _log_of(info).note("call_rejected", "%s", plain(said.reason))
        return Reply.of(dialect.refuse(said.reason))
    return refused(said) if isinstance(said, Refusal) else Reply.of(said)
