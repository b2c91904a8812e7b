"""A fake of the one Twilio REST resource that a bridge needs: hanging up a call."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from types import TracebackType

from aiohttp import web

from vapimedia.testing.fake_twilio import FakeTwilioCall

__all__ = ["ApiPost", "FakeTwilioApi"]


@dataclass
class ApiPost:
    """A request that was made, and the HTTP status it was given."""

    call_sid: str
    form: dict[str, str] = field(default_factory=dict)
    status: int = 200


class FakeTwilioApi:
    """Serve ``POST /2010-04-01/Accounts/{sid}/Calls/{CallSid}.json`` on loopback.

    ``register`` the calls it may end. Use as an async context manager; ``url`` is the base to give to the
    bridge. *status* makes every request fail with that HTTP status.
    """

    def __init__(
        self,
        *,
        account_sid: str = "AC" + "0" * 31 + "1",
        auth_token: str,
        host: str = "127.0.0.1",
        port: int = 0,
        status: int | None = None,
    ) -> None:
        self.account_sid, self.auth_token = account_sid, auth_token
        self.host, self.port, self.status = host, port, status
        self.posts: list[ApiPost] = []
        self._calls: dict[str, FakeTwilioCall] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    def register(self, call: FakeTwilioCall) -> FakeTwilioCall:
        """Make a call known; returns it."""
        self._calls[call.call_sid] = call
        return call

    async def __aenter__(self) -> FakeTwilioApi:
        app = web.Application()
        app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", self._update)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _update(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        post = ApiPost(request.match_info["call"], form)
        self.posts.append(post)
        call = self._calls.get(post.call_sid)
        if self.status is not None:
            post.status, code, text = self.status, 20500, "made to fail"
        elif not self._authorized(request):
            post.status, code, text = 401, 20003, "Authenticate"
        elif form.get("Status") not in {"completed", "canceled"} and "Twiml" not in form:
            post.status, code, text = 400, 20001, "Status must be completed or canceled"
        elif call is None or call.ended_by is not None:
            post.status, code, text = 404, 20404, "The requested resource was not found"
        else:
            call.hang_up("api")
            return web.json_response({"sid": post.call_sid, "status": "completed"})
        return web.json_response({"code": code, "message": text, "status": post.status}, status=post.status)

    def _authorized(self, request: web.Request) -> bool:
        pair = f"{self.account_sid}:{self.auth_token}".encode()
        wanted = f"Basic {base64.b64encode(pair).decode()}"
        given = request.headers.get("Authorization", "")
        return request.match_info["account"] == self.account_sid and hmac.compare_digest(wanted, given)
