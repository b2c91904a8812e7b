"""A call that a bridge makes through the fake of Twilio's REST API: judged, rung, answered, reported."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, get_args
from urllib.parse import urlsplit

import aiohttp

from vapimedia.testing.caller import CallerStep
from vapimedia.testing.fake_twilio import FakeTwilioCall
from vapimedia.testing.twilio_http import CallbackPost, TwilioHttp

__all__ = ["MAX_TWIML", "OUTCOMES", "DialledCall", "Outcome", "Phone", "judge_dial"]

Outcome = Literal["answered", "machine", "busy", "no-answer", "failed", "canceled"]
"""What becomes of a call: a human or a machine answers it, or it ends with that status."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_USER_AGENT = "TwilioProxy/1.1"
_EVENTS = ("initiated", "ringing", "answered", "completed")
MAX_TWIML = 4000
_RING_TIMEOUT_S = range(5, 601)
_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)
_ADDRESS = re.compile(r"(sips?|client):\S+")
# twilio.com/docs/voice/api/call-resource, "Create a Call"; these may stand there more than once.
_REPEATED = frozenset({"StatusCallbackEvent", "RecordingStatusCallbackEvent"})
_PARAMETERS = _REPEATED | {
    *("To", "From", "Url", "Twiml", "ApplicationSid", "Method", "FallbackUrl", "FallbackMethod"),
    *("StatusCallback", "StatusCallbackMethod", "SendDigits", "Timeout", "TimeLimit", "CallerId", "Byoc"),
    *("Record", "RecordingChannels", "RecordingStatusCallback", "RecordingStatusCallbackMethod"),
    *("RecordingTrack", "RecordingConfigurationId", "Trim", "CallReason", "CallToken", "Passports"),
    *("SipAuthUsername", "SipAuthPassword", "ClientNotificationUrl", "MachineDetection"),
    *("MachineDetectionTimeout", "MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold"),
    *("MachineDetectionSilenceTimeout", "AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod"),
}
_WORDS = {
    # Twilio knows GET, too; this fake posts.
    "StatusCallbackMethod": ("POST",),
    "AsyncAmdStatusCallbackMethod": ("POST",),
    "MachineDetection": ("Enable", "DetectMessageEnd"),
    "AsyncAmd": ("true", "false"),
}


def judge_dial(fields: Sequence[tuple[str, str]]) -> tuple[int, str] | None:
    """Return the error code and message that the form of a new call deserves, or ``None`` for a good one.

    Stricter than Twilio, which ignores a name it does not know and makes the call.
    """
    form = dict(fields)
    unknown = sorted(set(form) - _PARAMETERS)
    if unknown:
        return 20001, f"Unknown parameters {unknown}"
    names = [name for name, _ in fields if name not in _REPEATED]
    if len(set(names)) < len(names):
        return 20001, "A parameter is given twice"
    return _judge_who(form) or _judge_how(form) or _judge_callbacks(form, fields)


def _judge_who(form: Mapping[str, str]) -> tuple[int, str] | None:
    to, from_ = form.get("To", ""), form.get("From", "")
    if not to:
        return 21201, "No 'To' number is specified"
    if not from_:
        return 21213, "No 'From' number is specified"
    if not (_E164.fullmatch(to) or _ADDRESS.fullmatch(to)):
        return 21211, f"The 'To' number {to} is not a valid phone number."
    if _E164.fullmatch(to) and not _E164.fullmatch(from_):
        return 21212, f"The 'From' number {from_} is not a valid phone number."
    return None


def _judge_how(form: Mapping[str, str]) -> tuple[int, str] | None:
    if ("Url" in form) == ("Twiml" in form):
        return 21205, "Exactly one of Url and Twiml is required"
    if "Url" in form and not _is_url(form["Url"]):
        return 21205, f"Url is not a valid URL: {form['Url']}"
    if len(form.get("Twiml", "")) > MAX_TWIML:
        return 20001, f"Twiml has more than {MAX_TWIML} characters"
    timeout = form.get("Timeout", "60")
    if not (timeout.isascii() and timeout.isdigit() and int(timeout) in _RING_TIMEOUT_S):
        return 20001, f"Timeout is not within {_RING_TIMEOUT_S[0]} to {_RING_TIMEOUT_S[-1]}"
    return None


