"""The REST API of the fake Vapi: calls are made, read, listed, renamed and their data deleted."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from vapimedia.testing.fake_vapi_call import FakeVapiCall
from vapimedia.testing.vapi_rest import (
    RefusalError,
    check_key,
    check_update,
    listed,
    now_iso,
)

if TYPE_CHECKING:
    from vapimedia.testing.fake_vapi import FakeVapi

__all__ = ["ApiRequest", "VapiApi", "decoded"]

_CONCURRENCY = 10


@dataclass
class ApiRequest:
    """One ``POST /call`` and the HTTP status it was given; 0 while there is none."""

    body: Any
    headers: dict[str, str]
    status: int


def decoded(raw: bytes) -> Any:
    """Return the JSON in *raw*; ``None`` when it is none."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


class VapiApi:
    """Answer the requests of one ``FakeVapi``."""

    def __init__(self, vapi: FakeVapi) -> None:
        self._vapi = vapi

    def add_routes(self, app: web.Application) -> None:
        """Add the routes of the API."""
        app.router.add_post("/call", self._create)
        app.router.add_get("/call", self._list)
        app.router.add_get("/call/{id}", self._get)
        app.router.add_patch("/call/{id}", self._update)
        app.router.add_delete("/call/{id}", self._delete)

    async def _create(self, request: web.Request) -> web.Response:
        vapi = self._vapi
        faults = vapi.faults
        body = decoded(await request.read())
        asked = ApiRequest(body, dict(request.headers), 0)
        vapi.requests.append(asked)
        if faults.create_delay_s:
            await asyncio.sleep(faults.create_delay_s)
        try:
            await self._check("create", request)
            call = vapi.make_call(body, request.headers)
        except RefusalError as refusal:
            if not vapi.closing.is_set():  # what hangs until then was not answered
                asked.status = refusal.status
            return self._refuse(refusal)
        asked.status = 201
        live = sum(one.status in {"in-progress", "ringing"} for one in vapi.calls.values())
        limits = {
            "concurrencyBlocked": faults.subscription_blocked,
            "concurrencyLimit": _CONCURRENCY,
            "remainingConcurrentCalls": 0 if faults.subscription_blocked else max(0, _CONCURRENCY - live),
        }
        answer = {**call.json, "subscriptionLimits": limits}
        await vapi.admit(call, starts=not faults.subscription_blocked)
        return web.json_response(answer, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        try:
            await self._check("list", request)
            calls = (self._record(call) for call in self._vapi.calls.values() if not call.deleted)
            return web.json_response(listed(calls, request.query))
        except RefusalError as refusal:
            return self._refuse(refusal)

    async def _get(self, request: web.Request) -> web.Response:
        try:
            await self._check("get", request)
            return web.json_response(self._record(self._found(request)))
        except RefusalError as refusal:
            return self._refuse(refusal)

    async def _update(self, request: web.Request) -> web.Response:
        body = decoded(await request.read())
        try:
            await self._check("update", request)
            call = self._found(request)
            check_update(body)
        except RefusalError as refusal:
            return self._refuse(refusal)
        call.json |= body
        return web.json_response(self._record(call))

    async def _delete(self, request: web.Request) -> web.Response:
        body = decoded(await request.read())
        try:
            await self._check("delete", request)
            ids = body.get("ids", ()) if isinstance(body, dict) else ()
            found = [self._found(request), *(self._vapi.calls[one] for one in ids if one in self._vapi.calls)]
        except RefusalError as refusal:
            return self._refuse(refusal)
        answer = self._record(found[0])
        for call in found:
            if not call.deleted:
                call.deleted = True  # its data only: a live call goes on
                if "call.deleted" in call.server_messages:
                    call.post({"type": "call.deleted"})
        return web.json_response(answer)

    # --- what they share ----------------------------------------------------------------------------------

    async def _check(self, operation: str, request: web.Request) -> None:
        status = self._vapi.faults.next_status(operation)
        if status == "hang":
            await self._vapi.closing.wait()
            raise RefusalError(503, "the fake closes")
        if status:
            raise RefusalError(status, "made to fail")
        check_key(request.headers, self._vapi.api_key)

    def _found(self, request: web.Request) -> FakeVapiCall:
        call = self._vapi.calls.get(request.match_info["id"])
        if call is None or call.deleted:
            raise RefusalError(404, "Call not found")
        return call

    def _record(self, call: FakeVapiCall) -> dict[str, Any]:
        record = {**call.json, "updatedAt": now_iso(), "status": call.status}
        if call.status == "ended":
            record["endedReason"] = call.ended_reason
            if call.age_since_end_s() >= call.settings.settle_s:
                record |= call.settled()
                record["messages"] = record["artifact"]["messages"]
        return record

    def _refuse(self, refusal: RefusalError) -> web.Response:
        if refusal.status == 403:
            return web.Response(status=403, text=refusal.message)
        headers = {}
        if self._vapi.faults.retry_after_s is not None:
            headers["Retry-After"] = str(self._vapi.faults.retry_after_s)
        body = {"message": refusal.message, "statusCode": refusal.status}
        return web.json_response(body, status=refusal.status, headers=headers)
