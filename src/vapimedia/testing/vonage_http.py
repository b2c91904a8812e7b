"""Signed webhooks as Vonage sends them: JSON posts, or queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import aiohttp

from vapimedia.testing.vonage_wire import compact, sign
from vapimedia.testing.webhook_http import Answer, WebhookHttp

__all__ = ["VonageHttp"]

_TRANSIENT = {429, 503, 504}


@dataclass
class VonageHttp(WebhookHttp):
    """Send signed JSON to a bridge at *base_url* that believes its origin is *public_url*.

    *fallback_url* is the application's fallback answer URL.
    """

    document: ClassVar[str] = "NCCO"
    answer_timeout_s: ClassVar[float] = 5.0  # Vonage's default socket_timeout

    signature_secret: str
    api_key: str
    application_id: str
    signed: bool = True
    fallback_url: str | None = None

    def token(self, body: bytes = b"") -> str:
        """Return a fresh token over *body*."""
        return sign(
            self.signature_secret, api_key=self.api_key, application_id=self.application_id, body=body
        )

    async def tell(
        self,
        http: aiohttp.ClientSession,
        url: str,
        form: dict[str, Any],
        method: str = "POST",
        attempt: int = 1,
    ) -> Answer:
        """Send *form* to the dialled *url*, with a token of its own: as JSON, or with GET in the query."""
        body = b"" if method == "GET" else compact(form).encode()
        headers = {"Authorization": f"Bearer {self.token(body)}"} if self.signed else {}
        if method == "GET":
            query = {name: str(value) for name, value in form.items() if not isinstance(value, dict)}
            return await self.send(http, "GET", url, form, attempt, params=query, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self.send(http, method, url, form, attempt, data=body, headers=headers)

    async def ask(
        self,
        http: aiohttp.ClientSession,
        url: str,
        form: dict[str, Any],
        method: str = "POST",
        *,
        kind: Literal["answer", "event"],
    ) -> Answer:
        """Send *form*, for which an NCCO is wanted: twice if it fails, then up to twice to the fallback URL.

        It fails where no answer comes, or one that says to try later. Nothing is waited for in between. Source:
        Vonage, webhook reference, "Fallback Answer URL".
        """
        answer = await self._twice(http, url, form, method, 1)
        if self.fallback_url is None or not _has_failed(answer):
            return answer
        more = {
            "reason": answer.error or f"HTTP status {answer.status}",
            "original_request": {"url": self.public(url), "type": kind},
        }
        return await self._twice(http, self.reached(self.fallback_url), form | more, "POST", 3)

    async def _twice(
        self, http: aiohttp.ClientSession, url: str, form: dict[str, Any], method: str, attempt: int
    ) -> Answer:
        answer = await self.tell(http, url, form, method, attempt)
        return await self.tell(http, url, form, method, attempt + 1) if _has_failed(answer) else answer


def _has_failed(answer: Answer) -> bool:
    return answer.status == 0 or answer.status in _TRANSIENT