def _judge_callbacks(form: Mapping[str, str], fields: Sequence[tuple[str, str]]) -> tuple[int, str] | None:
    for name in ("StatusCallback", "AsyncAmdStatusCallback"):
        if name in form and not _is_url(form[name]):
            return 21609, f"{name} is not a valid URL: {form[name]}"
    for name, words in _WORDS.items():
        if name in form and form[name] not in words:
            return 20001, f"{name} must be one of {words}"
    # Twilio makes the call all the same, and never posts anything.
    if any(name == "StatusCallbackEvent" and value not in _EVENTS for name, value in fields):
        return 21626, f"StatusCallbackEvent must be one of {_EVENTS}, each in its own field"
    if "MachineDetection" in form and form.get("AsyncAmd") == "true" and "AsyncAmdStatusCallback" not in form:
        return 21262, "No AMD status callback URL is provided"
    return None


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


@dataclass(frozen=True)
class Phone:
    """Who is called: what becomes of the call, after how long, and what is then said.

    ``amd_s`` is how long it takes to tell a machine from a human. ``speed`` divides every interval.
    """

    outcome: Outcome = "answered"
    ring_s: float = 0.2
    amd_s: float = 0.2
    caller: Sequence[CallerStep] = ()
    speed: float = 1.0
    max_s: float = 120.0


