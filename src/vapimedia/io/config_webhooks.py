"""The settings about Vapi's webhooks: how they prove themselves, and how long their handlers may take."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from vapimedia.errors import ConfigError
from vapimedia.protocols.vapi import WebhookSecrets
from vapimedia.secret import SecretField

__all__ = ["WebhookSettings"]

# What the secrets call a field that is a setting here.
_SETTINGS = {
    "payload_format": "vapi_webhook_payload",
    "bearer_header": "vapi_webhook_bearer_header",
    "signature_header": "vapi_webhook_signature_header",
    "timestamp_header": "vapi_webhook_timestamp_header",
    "message_id_header": "vapi_webhook_message_id_header",
}
_Seconds = Annotated[float, Meta(gt=0, le=300, description="seconds, above 0 and up to 300")]


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of ``BridgeConfig`` that Vapi's server URL needs."""

    tool_timeout_s: _Seconds = 18.0
    webhook_timeout_s: _Seconds = 18.0
    """Limit of every handler but tools; that of ``on_assistant_request`` is never above 6 s."""
    endpointing_timeout_s: _Seconds = 0.5
    webhook_max_kib: Annotated[int, Meta(ge=16, le=65_536, description="KiB, 16..65536")] = 4096
    phone_call_control: Literal["act", "ignore"] = "act"
    assistant_request_error: str = "Sorry, nobody can take this call right now. Please try again later."

    vapi_webhook_secret: SecretField = SecretField()
    vapi_webhook_auth: Literal["any", "secret", "bearer", "hmac"] = "any"
    vapi_webhook_bearer_header: str = "Authorization"
    vapi_webhook_bearer_prefix: str = "Bearer"
    vapi_webhook_signature_header: str = "x-signature"
    vapi_webhook_signature_prefix: str = ""
    vapi_webhook_timestamp_header: str = "x-timestamp"
    vapi_webhook_message_id_header: str = "svix-id"
    vapi_webhook_payload: str = ""
    vapi_webhook_algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    vapi_webhook_encoding: Literal["hex", "base64"] = "hex"
    vapi_webhook_secret_is_base64: bool = False
    vapi_webhook_untimed: bool = False
    vapi_webhook_url: str = ""

    @property
    def answer_timeout_s(self) -> float:
        """How long a webhook's answer may take."""
        return max(self.tool_timeout_s, self.webhook_timeout_s)

    def webhook_secrets(self) -> WebhookSecrets | None:
        """Return what webhooks are checked with, ``None`` without a secret. Raises ``ConfigError``."""
        secret, kind = self.vapi_webhook_secret, self.vapi_webhook_auth
        if not secret:
            return None
        try:
            return WebhookSecrets(
                secret=secret if kind in ("any", "secret") else "",
                bearer=secret if kind in ("any", "bearer") else "",
                bearer_header=self.vapi_webhook_bearer_header.strip(),
                bearer_prefix=self.vapi_webhook_bearer_prefix.strip(),
                hmac_secret=secret if kind in ("any", "hmac") else "",
                hmac_secret_is_base64=self.vapi_webhook_secret_is_base64,
                algorithm=self.vapi_webhook_algorithm,
                encoding=self.vapi_webhook_encoding,
                signature_header=self.vapi_webhook_signature_header.strip(),
                signature_prefix=self.vapi_webhook_signature_prefix.strip(),
                timestamp_header=self.vapi_webhook_timestamp_header.strip(),
                message_id_header=self.vapi_webhook_message_id_header.strip(),
                include_timestamp=not self.vapi_webhook_untimed,
                payload_format=self.vapi_webhook_payload,
            )
        except ConfigError as error:
            text = str(error)
            for name, setting in _SETTINGS.items():
                text = text.replace(name, setting)
            raise ConfigError(text) from None

    def check_webhooks(self, public_url: str) -> None:
        """Raise ``ConfigError`` if webhooks cannot be checked in the way that is set."""
        if not self.assistant_request_error.strip():
            raise ConfigError(
                "assistant_request_error must not be empty: callers hear it when nobody can answer"
            )
        secrets = self.webhook_secrets()
        if secrets is not None and secrets.signs_url and not (self.vapi_webhook_url or public_url):
            raise ConfigError(
                "vapi_webhook_payload holds {url}; give the server URL that Vapi knows as vapi_webhook_url, or "
                "public_url"
            )
        if self.vapi_webhook_url and urlsplit(self.vapi_webhook_url).scheme not in ("http", "https"):
            raise ConfigError("vapi_webhook_url must be a URL like https://host/vapi/webhook")
