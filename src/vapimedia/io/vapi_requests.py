"""HTTPS without surprises: bounded bodies, no redirects, one error type, and repetition only where it is safe."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp
from yarl import URL

from vapimedia._version import __version__
from vapimedia.errors import VapiError
from vapimedia.io.tls import trouble_of
from vapimedia.io.wire_log import WireLog
from vapimedia.secret import Secret

__all__ = [
    "CONTROL",
    "CREATE",
    "READ",
    "USER_AGENT",
    "Answer",
    "Repetition",
    "Requests",
    "bearer",
    "repeat",
    "revealed",
]

# Vapi's edge refuses requests with a library's default User-Agent (403, "error code: 1010").
USER_AGENT = f"vapimedia/{__version__}"
_FIRST_PAUSE_S = 0.25
_CONNECT_S = 4.8
"""How long a connection may take to be made, the name's resolution and further tries included."""
_MAX_ANSWER_BYTES = 1 << 20
_MAX_CONNECTIONS = 1000


class Answer(NamedTuple):
    """What a server answered. ``retry_after_s`` is 0 where it did not say."""

    status: int
    body: bytes
    retry_after_s: float


class Repetition(NamedTuple):
    """When a request is sent again. A connection that was never made is tried again in any case.

    ``after_break``: also when a connection broke before the answer, so that nobody knows whether it was heard.
    """

    n_tries: int
    is_passing: Callable[[int], bool]
    after_break: bool = False


# A proxy's timeouts, and its word for an answer that it could not read (Cloudflare's 520): the call may exist.
_AMBIGUOUS = frozenset({504, 520, 524})
CREATE = Repetition(3, lambda status: status == 429 or (status >= 500 and status not in _AMBIGUOUS))
READ = Repetition(3, lambda status: status == 429 or status >= 500, after_break=True)
# What is said twice is heard twice: only a request that was surely not taken is sent again.
CONTROL = Repetition(2, lambda status: status == 429)


def bearer(key: str | Secret) -> dict[str, Secret]:
    """Return the header that holds *key*, or none for an empty one."""
    return {"Authorization": Secret(f"Bearer {Secret(key).reveal()}")} if key else {}


def revealed(headers: Mapping[str, str | Secret]) -> dict[str, str]:
    """Return *headers* as they go onto the wire."""
    return {name: Secret(value).reveal() for name, value in headers.items()}


class Requests:
    """One connection pool. ``close`` it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self.wire: WireLog | None = None

    async def send(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str | Secret],
        timeout_s: float,
        body: bytes | None = None,
        connect_s: float = _CONNECT_S,
        max_bytes: int = _MAX_ANSWER_BYTES,
    ) -> Answer:
        """Make one request. Raises aiohttp's errors, and ``VapiError`` for an answer that is too large."""
        limits = aiohttp.ClientTimeout(total=timeout_s, connect=connect_s)
        told = None if self.wire is None else self.wire.begin("out", method, url.host or "", len(body or b""))
        try:
            async with self._http().request(
                method, url, headers=revealed(headers), data=body, allow_redirects=False, timeout=limits
            ) as answer:
                if told is not None:
                    told.status = answer.status
                read = await _read(answer, max_bytes)
                if told is not None:
                    told.n_bytes = len(read)
                return Answer(answer.status, read, _seconds(answer.headers))
        finally:
            if told is not None:
                told.end()

    async def close(self) -> None:
        """Close the connections, for good."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _http(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise VapiError("the client is closed; make a new one")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": USER_AGENT}, connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS)
            )
        return self._session


async def repeat(
    send: Callable[[float], Awaitable[Answer]],
    rule: Repetition,
    *,
    host: str,
    timeout_s: float,
    given_up: asyncio.Event | None = None,
) -> Answer:
    """Return the answer to a request that *send*, given the time to connect in s, makes; *rule* says how often.

    A status that stays is returned as it is; no answer raises ``VapiError``. All of it takes *timeout_s* at
    most, and 5 s where no connection can be made. Nothing is sent again once *given_up* is set; an answer that
    is being waited for is waited for still.
    """
    now = asyncio.get_running_loop().time
    deadline, unreachable_since = now() + timeout_s, now()
    given_up = given_up or asyncio.Event()
    answer: Answer | None = None
    failure = VapiError(f"Vapi at {host} did not answer")
    for number in range(rule.n_tries):
        if given_up.is_set():
            raise VapiError("the call is not wanted any more")
        pause_s = _FIRST_PAUSE_S * 2**number * (1 + random.random())  # noqa: S311  jitter, no secret
        until, answer = deadline, None
        try:
            async with asyncio.timeout_at(deadline):
                answer = await send(max(0.1, unreachable_since + _CONNECT_S - now()))
            if not rule.is_passing(answer.status):
                return answer
            pause_s = max(pause_s, answer.retry_after_s)
            unreachable_since = now() + pause_s
        except aiohttp.ClientSSLError as error:
            raise VapiError(f"cannot connect to Vapi at {host}: {_tls_trouble(error)}") from None
        except aiohttp.ClientConnectorError as error:
            failure = VapiError(f"cannot connect to Vapi at {host}: {_why(error)}")
            until = min(deadline, unreachable_since + _CONNECT_S)
        except aiohttp.ConnectionTimeoutError:
            raise VapiError(f"cannot connect to Vapi at {host}: nobody answers") from None
        except TimeoutError:
            raise VapiError(f"Vapi did not answer within {timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            failure = VapiError(f"Vapi at {host} broke the connection: {type(error).__name__}")
            if not rule.after_break:
                raise failure from None
            unreachable_since = now() + pause_s
        except UnicodeError:  # the resolver's word for a name that cannot be one
            raise VapiError(f"cannot connect to Vapi at {host}: its name cannot be resolved") from None
        if number + 1 == rule.n_tries or now() + pause_s >= until:
            break
        await _pause(pause_s, given_up)
    if answer is None:
        raise failure
    return answer


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > max_bytes:
            raise VapiError(f"the answer is larger than {max_bytes} bytes", status=answer.status)
    return bytes(body)


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
    except (ValueError, OverflowError):
        return 0.0
    if until.tzinfo is None:  # "-0000"
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _why(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    return error.os_error.strerror or type(error.os_error).__name__


def _tls_trouble(error: aiohttp.ClientSSLError) -> str:
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else None
    return trouble_of(cause or error.os_error)
