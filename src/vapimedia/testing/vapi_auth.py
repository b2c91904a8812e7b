"""How Vapi proves itself to a server URL, written from its documentation: secret, bearer, HMAC."""

from __future__ import annotations

import base64
import hmac
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from vapimedia.errors import ConfigError

__all__ = ["BearerAuth", "HmacAuth", "SecretAuth", "WebhookAuth"]


@dataclass(frozen=True)
class SecretAuth:
    """The legacy ``server.secret``: ``X-Vapi-Secret``."""

    secret: str

    def headers(self, body: bytes, url: str) -> dict[str, str]:
        """Return the headers that go with *body*."""
        return {"X-Vapi-Secret": self.secret}


@dataclass(frozen=True)
class BearerAuth:
    """A bearer credential; any header, with or without the word ``Bearer``."""

    token: str
    header_name: str = "Authorization"
    prefix: bool = True

    def headers(self, body: bytes, url: str) -> dict[str, str]:
        """Return the headers that go with *body*."""
        return {self.header_name: f"Bearer {self.token}" if self.prefix else self.token}


@dataclass(frozen=True)
class HmacAuth:
    """An HMAC credential, with the names and defaults of Vapi's plan.

    *payload_format* holds ``{body}``, ``{timestamp}``, ``{method}``, ``{url}`` and ``{svix-id}``; unset it is
    ``{timestamp}.{body}``, or ``{body}`` without a timestamp. Vapi does not say what its timestamp counts:
    *timestamp_unit* is ``s``, ``ms`` or ``iso``. *clock_skew_s* shifts it, for tests of what is too old.
    *signed_url* stands for ``{url}`` where the server is known by another URL than the one posted to.
    """

    secret: str
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    signature_header: str = "x-signature"
    timestamp_header: str = "x-timestamp"
    signature_prefix: str = ""
    include_timestamp: bool = True
    payload_format: str | None = None
    message_id_header: str | None = None
    encoding: Literal["hex", "base64"] = "hex"
    secret_is_base64: bool = False
    timestamp_unit: Literal["s", "ms", "iso"] = "s"
    clock_skew_s: float = 0.0
    signed_url: str | None = None

    def headers(self, body: bytes, url: str) -> dict[str, str]:
        """Return the headers that go with *body*. Raises ``ConfigError`` for a secret that is no base64."""
        try:
            key = (
                base64.b64decode(self.secret, validate=True)
                if self.secret_is_base64
                else self.secret.encode()
            )
        except ValueError:
            raise ConfigError("the secret of the HMAC credential is not base64") from None
        stamp, message_id = self._timestamp(), f"msg_{uuid.uuid4().hex}"
        form = self.payload_format or ("{timestamp}.{body}" if self.include_timestamp else "{body}")
        text = form.encode()
        fields = {"timestamp": stamp, "method": "POST", "url": self.signed_url or url, "svix-id": message_id}
        for name, value in fields.items():
            text = text.replace(b"{%s}" % name.encode(), value.encode())
        # Last, as the body may hold braces of its own.
        mac = hmac.new(key, text.replace(b"{body}", body), self.algorithm)
        said = mac.hexdigest() if self.encoding == "hex" else base64.b64encode(mac.digest()).decode()
        headers = {self.signature_header: self.signature_prefix + said}
        if self.include_timestamp:
            headers[self.timestamp_header] = stamp
        if self.message_id_header is not None:
            headers[self.message_id_header] = message_id
        return headers

    def _timestamp(self) -> str:
        now_s = time.time() + self.clock_skew_s
        if self.timestamp_unit == "iso":
            return (
                datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            )
        return str(int(now_s * (1000 if self.timestamp_unit == "ms" else 1)))


WebhookAuth = SecretAuth | BearerAuth | HmacAuth
