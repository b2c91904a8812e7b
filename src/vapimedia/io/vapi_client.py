"""HTTPS to others: Vapi's ``POST /call`` with careful retries, and the requests of providers and sessions."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
from yarl import URL

from vapimedia._version import __version__
from vapimedia.errors import ProviderError, VapiError
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.vapi import CreateCall, CreatedCall, read_created_call

__all__ = ["VapiClient"]

_log = logging.getLogger("vapimedia.io")

# Vapi's edge refuses requests with a library's default User-Agent (403, "error code: 1010").
USER_AGENT = f"vapimedia/{__version__}"
_MAX_TRIES = 3
_FIRST_PAUSE_S = 0.25
_MAX_ANSWER_BYTES = 1 << 20


class VapiClient:
    """A client with one connection pool, for Vapi's API and for the providers'. ``async with``, or ``close`` it.

    The key goes into a header and nowhere else. Redirects are not followed.
    """

    def __init__(self, key: str, *, base_url: str = "https://api.vapi.ai", timeout_s: float = 10.0) -> None:
        self._key = key
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    @property
    def authorization(self) -> dict[str, str]:
        """The header that proves who we are. A secret."""
        return {"Authorization": f"Bearer {self._key}"}

    @property
    def timeout_s(self) -> float:
        """How long one call takes to create at most."""
        return self._timeout_s

    async def create_call(self, request: CreateCall, *, given_up: asyncio.Event | None = None) -> CreatedCall:
        """Create a call on the WebSocket transport. Raises ``VapiError``, within the timeout in all.

        A status of 5xx is tried again up to three times in all with growing pauses, 429 after its
        ``Retry-After``, a connection that was never made likewise. After a timeout (ours, or a proxy's 504)
        or a connection that broke while waiting, nobody knows whether the call exists: it is not sent again.
        Nor is it once *given_up* is set; an answer that is being waited for is waited for still.
        """
        body = request.body()
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        too_late = last = VapiError(f"Vapi did not answer within {self._timeout_s:g} s")
        given_up = given_up or asyncio.Event()
        for number in range(_MAX_TRIES):
            if given_up.is_set():
                raise VapiError("the call is not wanted any more")
            pause_s = _FIRST_PAUSE_S * 2**number * (1 + random.random())  # noqa: S311  jitter, no secret
            try:
                async with asyncio.timeout_at(deadline):
                    status, answer, retry_after_s = await self._post(f"{self._base_url}/call", body)
                if status != 429 and (status < 500 or status == 504):
                    return read_created_call(status, answer, hide=[self._key])
                pause_s = max(pause_s, retry_after_s)
                last = _refused(status, answer, self._key)
            except TimeoutError:
                raise too_late from None
            except aiohttp.ClientConnectorError as error:
                last = VapiError(f"cannot connect to Vapi at {self._host}: {_why(error)}")
            except aiohttp.ClientError as error:
                raise VapiError(
                    f"Vapi at {self._host} broke the connection: {type(error).__name__}"
                ) from None
            if number + 1 == _MAX_TRIES or asyncio.get_running_loop().time() + pause_s >= deadline:
                break
            await _pause(pause_s, given_up)
        raise last

    async def carry_out(self, call: HttpCall) -> bool:
        """Make one request; return whether it did its work. Never raises; logs purpose and status alone."""
        try:
            status, _ = await self._request(call)
        except (aiohttp.ClientError, VapiError, TimeoutError, ValueError) as error:
            _log.warning("request to %s failed: %s", call.purpose, type(error).__name__)
            return False
        if status < 300 or status in call.gone:
            return True
        _log.warning("request to %s was refused with status %d", call.purpose, status)
        return False

    async def ask(self, call: HttpCall) -> tuple[int, bytes]:
        """Make one request of a provider's API; return status and body. Raises ``ProviderError`` without an answer."""
        try:
            return await self._request(call)
        except (aiohttp.ClientError, VapiError, TimeoutError, ValueError) as error:
            host = URL(call.url, encoded=True).host
            raise ProviderError(f"the API at {host} did not answer: {type(error).__name__}") from None

    async def _request(self, call: HttpCall) -> tuple[int, bytes]:
        headers = call.headers if call.sign is None else {**call.headers, **call.sign(time.time())}
        async with self._http().request(
            call.method, URL(call.url, encoded=True), headers=headers, data=call.body, allow_redirects=False
        ) as answer:
            return answer.status, await _read(answer)

    async def close(self) -> None:
        """Close the connections, for good."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"VapiClient(base_url={self._base_url!r})"

    @property
    def _host(self) -> str:
        return URL(self._base_url).authority

    def _http(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise VapiError("the client is closed; make a new one")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": USER_AGENT}, timeout=aiohttp.ClientTimeout(total=self._timeout_s)
            )
        return self._session

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes, float]:
        headers = {"Content-Type": "application/json", **self.authorization}
        async with self._http().post(url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status, await _read(answer), _seconds(answer.headers)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            raise VapiError(f"the answer is larger than {_MAX_ANSWER_BYTES} bytes", status=answer.status)
    return body


async def _pause(pause_s: float, given_up: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(given_up.wait(), pause_s)


def _seconds(headers: Mapping[str, str]) -> float:
    """Return what ``Retry-After`` says, a number of seconds or a date (RFC 9110 s. 10.2.3); 0 if neither."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:  # "-0000"
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _refused(status: int, answer: bytes, key: str) -> VapiError:
    try:
        read_created_call(status, answer, hide=[key])
    except VapiError as error:
        return error
    return VapiError(f"Vapi answered with status {status}", status=status)


def _why(error: aiohttp.ClientConnectorError) -> str:
    return error.os_error.strerror or type(error.os_error).__name__
