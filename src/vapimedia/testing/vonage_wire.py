"""Vonage's side of the wire, written from its documentation: tokens, keys, a judge of messages."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["bill", "compact", "judge_message", "make_application_key", "public_key_of", "sign", "timestamp"]


def sign(signature_secret: str, *, api_key: str, application_id: str, body: bytes = b"") -> str:
    """Return the JWT of a signed webhook or upgrade: HS256, with the SHA-256 of *body* where there is one."""
    claims: dict[str, Any] = {
        "iss": "Vonage",
        "iat": int(time.time()),
        "jti": str(uuid.uuid4()),
        "api_key": api_key,
        "application_id": application_id,
    }
    if body:
        claims["payload_hash"] = hashlib.sha256(body).hexdigest()
    return jwt.encode(claims, signature_secret, algorithm="HS256")


def make_application_key() -> tuple[str, str]:
    """Return a new RSA key pair as PEM texts, private (PKCS 8) and public, as an application has one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), public_key_of(private.decode())


def public_key_of(private_key: str) -> str:
    """Return the public half of a private key in PEM. Raises ``ValueError`` for what is none."""
    key = serialization.load_pem_private_key(private_key.encode(), None).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def judge_message(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return a text message when Vonage would act on it, and what is wrong with it.

    There are two: ``{"action":"clear"}`` and ``{"action":"notify","payload":{...}}``. Only the documented keys
    may be there.
    """
    try:
        message = json.loads(text)
    except ValueError:
        return None, "message: not JSON"
    if not isinstance(message, dict):
        return None, "message: not a JSON object"
    action = message.get("action")
    wanted = {"clear": {"action"}, "notify": {"action", "payload"}}.get(str(action))
    if wanted is None:
        return None, f"message: unknown action {action!r}"
    if set(message) != wanted:
        return None, f"message {action}: keys {sorted(message)}, documented are {sorted(wanted)}"
    if action == "notify" and not isinstance(message["payload"], dict):
        return None, "message notify: the payload is not an object"
    return message, None


def bill(begun: datetime, ended: datetime) -> dict[str, Any]:
    """Return what an event says of a leg that is over."""
    return {
        "duration": str(round((ended - begun).total_seconds())),
        "network": None,
        "rate": "0.00450000",
        "price": "0.00015000",
        "start_time": timestamp(begun),
        "end_time": timestamp(ended),
    }


def timestamp(when: datetime) -> str:
    """Return a time in UTC as events write it: ``2020-03-31T12:00:00.000Z``."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(message: dict[str, Any]) -> str:
    """Return *message* as JSON without a space."""
    return json.dumps(message, separators=(",", ":"))
