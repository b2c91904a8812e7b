"""Signed HTTP posts as Twilio makes them, and a bridge's two names: public and dialled."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from vapimedia.testing.twilio_wire import sign

__all__ = ["Answer", "CallbackPost", "TwilioHttp"]

_ANSWER_TIMEOUT_S = 15.0  # what Twilio gives a webhook


@dataclass
class CallbackPost:
    """A signed form that was posted to the bridge, and the answer's HTTP status; 0 when there was none."""

    url: str
    form: dict[str, str]
    status: int


@dataclass
class Answer:
    """What came back: ``status`` is 0 when nothing did, and ``error`` says why."""

    status: int = 0
    body: str = ""
    content_type: str = ""
    error: str = ""


@dataclass
class TwilioHttp:
    """Post signed forms to a bridge at *base_url* that believes its origin is *public_url*."""

    base_url: str
    public_url: str | None
    auth_token: str
    posts: list[CallbackPost] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

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
            self.violations.append("TwiML: a URL's host is not that of the public URL")
        as_socket = {"http": "ws", "https": "wss"} if parts.scheme in {"ws", "wss"} else {}
        return urlunsplit((as_socket.get(base.scheme, base.scheme), base.netloc, parts.path, parts.query, ""))

    async def post(self, http: aiohttp.ClientSession, url: str, form: dict[str, str]) -> Answer:
        """Post *form* to the dialled *url*, signed over the public one."""
        headers = {"X-Twilio-Signature": sign(self.auth_token, self.public(url), form)}
        answer = Answer()
        try:
            timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
            async with http.post(url, data=form, headers=headers, timeout=timeout) as response:
                answer = Answer(response.status, await response.text(), response.content_type)
        except aiohttp.ClientConnectorError:
            answer.error = f"cannot connect to {urlsplit(url).netloc}"
        except TimeoutError:
            answer.error = f"no answer within {_ANSWER_TIMEOUT_S:g} s"
        except aiohttp.ClientError as error:
            answer.error = f"the connection broke ({type(error).__name__})"
        self.posts.append(CallbackPost(url, form, answer.status))
        return answer
