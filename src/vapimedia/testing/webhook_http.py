"""Webhooks as a provider sends them, and a bridge's two names: public and dialled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp

__all__ = ["Answer", "CallbackPost", "WebhookHttp", "answers"]

_ANSWER_S = 5.0
_AS_SOCKET = {"http": "ws", "https": "wss"}


@dataclass
class CallbackPost:
    """A webhook that was sent to the bridge, and the answer's HTTP status; 0 when there was none.

    ``form`` holds the fields, whether they went as a form, as JSON or in the query. ``attempt`` counts from 1:
    what failed is sent again.
    """

    url: str
    form: dict[str, Any]
    status: int
    attempt: int = 1


@dataclass
class Answer:
    """What came back: ``status`` is 0 when nothing did, and ``error`` says why."""

    status: int = 0
    body: str = ""
    content_type: str = ""
    error: str = ""


@dataclass
class WebhookHttp:
    """Send webhooks to a bridge at *base_url* that believes its origin is *public_url*."""

    document: ClassVar[str] = "document"  # the provider's word for what answers a call
    answer_timeout_s: ClassVar[float] = 15.0

    base_url: str
    public_url: str | None
    posts: list[CallbackPost] = field(default_factory=list, kw_only=True)
    violations: list[str] = field(default_factory=list, kw_only=True)

    def public(self, url: str) -> str:
        """Return the URL as the outside world writes it."""
        if self.public_url is None:
            return url
        origin, parts = urlsplit(self.public_url), urlsplit(url)
        return urlunsplit((origin.scheme, origin.netloc, parts.path, parts.query, ""))

    def dialled(self, url: str) -> str:
        """Return where a URL that the bridge gave is reached from here.

        With a public URL its host and port are the only right ones, and its scheme, or the socket's that goes
        with it: nobody but this machine reaches any other.
        """
        if self.public_url is None:
            return url
        parts, base, public = urlsplit(url), urlsplit(self.base_url), urlsplit(self.public_url)
        if parts.netloc.lower() != public.netloc.lower():
            self._note(f"{self.document}: a URL's host is not that of the public URL")
        elif parts.scheme not in {public.scheme, _AS_SOCKET.get(public.scheme)}:
            self._note(f"{self.document}: a URL's scheme does not go with that of the public URL")
        is_socket = parts.scheme in _AS_SOCKET.values()
        scheme = _AS_SOCKET.get(base.scheme, base.scheme) if is_socket else base.scheme
        return urlunsplit((scheme, base.netloc, parts.path, parts.query, ""))

    def reached(self, url: str) -> str:
        """Return where a URL that the user of the fake gave is reached from here: it may be any."""
        is_public = self.public_url is not None and urlsplit(url).netloc == urlsplit(self.public_url).netloc
        return self.dialled(url) if is_public else url

    def _note(self, violation: str) -> None:
        if violation not in self.violations:  # a URL is dialled for every event
            self.violations.append(violation)

    async def send(
        self,
        http: aiohttp.ClientSession,
        method: str,
        url: str,
        form: dict[str, Any],
        attempt: int = 1,
        **request: Any,
    ) -> Answer:
        """Send *request* (aiohttp's words) to the dialled *url* and note *form* as what it said."""
        answer = Answer()
        try:
            timeout = aiohttp.ClientTimeout(total=self.answer_timeout_s)
            async with http.request(method, url, timeout=timeout, **request) as response:
                answer = Answer(response.status, await response.text(), response.content_type)
        except aiohttp.ClientConnectorError:
            answer.error = f"cannot connect to {urlsplit(url).netloc}"
        except TimeoutError:
            answer.error = f"no answer within {self.answer_timeout_s:g} s"
        except aiohttp.ClientError as error:
            answer.error = f"the connection broke ({type(error).__name__})"
        self.posts.append(CallbackPost(url, form, answer.status, attempt))
        return answer


async def answers(url: str) -> bool:
    """Return whether anything answers HTTP at the host of *url*, whatever it says."""
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url, allow_redirects=False):
            return True
    except (aiohttp.ClientError, TimeoutError):
        return False
