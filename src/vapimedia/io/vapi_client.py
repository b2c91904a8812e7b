"""Vapi's REST API with careful retries, live control of its calls, and the requests of providers and sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from yarl import URL

from vapimedia.errors import ConcurrencyBlocked, ConfigError, ProviderError, VapiError
from vapimedia.io.call_log import NOBODY, CallLog
from vapimedia.io.call_lookup import CallLike, Known, check_call, id_in, id_of, listen_url_of
from vapimedia.io.listen import Listening
from vapimedia.io.live_control import LiveControl, begun_call, end_call
from vapimedia.io.vapi_requests import CREATE, READ, USER_AGENT, Answer, Repetition, Requests, bearer, repeat
from vapimedia.io.wire_log import WireLog
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.hosts import is_loopback
from vapimedia.protocols.vapi import (
    CallRecord,
    CreateCall,
    CreatedCall,
    CreatePhoneCall,
    decode_call,
    decode_calls,
    read_created_call,
)
from vapimedia.protocols.vapi.auth import check_api_key
from vapimedia.protocols.vapi.call_records import refused
from vapimedia.secret import Secret

if TYPE_CHECKING:
    from vapimedia.io.config import BridgeConfig

__all__ = ["USER_AGENT", "VapiClient"]

# A record holds every word of its call, and a list a hundred of them.
_MAX_RECORD_BYTES = 16 << 20
_MAX_LIST_BYTES = 64 << 20
_SETTLE_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_TIMES = frozenset(f"{what}_at_{how}" for what in ("created", "updated") for how in ("gt", "lt", "ge", "le"))


class VapiClient:
    """A client with one connection pool, for Vapi's API and for the providers'. ``async with``, or ``close`` it.

    *key* is the private one; it goes into a header and nowhere else. *public_key* is sent with control messages and to
    listen URLs, for calls whose ``monitorPlan`` wants that. Control, listen and call URLs are used on
    *hosts*, hosts below these, and the API's own host. Redirects are not followed. Raises ``ConfigError`` for a
    *base_url* that would send the key in the clear, and for a key that is none; an empty one does for calls that are
    given by URL, and what asks the API raises then.
    """

    def __init__(
        self,
        key: str | Secret,
        *,
        base_url: str = "https://api.vapi.ai",
        timeout_s: float = 10.0,
        public_key: str | Secret = "",
        hosts: Iterable[str] = ("vapi.ai",),
    ) -> None:
        self._key = check_api_key(key, "Vapi's private key")
        self._public_key = check_api_key(public_key, "Vapi's public key")
        self._base_url = _checked(base_url)
        self._timeout_s = timeout_s
        self._requests = Requests()
        self.hosts = tuple(hosts)
        self.known = Known()

    @classmethod
    def of(cls, config: BridgeConfig) -> Self:
        """Return the client that a bridge with these settings uses."""
        return cls(
            config.vapi_api_key,
            base_url=config.vapi_url,
            public_key=config.vapi_public_key,
            hosts=config.vapi_hosts,
        )

    @property
    def authorization(self) -> dict[str, Secret]:
        """The header that proves who we are."""
        return bearer(self._key)

    @property
    def monitor_authorization(self) -> dict[str, Secret]:
        """The header for control and listen URLs; empty without a public key."""
        return bearer(self._public_key)

    @property
    def timeout_s(self) -> float:
        """How long one call takes to create at most."""
        return self._timeout_s

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._base_url

    # --- calls --------------------------------------------------------------------------------------------

    async def create_call(
        self, request: CreateCall | CreatePhoneCall, *, given_up: asyncio.Event | None = None
    ) -> CreatedCall:
        """Create a call. Raises ``VapiError``, within the timeout in all, and 5 s where nobody can be reached.

        A status of 5xx is tried again up to three times in all with growing pauses, 429 after its
        ``Retry-After``, a connection that was never made likewise. After a timeout (ours, or a proxy's 504)
        or a connection that broke while waiting, nobody knows whether the call exists: it is not sent again.
        Nor is it once *given_up* is set; an answer that is being waited for is waited for still.
        An account that has as many calls as it may have raises ``ConcurrencyBlocked``.
        """
        if not isinstance(request, CreateCall | CreatePhoneCall):
            raise ConfigError(
                "create_call takes a CreateCall or a CreatePhoneCall; decode_create_call reads JSON"
            )
        answer = await self._api("POST", "/call", CREATE, body=request.body(), given_up=given_up)
        on_socket = isinstance(request, CreateCall)
        call = read_created_call(answer.status, answer.body, hide=self._secrets, wants_socket=on_socket)
        self.known.add(call)
        if call.concurrency_blocked:
            raise ConcurrencyBlocked(
                "Vapi's concurrency limit is reached; the call was not started",
                status=answer.status,
                limit=call.concurrency_limit,
                remaining=call.remaining_calls,
                call=call,
            )
        return call

    async def get_call(self, call_id: str) -> CallRecord:
        """Return what Vapi says of a call now. Raises ``VapiError``; tried again as it is safe."""
        path = f"/call/{id_of(call_id)}"
        record = decode_call(await self._read(path, "to tell of the call", _MAX_RECORD_BYTES))
        self.known.add(record)
        return record

    async def list_calls(
        self,
        *,
        limit: int | None = None,
        id: str | None = None,
        assistant_id: str | None = None,
        phone_number_id: str | None = None,
        **times: datetime | str,
    ) -> list[CallRecord]:
        """Return calls, newest first, at most *limit* (Vapi's default: 100).

        *times* are ``created_at_gt``, ``_lt``, ``_ge``, ``_le`` and ``updated_at_...``, ISO 8601 or a datetime with
        a time zone. A record holds all that was said: ask for few beside live media. Raises ``VapiError``.
        """
        unknown = times.keys() - _TIMES
        if unknown:
            raise ConfigError(f"unknown filter {min(unknown)!r}; times are {', '.join(sorted(_TIMES))}")
        given = {"limit": limit, "id": id, "assistant_id": assistant_id, "phone_number_id": phone_number_id}
        query = {
            _camel(name): _text(name, value) for name, value in (given | times).items() if value is not None
        }
        return decode_calls(await self._read("/call", "to list calls", _MAX_LIST_BYTES, query))

    async def begun_call(self, call: CallLike, *, timeout_s: float = 60.0) -> CallRecord:
        """Return a call once it runs: before, nothing can be said to it. Asks the API every half second.

        Raises ``CallOver`` if it ended without that (nobody answered), ``VapiError`` if it has not begun in time.
        """
        return await begun_call(self, call, timeout_s)

    async def end_call(self, call: CallLike) -> bool:
        """End a call by its control URL, or by its socket where it has none; return whether it still ran.

        Raises ``VapiError`` when it could not be told, or has not begun. Whatever is deleted at Vapi is data:
        that ends no call and is never asked for.
        """
        return await end_call(self, call)

    async def settled_call(self, call_id: str) -> CallRecord:
        """Return a call once Vapi has told why it ended and what it cost, both a while after its end.

        Asks again after 0.5, 1, 2, 4 and 8 s and then returns what is known: look at ``is_settled``. A call that
        cost nothing takes as long. Raises ``VapiError`` if the first question fails.
        """
        record = await self.get_call(call_id)
        for pause_s in _SETTLE_PAUSES_S:
            if record.is_settled:
                break
            await asyncio.sleep(pause_s)
            with suppress(VapiError):  # what is known already is worth more than why there is no more
                record = await self.get_call(call_id)
        return record

    def control(self, call: CallLike, *, timeout_s: float = 5.0) -> LiveControl:
        """Return what speaks to a running call: one of ours, its record, its id, or its control URL.

        Each message has *timeout_s*.
        """
        check_call(call)
        return LiveControl(self, call, timeout_s=timeout_s)

    def listen(
        self,
        call: CallLike,
        *,
        channels: int = 1,
        sample_rate: int = 16000,
        give_up_s: float = 60.0,
        max_queue_s: float = 10.0,
    ) -> Listening:
        """Return what hears a running call: one of ours, its record, its id, or its listen URL. See ``Listening``.

        The API is asked whether the call is over when its socket is lost, where its id is known.
        """
        check_call(call)
        call_id = id_in(call) if self._key else ""

        async def url() -> Secret:
            return await listen_url_of(self, call)

        async def is_over() -> bool:
            return (await self.get_call(call_id)).has_ended

        return Listening(
            url,
            public_key=self._public_key,
            channels=channels,
            sample_rate=sample_rate,
            is_over=is_over if call_id else None,
            give_up_s=give_up_s,
            max_queue_s=max_queue_s,
        )

    # --- requests -----------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        url: Secret,
        *,
        headers: Mapping[str, str | Secret],
        body: bytes | None,
        rule: Repetition,
        timeout_s: float,
    ) -> Answer:
        """Make one request that *rule* may repeat. Raises ``VapiError`` where no answer comes."""
        to = URL(url.reveal(), encoded=True)

        async def send(connect_s: float) -> Answer:
            return await self._requests.send(
                method, to, headers=headers, timeout_s=timeout_s, body=body, connect_s=connect_s
            )

        return await repeat(send, rule, host=to.host_port_subcomponent or "", timeout_s=timeout_s)

    async def carry_out(self, call: HttpCall, log: CallLog = NOBODY) -> bool:
        """Make one request; return whether it did its work. Never raises; tells *log* purpose and status alone."""
        try:
            status, _ = await self._request(call)
        except (aiohttp.ClientError, VapiError, TimeoutError, ValueError) as error:
            text = "request to %s failed: %s"
            log.trouble("request_failed", text, call.purpose, type(error).__name__, purpose=call.purpose)
            return False
        if status < 300 or status in call.gone:
            return True
        text = "request to %s was refused with status %d"
        log.trouble("request_refused", text, call.purpose, status, purpose=call.purpose, status=status)
        return False

    async def ask(self, call: HttpCall) -> tuple[int, bytes]:
        """Make one request of a provider's API; return status and body. Raises ``ProviderError`` without an answer."""
        try:
            return await self._request(call)
        except (aiohttp.ClientError, VapiError, TimeoutError, ValueError) as error:
            host = URL(call.url.reveal(), encoded=True).host
            raise ProviderError(f"the API at {host} did not answer: {type(error).__name__}") from None

    async def _request(self, call: HttpCall) -> tuple[int, bytes]:
        url = URL(call.url.reveal(), encoded=True)
        answer = await self._requests.send(
            call.method,
            url,
            headers=call.reveal_headers(time.time()),
            timeout_s=self._timeout_s,
            body=call.body,
        )
        return answer.status, answer.body

    async def _read(
        self, path: str, what: str, max_bytes: int, query: Mapping[str, str] | None = None
    ) -> bytes:
        answer = await self._api("GET", path, READ, query=query, max_bytes=max_bytes)
        if answer.status == 404:
            raise VapiError(
                "Vapi knows no such call for this key; look at the id, which is Vapi's own, and whose key it is",
                status=404,
            )
        if answer.status not in range(200, 300):
            raise refused(answer.status, answer.body, self._secrets, what)
        return answer.body

    async def _api(
        self,
        method: str,
        path: str,
        rule: Repetition,
        *,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        given_up: asyncio.Event | None = None,
        max_bytes: int = 1 << 20,
    ) -> Answer:
        if not self._key:
            raise ConfigError(
                "Vapi's private key is empty, and its API wants one; give it as VapiClient(key)"
            )
        url = URL(f"{self._base_url}{path}", encoded=True).with_query(query or {})
        headers: dict[str, str | Secret] = {"Content-Type": "application/json"} if body is not None else {}
        headers |= self.authorization

        async def send(connect_s: float) -> Answer:
            return await self._requests.send(
                method,
                url,
                headers=headers,
                timeout_s=self._timeout_s,
                body=body,
                connect_s=connect_s,
                max_bytes=max_bytes,
            )

        return await repeat(
            send, rule, host=url.host_port_subcomponent or "", timeout_s=self._timeout_s, given_up=given_up
        )

    @property
    def _secrets(self) -> Sequence[Secret]:
        return (self._key, self._public_key)

    def tell(self, wire: WireLog | None) -> None:
        """Have *wire* tell of each request from now on."""
        self._requests.wire = wire

    async def close(self) -> None:
        """Close the connections, for good."""
        await self._requests.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"VapiClient(base_url={self._base_url!r})"


def _checked(base_url: str) -> str:
    try:
        url = URL(base_url)
        host = url.host or ""
    except ValueError:
        host = ""
    if not host or url.scheme not in ("http", "https") or url.user or url.query_string or url.fragment:
        raise ConfigError(
            "the base of Vapi's API must be a URL like https://api.vapi.ai, without user, password and query"
        )
    if url.scheme == "http" and not is_loopback(host):
        raise ConfigError(
            f"the base of Vapi's API must be https, as the key goes there, unless it is this machine; {host} is not"
        )
    return base_url.rstrip("/")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _text(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigError(f"{name} must have a time zone; give it one, such as datetime.UTC")
        return value.isoformat()
    return str(value)
