"""Whether a webhook comes from Vapi: a shared secret, a bearer token, or an HMAC over the raw body.

And what can be a key of ours at Vapi.

Source: docs.vapi.ai (server authentication). The unit of the HMAC's timestamp is not documented, so seconds,
milliseconds and ISO 8601 are all read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.protocols.dialect import Refusal
from vapimedia.secret import Secret, SecretField, keep_secret

__all__ = ["WebhookSecrets", "check_api_key", "check_webhook_secret"]

# A time in ms since 1970 passed this in 1973; a time in seconds will not before the year 5138.
_FIRST_MS = 1e11
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = frozenset({"body", "timestamp", "method", "url", "svix-id"})
_MAX_SIGNATURES = 5
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class WebhookSecrets(msgspec.Struct, frozen=True):
    """What Vapi was told to authenticate with. Any one that is set and matches lets a webhook in.

    ``secret`` is compared with ``X-Vapi-Secret``, ``bearer`` with what stands behind ``bearer_prefix`` in
    ``bearer_header``; ``hmac_secret`` keys a signature over ``payload_format``, and the other fields are those of
    Vapi's HMAC credential. A signature without a timestamp can be replayed for ever. ``repr`` shows no secret.
    """

    secret: SecretField = SecretField()
    bearer: SecretField = SecretField()
    bearer_header: str = "authorization"
    bearer_prefix: str = "Bearer"
    hmac_secret: SecretField = SecretField()
    hmac_secret_is_base64: bool = False
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    signature_header: str = "x-signature"
    signature_prefix: str = ""
    timestamp_header: str = "x-timestamp"
    message_id_header: str = "svix-id"
    include_timestamp: bool = True
    payload_format: str = ""
    """May hold ``{timestamp}``, ``{method}``, ``{url}``, ``{svix-id}``; must hold ``{body}``.

    Left empty it becomes ``{timestamp}.{body}``, or ``{body}`` where no timestamp is sent.
    """
    max_age_s: float = 300.0

    def __post_init__(self) -> None:
        keep_secret(self, "secret", "bearer", "hmac_secret")
        if not self.payload_format:
            usual = "{timestamp}.{body}" if self.include_timestamp else "{body}"
            msgspec.structs.force_setattr(self, "payload_format", usual)
        unknown = set(_PLACEHOLDER.findall(self.payload_format)) - _PLACEHOLDERS
        if unknown or "{body}" not in self.payload_format:
            raise ConfigError(
                "payload_format must hold {body}, may hold {timestamp}, {method}, {url} and {svix-id}, and nothing "
                "else in braces"
            )
        if self.include_timestamp and "{timestamp}" not in self.payload_format:
            raise ConfigError(
                "payload_format has no {timestamp}, so the signature would not cover the time that is checked; add "
                "it, or say that no timestamp is sent"
            )
        if self.algorithm not in ("sha256", "sha512", "sha1") or self.encoding not in ("hex", "base64"):
            raise ConfigError("the webhook's HMAC is sha256, sha512 or sha1, written as hex or base64")
        for name in ("bearer_header", "signature_header", "timestamp_header", "message_id_header"):
            if not _HEADER.fullmatch(getattr(self, name)):
                raise ConfigError(f"{name} must be the name of a header, such as x-signature")
        if self.hmac_secret_is_base64:
            try:
                base64.b64decode(self.hmac_secret.reveal(), validate=True)
            except ValueError:
                raise ConfigError(
                    "the webhook's HMAC secret is not base64, though it is said to be"
                ) from None

    @classmethod
    def any_of(cls, secret: str | Secret) -> WebhookSecrets:
        """Accept *secret* in whichever of the three ways Vapi sends it."""
        return cls(secret=secret, bearer=secret, hmac_secret=secret)

    @property
    def signs_url(self) -> bool:
        """Whether checking needs the URL that Vapi was given."""
        return bool(self.hmac_secret) and "{url}" in self.payload_format

    def needs_body(self, headers: Mapping[str, str]) -> bool:
        """Return whether a webhook with *headers* (lower-case names) can only be judged by its body too."""
        return bool(self.hmac_secret) and self.signature_header.lower() in headers

    def __repr__(self) -> str:
        kinds = ("secret", "bearer", "hmac_secret")
        return f"WebhookSecrets({', '.join(kind for kind in kinds if getattr(self, kind))})"


def check_webhook_secret(
    headers: Mapping[str, str],
    body: bytes,
    secrets: WebhookSecrets,
    now_s: float,
    *,
    method: str = "POST",
    url: str = "",
) -> Refusal | None:
    """Return why a webhook must be refused, or ``None`` if it proves that it comes from Vapi.

    *headers* have lower-case names, *body* is raw, *now_s* is in s since 1970; *url* is the server URL as Vapi
    knows it. Compares in constant time.
    """
    if not (secrets.secret or secrets.bearer or secrets.hmac_secret):
        return Refusal(403, "no webhook secret is configured; set VAPI_WEBHOOK_SECRET")
    if secrets.secret and secrets.secret == headers.get("x-vapi-secret", ""):
        return None
    if secrets.bearer and _bears(headers.get(secrets.bearer_header.lower(), ""), secrets):
        return None
    signature = headers.get(secrets.signature_header.lower(), "")
    if secrets.hmac_secret and signature:
        timestamp = headers.get(secrets.timestamp_header.lower(), "")
        values = {
            "body": body,
            "timestamp": _bytes(timestamp),
            "method": _bytes(method),
            "url": _bytes(url),
            "svix-id": _bytes(headers.get(secrets.message_id_header.lower(), "")),
        }
        return _check_hmac(signature, timestamp, values, secrets, now_s)
    return Refusal(403, "the webhook carries no valid secret")


def _bears(value: str, secrets: WebhookSecrets) -> bool:
    if not secrets.bearer_prefix:
        return secrets.bearer == value.strip()
    prefix = secrets.bearer_prefix.strip()
    scheme, token = value[: len(prefix)], value[len(prefix) :]
    if scheme.lower() != prefix.lower() or not token[:1].isspace():
        return False
    return secrets.bearer == token.strip()


def _check_hmac(
    signature: str, timestamp: str, values: Mapping[str, bytes], secrets: WebhookSecrets, now_s: float
) -> Refusal | None:
    # Text and placeholders take turns; replacing one after the other would also replace inside the body.
    parts = _PLACEHOLDER.split(secrets.payload_format)
    payload = b"".join(values[part] if i % 2 else part.encode() for i, part in enumerate(parts))
    key = (
        base64.b64decode(secrets.hmac_secret.reveal())
        if secrets.hmac_secret_is_base64
        else secrets.hmac_secret.reveal().encode()
    )
    digest = hmac.digest(key, payload, secrets.algorithm)
    # While a key is being replaced a header may hold a signature by each, with spaces between.
    candidates = [signature, *signature.split()][:_MAX_SIGNATURES]
    if not any(hmac.compare_digest(_read_signature(one, secrets), digest) for one in candidates):
        return Refusal(403, "the webhook's signature does not match")
    if not secrets.include_timestamp:
        return None
    made_s = _seconds(timestamp)
    if made_s is None:
        return Refusal(403, "the webhook's timestamp is missing or cannot be read")
    if not abs(now_s - made_s) <= secrets.max_age_s:
        return Refusal(403, "the webhook's timestamp is too old or in the future")
    return None


def _read_signature(text: str, secrets: WebhookSecrets) -> bytes:
    bare = text.strip().removeprefix(secrets.signature_prefix.strip())
    return _decode(bare.strip().removeprefix(f"{secrets.algorithm}="), secrets.encoding)


def _decode(text: str, encoding: str) -> bytes:
    try:
        return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _seconds(text: str) -> float | None:
    """Read a time in s or ms since 1970, or in ISO 8601, as seconds; ``None`` if it is none of these."""
    try:
        number = float(text)
    except ValueError:
        return _iso_seconds(text)
    if not math.isfinite(number):
        return None
    return number / 1000 if abs(number) >= _FIRST_MS else number


def _iso_seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def check_api_key(key: str | Secret, name: str) -> Secret:
    """Return *key*, which *name* is, without the line end that files end with; it may be empty.

    Raises ``ConfigError`` where it cannot stand in a header.
    """
    if not isinstance(key, str | Secret):
        raise ConfigError(f"{name} must be text, not {type(key).__name__}; is its variable set?")
    key = Secret(Secret(key).reveal().strip())
    if not all("!" <= char <= "~" for char in key.reveal()):
        raise ConfigError(f"{name} holds a space, a line break or another character that no key has")
    return key
