"""Signed HTTP posts as Twilio makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import aiohttp

from vapimedia.testing.twilio_wire import sign
from vapimedia.testing.webhook_http import Answer, CallbackPost, WebhookHttp

__all__ = ["Answer", "CallbackPost", "TwilioHttp"]


@dataclass
class TwilioHttp(WebhookHttp):
    """Post signed forms to a bridge at *base_url* that believes its origin is *public_url*."""

    document: ClassVar[str] = "TwiML"
    answer_timeout_s: ClassVar[float] = 15.0  # what Twilio gives a webhook

    auth_token: str

    async def post(self, http: aiohttp.ClientSession, url: str, form: dict[str, str]) -> Answer:
        """Post *form* to the dialled *url*, signed over the public one."""
        headers = {"X-Twilio-Signature": sign(self.auth_token, self.public(url), form)}
        return await self.send(http, "POST", url, form, data=form, headers=headers)
