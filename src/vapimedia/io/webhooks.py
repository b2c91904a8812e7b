"""The public port's HTTP routes: voice and status webhooks of the providers, Vapi's webhooks, health.

Every answer closes its connection: an upgrade must never arrive on a connection that this server holds.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING

from aiohttp import web

from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.io.book import EndedCall
from vapimedia.io.hooks import CallInfo, Reject
from vapimedia.io.outbound import hang_up_given_up
from vapimedia.io.phone_page import add_phone_page
from vapimedia.io.public_port import close_after_answer
from vapimedia.protocols import get_dialect
from vapimedia.protocols.dialect import Document, IncomingCall, Refusal, WebhookRequest
from vapimedia.protocols.events import Stopped
from vapimedia.protocols.vapi import (
    Malformed,
    ToolCalls,
    WebhookSecrets,
    check_webhook_secret,
    decode_server_message,
)

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["MAX_BODY_BYTES", "public_app"]

_log = logging.getLogger("vapimedia.io")

MAX_BODY_BYTES = 1 << 20
BODY_TIMEOUT_S = 10.0
_JSON = "application/json"
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def public_app(bridge: Bridge) -> web.Application:
    """Return the application behind the public port, with the routes of the chosen providers only."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(close_after_answer)
    routes = _Routes(bridge)
    for provider in bridge.config.providers:
        at = get_dialect(provider).routes
        for method in at.answer_methods:
            app.router.add_route(method, f"/{provider}/{at.answer}", routes.answer(provider))
        if at.status:
            for method in at.status_methods:
                app.router.add_route(method, f"/{provider}/{at.status}", routes.status(provider))
                app.router.add_route(
                    method, f"/{provider}/{at.status}/{{reference}}", routes.status(provider)
                )
    if "browser" in bridge.config.providers:
        add_phone_page(app, wants_key=bool(bridge.config.browser_secret) and bridge.config.auth)
    app.router.add_post("/vapi/webhook", routes.vapi)
    app.router.add_post("/voice/vapi/tool", routes.vapi)
    app.router.add_get("/healthz", routes.healthz)
    app.router.add_get("/readyz", routes.readyz)
    return app


def _refused(refusal: Refusal) -> web.Response:
    _log.warning("webhook refused with %d: %s", refusal.status, refusal.reason)
    return web.Response(status=refusal.status, text=refusal.reason + "\n")


def _document(document: Document) -> web.Response:
    return web.Response(body=document.body, headers={"Content-Type": document.content_type})


async def _webhook(request: web.Request) -> WebhookRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await _body(request)
    return WebhookRequest(request.method, request.raw_path, headers, body, request.remote or "", time.time())


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body did not come in time\n") from None


class _Routes:
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        secret = bridge.config.vapi_webhook_secret
        self._secrets = WebhookSecrets.any_of(secret) if secret else None

    def answer(self, provider: str):  # type: ignore[no-untyped-def]  # aiohttp's own type of it is private
        """Return what answers *provider*'s webhook for a call that comes in."""

        async def answer(request: web.Request) -> web.Response:
            bridge = self._bridge
            webhook = await _webhook(request)
            dialect = bridge.dialects.new(provider)
            incoming: IncomingCall | ProtocolError
            try:
                incoming = dialect.read_voice_webhook(webhook)
                # First, as a signature that is good once is spent by checking it: it may be tried again later.
                refusal = bridge.reception.admission_of(provider, incoming.call_id)
            except ProtocolError as error:
                incoming, refusal = error, None
            refusal = refusal or dialect.check_webhook(webhook)
            if refusal is None and isinstance(incoming, ProtocolError):
                refusal = Refusal(400, str(incoming))
            if refusal is not None or isinstance(incoming, ProtocolError):
                return _refused(refusal or Refusal(400, ""))
            if not _HOST.fullmatch(request.host):
                return _refused(Refusal(400, "the Host header is no host"))
            info = CallInfo(
                provider=provider,
                call_id=incoming.call_id,
                from_=incoming.from_,
                to=incoming.to,
                direction=incoming.direction,
                fields=incoming.fields,
            )
            origin = bridge.config.public_url or f"{request.scheme}://{request.host}"
            try:
                said = await bridge.reception.answer(info, dialect, origin)
            except ConfigError as error:
                _log.error("call %s cannot be answered: %s", info.call_id, error)
                return _document(dialect.refuse(str(error)))
            if isinstance(said, Reject):
                _log.info("call %s rejected: %s", info.call_id, said.reason)
                return _document(dialect.refuse(said.reason))
            return _refused(said) if isinstance(said, Refusal) else _document(said)

        return answer

    def status(self, provider: str):  # type: ignore[no-untyped-def]
        """Return what answers *provider*'s status callbacks: what became of a call."""

        async def answer(request: web.Request) -> web.Response:
            webhook = await _webhook(request)
            dialect = self._bridge.dialects.new(provider)
            refusal = dialect.check_webhook(webhook)
            if refusal is not None:
                return _refused(refusal)
            try:
                report = dialect.read_status_webhook(webhook)
            except ProtocolError as error:
                return _refused(Refusal(400, str(error)))
            book = self._bridge.book
            reference = request.match_info.get("reference", "")
            call = (
                book.find_reference(provider, reference) if reference else book.find(provider, report.call_id)
            )
            if call is not None:
                call.provider_events(report.events)
            elif any(isinstance(event, Stopped) for event in report.events) and not reference:
                self._bridge.reception.call_is_over(provider, report.call_id)
            elif reference:
                hang_up_given_up(self._bridge, provider, reference, report)
            if not report.media_lost:
                return web.Response(status=204)
            # It is over by now. One that was live a moment ago had lost its media, whatever its end is called.
            lost = book.ended(provider, report.call_id, reference)
            if call is not None:
                lost = EndedCall(call.info, None)
            call_id = lost.info.call_id
            _log.warning("call %s: the provider reports its media socket %s", call_id, report.media_lost)
            document = await self._bridge.reception.fall_back(lost, report.media_lost)
            return web.Response(status=204) if document is None else _document(document)

        return answer

    async def vapi(self, request: web.Request) -> web.Response:
        """Answer tool calls; pass everything else to the user."""
        body = await _body(request)
        if self._secrets is not None or self._bridge.config.auth:
            headers = {name.lower(): value for name, value in request.headers.items()}
            secrets = self._secrets or WebhookSecrets()
            refusal = check_webhook_secret(headers, body, secrets, time.time())
            if refusal is not None:
                return _refused(refusal)
        message = decode_server_message(body)
        if isinstance(message, Malformed):
            self._bridge.count("vapi_webhook_malformed")
            return web.Response(status=400, text="the body is not a server message\n")
        call = self._bridge.book.find_vapi(getattr(message, "call_id", ""))
        if isinstance(message, ToolCalls):
            asking = call.handle if call is not None else None
            results = await self._bridge.tools.answer(asking, message.calls)
            return web.Response(body=results, content_type=_JSON)
        self._bridge.tell(call, message)
        return web.Response(body=b"{}", content_type=_JSON)

    async def healthz(self, _request: web.Request) -> web.Response:
        """The process lives."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """The bridge takes calls."""
        refusal = self._bridge.reception.admission()
        return (
            web.Response(text="ready\n")
            if refusal is None
            else web.Response(status=503, text=refusal.reason + "\n")
        )