class DialledCall:
    """One call made by REST. ``status`` is Twilio's word for its state, ``call`` the phone once it is answered.

    Callbacks are posted one by one, in order, and hold nothing up.
    """

    def __init__(
        self,
        fields: Sequence[tuple[str, str]],
        phone: Phone,
        *,
        account_sid: str,
        auth_token: str,
        bridge_url: str | None = None,
        public_url: str | None = None,
    ) -> None:
        self.form = dict(fields)
        self.events = tuple(value for name, value in fields if name == "StatusCallbackEvent")
        self.phone = phone
        self.account_sid, self.auth_token = account_sid, auth_token
        self.bridge_url, self.public_url = bridge_url, public_url
        self.sid = "CA" + secrets.token_hex(16)
        self.status = "queued"
        self.call: FakeTwilioCall | None = None
        self._web = TwilioHttp(bridge_url or "", public_url, auth_token)
        self._detects = "MachineDetection" in self.form
        self._answered_by = ""
        self._duration_s = 0
        self._n_reported = 0
        self._reports: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
        self._given_up = asyncio.Event()
        self._over = asyncio.Event()

    # --- what came of it ----------------------------------------------------------------------------

    @property
    def callbacks(self) -> list[CallbackPost]:
        """What was posted about the call and its answerer; what was about its stream is with ``call``."""
        return self._web.posts

    @property
    def statuses(self) -> list[str]:
        """Every ``CallStatus`` that was posted, in order."""
        return [post.form["CallStatus"] for post in self.callbacks if "CallStatus" in post.form]

    @property
    def violations(self) -> list[str]:
        """What the bridge did wrong."""
        return self._web.violations + (self.call.violations if self.call is not None else [])

    @property
    def is_over(self) -> bool:
        """Whether the call has its final status."""
        return self.status in {"completed", "busy", "no-answer", "failed", "canceled"}

    async def over(self, timeout_s: float = 10.0) -> None:
        """Wait until the call is over and everything about it has been posted."""
        await asyncio.wait_for(self._over.wait(), timeout_s)

    # --- what becomes of it -------------------------------------------------------------------------

    def end(self, status: str) -> str:
        """End the call as the REST API is asked to, by ``completed`` or ``canceled``; returns its status.

        Either makes a call that was not answered ``canceled``; only ``completed`` ends one that was.
        """
        if self.status != "in-progress":
            self._given_up.set()
            return "canceled"
        if status == "canceled":
            self._web.violations.append("Status=canceled does not end a call in progress")
            return self.status
        if self.call is not None:
            self.call.hang_up("api")
        return "completed"

    def redirect(self, document: str) -> bool:
        """Have an answered call go on with other TwiML, as the REST API may; false for any other call."""
        return self.status == "in-progress" and self.call is not None and self.call.redirect(document)

    async def run(self) -> None:
        """Ring, be answered or not, and report it."""
        async with aiohttp.ClientSession(headers={"User-Agent": _USER_AGENT}) as http:
            poster = asyncio.create_task(self._post_reports(http))
            try:
                self._move("initiated", "initiated")
                outcome = await self._ring()
                if outcome in {"answered", "machine"}:
                    await self._talk(outcome)
                    outcome = "completed"
                self._move("completed", outcome)
                await self._reports.join()
            finally:
                poster.cancel()
                await asyncio.gather(poster, return_exceptions=True)
                self._over.set()

    async def _ring(self) -> str:
        phone, outcome, timeout_s = self.phone, self.phone.outcome, float(self.form.get("Timeout", "60"))
        # A busy phone does not ring, and neither does one that cannot be reached.
        if outcome not in {"busy", "failed"}:
            self._move("ringing", "ringing")
            if phone.ring_s > timeout_s:
                outcome = "no-answer"
        with suppress(TimeoutError):
            await asyncio.wait_for(self._given_up.wait(), min(phone.ring_s, timeout_s) / phone.speed)
        return "canceled" if self._given_up.is_set() else outcome

    async def _talk(self, outcome: str) -> None:
        phone, form = self.phone, self.form
        who = "human" if outcome == "answered" else "machine_start"
        if who == "machine_start" and form.get("MachineDetection") == "DetectMessageEnd":
            who = "machine_end_beep"
        detects_later = self._detects and form.get("AsyncAmd") == "true"
        if self._detects and not detects_later:
            self._answered_by = who
        call = FakeTwilioCall(
            self._web.dialled(form["Url"]) if "Url" in form else self.bridge_url or "",
            auth_token=self.auth_token,
            caller=phone.caller,
            account_sid=self.account_sid,
            call_sid=self.sid,
            from_=form["From"],
            to=form["To"],
            public_url=self.public_url,
            speed=phone.speed,
            max_s=phone.max_s,
            twiml=form.get("Twiml"),
        )
        call.direction = "outbound-api"
        self.call = call
        self._move("answered", "in-progress")
        detecting = asyncio.create_task(self._detect(who)) if detects_later else None
        begun = time.monotonic()
        try:
            await call.run()
        finally:
            if detecting is not None:
                detecting.cancel()
                await asyncio.gather(detecting, return_exceptions=True)
        self._duration_s = max(1, round(time.monotonic() - begun))

    async def _detect(self, who: str) -> None:
        await asyncio.sleep(self.phone.amd_s / self.phone.speed)
        self._answered_by = who
        form = {
            "AccountSid": self.account_sid,
            "CallSid": self.sid,
            "AnsweredBy": who,
            "MachineDetectionDuration": str(round(self.phone.amd_s * 1000)),
        }
        self._reports.put_nowait((self.form["AsyncAmdStatusCallback"], form))

    # --- what is told of it -------------------------------------------------------------------------

    def _move(self, event: str, status: str) -> None:
        self.status = status
        # Who names no event is told of the end.
        if "StatusCallback" not in self.form or event not in (self.events or ("completed",)):
            return
        form = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": status,
            "CallbackSource": "call-progress-events",
            "Called": self.form["To"],
            "Caller": self.form["From"],
            "Direction": "outbound-api",
            "From": self.form["From"],
            "SequenceNumber": str(self._n_reported),
            "Timestamp": format_datetime(datetime.now(UTC)),
            "To": self.form["To"],
        }
        if event == "completed":
            form |= {"CallDuration": str(self._duration_s), "Duration": str(-(-self._duration_s // 60))}
        if self._answered_by:
            form["AnsweredBy"] = self._answered_by
        self._n_reported += 1
        self._reports.put_nowait((self.form["StatusCallback"], form))

    async def _post_reports(self, http: aiohttp.ClientSession) -> None:
        while True:
            url, form = await self._reports.get()
            try:
                await self._web.post(http, self._web.dialled(url), form)
            finally:
                self._reports.task_done()
