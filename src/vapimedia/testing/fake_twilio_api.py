"""A fake of the one Twilio REST resource that a bridge needs: calls are made and ended."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

from aiohttp import web

from vapimedia.testing.caller import CallerStep
from vapimedia.testing.dialled_call import MAX_TWIML, OUTCOMES, DialledCall, Outcome, Phone, judge_dial
from vapimedia.testing.fake_twilio import FakeTwilioCall
from vapimedia.testing.forwarded import Forwarded

__all__ = ["ApiPost", "FakeTwilioApi"]

_ACCOUNT = "/2010-04-01/Accounts/{account}"
_NOT_FOUND = (404, 20404, "The requested resource was not found")


@dataclass
class ApiPost:
    """A request that was made, and the HTTP status it was given. ``call_sid`` is empty for a new call."""

    call_sid: str
    form: dict[str, str] = field(default_factory=dict)
    status: int = 200


class FakeTwilioApi:
    """Serve ``/2010-04-01/Accounts/{sid}/Calls.json`` and ``.../Calls/{CallSid}.json`` on loopback.

    ``register`` the calls it may end or redirect; those that it makes it knows. Use as an async context manager;
    ``url`` is the base to give to the bridge. *status* makes every request fail with that HTTP status.

    What becomes of a call that is made is *outcomes*, one after the other, then *outcome*, after *ring_s*; with
    ``answered`` and ``machine`` the *caller*'s steps are played, at *speed*, for at most *max_s*. Machine
    detection, if asked for, takes *amd_s*. *public_url* is the origin the bridge was told it has, and
    ``bridge_url`` where it is; both may be set until the first call is made. ``forwards`` is where redirected calls
    were sent, by their SID; the stream of such a call ends, and nobody is dialled. Nothing is raised for what the
    bridge does wrong: it is recorded in ``violations``.
    """

    def __init__(
        self,
        *,
        account_sid: str = "AC" + "0" * 31 + "1",
        auth_token: str,
        host: str = "127.0.0.1",
        port: int = 0,
        status: int | None = None,
        outcome: Outcome = "answered",
        outcomes: Sequence[Outcome] = (),
        ring_s: float = 0.2,
        amd_s: float = 0.2,
        caller: Sequence[CallerStep] = (),
        speed: float = 1.0,
        max_s: float = 120.0,
        bridge_url: str | None = None,
        public_url: str | None = None,
    ) -> None:
        for one in (outcome, *outcomes):
            if one not in OUTCOMES:
                raise ValueError(f"no call comes to {one!r}; it may come to {', '.join(OUTCOMES)}")
        self.account_sid, self.auth_token = account_sid, auth_token
        self.host, self.port, self.status = host, port, status
        self.bridge_url, self.public_url = bridge_url, public_url
        self.phone = Phone(outcome, ring_s, amd_s, tuple(caller), speed, max_s)
        self.posts: list[ApiPost] = []
        self.refused: list[ApiPost] = []
        self.dialled: list[DialledCall] = []
        self.forwards: list[tuple[str, Forwarded]] = []
        self._outcomes = list(outcomes)
        self._violations: list[str] = []
        self._calls: dict[str, FakeTwilioCall] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    @property
    def violations(self) -> list[str]:
        """What the bridge did wrong when it made calls, and in the calls it made."""
        return self._violations + [text for one in self.dialled for text in one.violations]

    def register(self, call: FakeTwilioCall) -> FakeTwilioCall:
        """Make a call known; returns it."""
        self._calls[call.call_sid] = call
        return call

    async def __aenter__(self) -> FakeTwilioApi:
        app = web.Application()
        app.router.add_post(f"{_ACCOUNT}/Calls.json", self._create)
        app.router.add_post(f"{_ACCOUNT}/Calls/{{call}}.json", self._update)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        fields = [(name, str(value)) for name, value in (await request.post()).items()]
        refusal: tuple[int, int, str] | None = self._refused(request)
        if refusal is None:
            judged = judge_dial(fields)
            if judged is not None:
                code, text = judged
                self._violations.append(f"{code} {text}")
                refusal = 400, code, text
            elif self.public_url is not None and self.bridge_url is None:
                refusal = 500, 20500, "the fake has a public_url and no bridge_url to reach it by"
        if refusal is not None:
            self.refused.append(ApiPost("", dict(fields), refusal[0]))
            return _error(*refusal)
        outcome = self._outcomes.pop(0) if self._outcomes else self.phone.outcome
        dialled = DialledCall(
            fields,
            replace(self.phone, outcome=outcome),
            account_sid=self.account_sid,
            auth_token=self.auth_token,
            bridge_url=self.bridge_url,
            public_url=self.public_url,
        )
        self.dialled.append(dialled)
        task = asyncio.create_task(dialled.run())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return web.json_response(
            {
                "sid": dialled.sid,
                "account_sid": self.account_sid,
                "api_version": "2010-04-01",
                "direction": "outbound-api",
                "from": dialled.form["From"],
                "status": "queued",
                "to": dialled.form["To"],
                "uri": f"/2010-04-01/Accounts/{self.account_sid}/Calls/{dialled.sid}.json",
            },
            status=201,
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._violations.append(f"the fake itself failed: {task.exception()!r}")

    async def _update(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        post = ApiPost(request.match_info["call"], form)
        self.posts.append(post)
        refusal = self._refused(request)
        if refusal is None:
            refusal = self._judge_update(form)
        if refusal is None:
            found = (
                self._redirect(post.call_sid, form["Twiml"])
                if "Twiml" in form
                else self._end(post.call_sid, form["Status"])
            )
            if isinstance(found, str):
                return web.json_response({"sid": post.call_sid, "status": found})
            refusal = found
        post.status = refusal[0]
        return _error(*refusal)

    def _judge_update(self, form: dict[str, str]) -> tuple[int, int, str] | None:
        if "Url" in form:
            self._violations.append("call update: the fake does not play a redirect to a Url")
            return 501, 20501, "The fake does not play a redirect to a Url"
        if "Twiml" in form and "Status" in form:
            return 400, 20001, "Twiml and Status exclude each other"
        if len(form.get("Twiml", "")) > MAX_TWIML:
            return 400, 20001, f"Twiml has more than {MAX_TWIML} characters"
        if "Twiml" not in form and form.get("Status") not in {"completed", "canceled"}:
            return 400, 20001, "Status must be completed or canceled"
        return None

    def _end(self, sid: str, status: str) -> str | tuple[int, int, str]:
        """End a call; returns its status then, or why there is nothing to end."""
        call = self._live(sid)
        if isinstance(call, DialledCall):
            return call.end(status)
        if call is None:
            return _NOT_FOUND
        call.hang_up("api")
        return "completed"

    def _redirect(self, sid: str, document: str) -> str | tuple[int, int, str]:
        call = self._live(sid)
        if call is None:
            return _NOT_FOUND
        if not call.redirect(document):
            return 400, 21220, "Call is not in-progress. Cannot redirect."
        phone = call.call if isinstance(call, DialledCall) else call
        if phone is not None and phone.redirected is not None and phone.redirected.forwarded is not None:
            self.forwards.append((sid, phone.redirected.forwarded))
        return "in-progress"

    def _live(self, sid: str) -> DialledCall | FakeTwilioCall | None:
        dialled = next((one for one in self.dialled if one.sid == sid), None)
        if dialled is not None:
            return None if dialled.is_over else dialled
        call = self._calls.get(sid)
        return None if call is None or call.ended_by is not None else call

    def _refused(self, request: web.Request) -> tuple[int, int, str] | None:
        """Return HTTP status, code and message for a request that no call is even looked up for."""
        if self.status is not None:
            return self.status, 20500, "made to fail"
        pair = f"{self.account_sid}:{self.auth_token}".encode()
        wanted = f"Basic {base64.b64encode(pair).decode()}"
        given = request.headers.get("Authorization", "")
        if request.match_info["account"] == self.account_sid and hmac.compare_digest(wanted, given):
            return None
        return 401, 20003, "Authenticate"


def _error(status: int, code: int, text: str) -> web.Response:
    return web.json_response({"code": code, "message": text, "status": status}, status=status)
