"""Signed webhooks as Vonage sends them: JSON posts, or queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from vapimedia.testing.vonage_wire import compact, sign
from vapimedia.testing.webhook_http import Answer, WebhookHttp

__all__ = ["VonageHttp"]


@dataclass
class VonageHttp(WebhookHttp):
    """Send signed JSON to a bridge at *base_url* that believes its origin is *public_url*."""

    document: ClassVar[str] = "NCCO"
    answer_timeout_s: ClassVar[float] = 5.0  # Vonage's default socket_timeout

    signature_secret: str
    api_key: str
    application_id: str
    signed: bool = True

    def token(self, body: bytes = b"") -> str:
        """Return a fresh token over *body*."""
        return sign(
            self.signature_secret, api_key=self.api_key, application_id=self.application_id, body=body
        )

    async def tell(
        self, http: aiohttp.ClientSession, url: str, form: dict[str, Any], method: str = "POST"
    ) -> Answer:
        """Send *form* to a public or dialled *url*: as JSON, or with GET in the query."""
        body = b"" if method == "GET" else compact(form).encode()
        headers = {"Authorization": f"Bearer {self.token(body)}"} if self.signed else {}
        if method == "GET":
            query = {name: str(value) for name, value in form.items() if not isinstance(value, dict)}
            return await self.send(http, "GET", self.dialled(url), form, params=query, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self.send(http, method, self.dialled(url), form, data=body, headers=headers)
