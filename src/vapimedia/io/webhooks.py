"""The public port's HTTP routes: voice and status webhooks of the providers, Vapi's webhooks, health.

Every answer closes its connection: an upgrade must never arrive on a connection that this server holds.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from vapimedia.io.call_log import NOBODY
from vapimedia.io.errands import Reply, refused
from vapimedia.io.http_port import close_after_answer
from vapimedia.io.phone_page import add_phone_page
from vapimedia.io.request_body import read_body
from vapimedia.io.wire_log import WireLog, regarding
from vapimedia.protocols import get_dialect
from vapimedia.protocols.dialect import Refusal, WebhookRequest

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["MAX_BODY_BYTES", "public_app"]

MAX_BODY_BYTES = 1 << 20
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def public_app(bridge: Bridge) -> web.Application:
    """Return the application behind the public port, with the routes of the chosen providers only."""
    app = web.Application() if bridge.wire is None else web.Application(middlewares=[_telling(bridge.wire)])
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


def _telling(wire: WireLog) -> Middleware:
    """Return what has *wire* tell of each request."""

    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        regarding(NOBODY)
        resource = request.match_info.route.resource
        route = "(none)" if resource is None else resource.canonical
        told = wire.begin("in", request.method, route, request.content_length or 0)
        try:
            answer = await handler(request)
            told.status, told.n_bytes = answer.status, answer.content_length or 0
            return answer  # noqa: TRY300
        except web.HTTPException as error:
            told.status = error.status
            raise
        finally:
            told.end()

    return tell


def _response(reply: Reply) -> web.Response:
    headers = {"Content-Type": reply.content_type} if reply.content_type else None
    return web.Response(status=reply.status, body=reply.body or None, headers=headers)


async def _webhook(request: web.Request, max_bytes: int = MAX_BODY_BYTES) -> WebhookRequest:
    body = await read_body(request, max_bytes)
    return msgspec.structs.replace(_head(request), body=body, received_s=time.time())


def _head(request: web.Request) -> WebhookRequest:
    """Return the webhook without its body."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return WebhookRequest(request.method, request.raw_path, headers, b"", request.remote or "", time.time())


class _Routes:
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._clerk = bridge.clerk

    def answer(self, provider: str):  # type: ignore[no-untyped-def]  # aiohttp's own type of it is private
        """Return what answers *provider*'s webhook for a call that comes in."""

        async def answer(request: web.Request) -> web.Response:
            webhook = await _webhook(request)
            is_host = _HOST.fullmatch(request.host)
            origin = (
                (self._bridge.config.public_url or f"{request.scheme}://{request.host}") if is_host else ""
            )
            return _response(await self._clerk.answer(provider, webhook, origin))

        return answer

    def status(self, provider: str):  # type: ignore[no-untyped-def]
        """Return what answers *provider*'s status callbacks: what became of a call."""

        async def answer(request: web.Request) -> web.Response:
            webhook = await _webhook(request)
            return _response(
                await self._clerk.status(provider, request.match_info.get("reference", ""), webhook)
            )

        return answer

    async def vapi(self, request: web.Request) -> web.Response:
        """Answer what wants an answer; pass everything else to the user."""
        began_s = time.monotonic()
        server_url = self._clerk.server_url
        refusal = server_url.refusal_of_head(_head(request))
        if refusal is not None:
            return _response(Reply.of(refusal))
        try:
            webhook = await _webhook(request, self._bridge.config.webhook_max_kib << 10)
        except web.HTTPRequestEntityTooLarge:
            self._bridge.count("vapi_webhook_too_long")
            refused(
                Refusal(
                    413, f"the body is longer than webhook_max_kib = {self._bridge.config.webhook_max_kib}"
                )
            )
            raise
        return _response(await server_url.answer(webhook, began_s))

    async def healthz(self, _request: web.Request) -> web.Response:
        """The process lives."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """The bridge takes calls."""
        refusal = self._bridge.reception.admission() or await self._bridge.desk.admission()
        return web.Response(text="ready\n") if refusal is None else _response(Reply.of(refusal))
