"""Webhooks as a provider sends them, and a bridge's two names: public and dialled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp

__all__ = ["Answer", "CallbackPost", "WebhookHttp"]


@dataclass
class CallbackPost:
    """A webhook that was sent to the bridge, and the answer's HTTP status; 0 when there was none.

    ``form`` holds the fields, whether they went as a form, as JSON or in the query.
    """

    url: str
    form: dict[str, Any]
    status: int


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
        """Return where a public URL is reached from here."""
        if self.public_url is None:
            return url
        parts, base = urlsplit(url), urlsplit(self.base_url)
        if parts.netloc not in {urlsplit(self.public_url).netloc, base.netloc}:
            self.violations.append(f"{self.document}: a URL's host is not that of the public URL")
        as_socket = {"http": "ws", "https": "wss"} if parts.scheme in {"ws", "wss"} else {}
        return urlunsplit((as_socket.get(base.scheme, base.scheme), base.netloc, parts.path, parts.query, ""))

    async def send(
        self, http: aiohttp.ClientSession, method: str, url: str, form: dict[str, Any], **request: Any
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
        self.posts.append(CallbackPost(url, form, answer.status))
        return answer
