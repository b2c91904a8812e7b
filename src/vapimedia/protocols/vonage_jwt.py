"""Vonage's tokens: HS256 on everything that it sends us, RS256 on everything that we ask of its API.

Source: Vonage's pages on signed webhooks (what is hashed of a GET: its support pages) and on authentication by JWT;
RFC 7515, RFC 7519. Time comes from outside: with the request, or at the moment of sending.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.dialect import Refusal, UpgradeRequest, WebhookRequest
from vapimedia.protocols.seen import OnceLedger, refusal_of
from vapimedia.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["MAX_AGE_S", "TokenCheck", "load_private_key", "signer"]

MAX_AGE_S = 300
"""How far a token's ``iat`` may lie from our clock, to either side."""

_ISSUER = "Vonage"
_BEARER = re.compile(r"bearer +([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.IGNORECASE)
# What Vonage's own libraries give a token for its API.
_LIFE_S = 900
_MAX_QUERY_FIELDS = 1000
# RFC 7518 s. 3.3.
_MIN_KEY_BITS = 2048


class _Head(msgspec.Struct):
    alg: str
    crit: Any = None


class _Claims(msgspec.Struct):
    iat: float
    jti: str
    iss: str = ""
    api_key: str = ""
    application_id: str = ""
    payload_hash: str = ""
    exp: float | None = None
    nbf: float | None = None
    aud: Any = None


class TokenCheck:
    """Judges the tokens in requests from Vonage. *seen* is shared by all checks of a bridge.

    The signature proves the rest of a token. What is not in its ``payload_hash`` it does not prove: without one, a
    request that has no body is as good as its token alone.
    """

    def __init__(self, secret: Secret, *, api_key: str, application_id: str, seen: OnceLedger) -> None:
        self._secret = secret
        self._api_key = api_key
        self._application_id = application_id
        self._seen = seen

    def check(
        self,
        kind: Literal["webhook", "upgrade"],
        request: WebhookRequest | UpgradeRequest,
        body: bytes = b"",
    ) -> Refusal | None:
        """Return why a request must be refused, or ``None`` and use its token up.

        A token is good once for each *kind*. 401: no token of Vonage's, or none for this moment; 403: one that was
        used, or made for somebody or something else; 503: too many are remembered.
        """
        claims = self._open(request.headers.get("authorization", ""))
        if isinstance(claims, Refusal):
            return claims
        return (
            _check_time(claims, request.received_s)
            or self._check_owner(claims)
            or _check_payload(claims, request.path, body)
            or self._spend(kind, claims, request.received_s)
        )

    def _open(self, header: str) -> _Claims | Refusal:
        """Return what a token says that was signed with our secret. No text quotes it."""
        if not self._secret:
            return Refusal(401, "VONAGE_SIGNATURE_SECRET is not set, so no token can be checked")
        found = _BEARER.fullmatch(header)
        if found is None:
            return Refusal(401, "the request carries no bearer token")
        head, payload, mac = found.groups()
        try:
            read = msgspec.json.decode(_decoded(head), type=_Head)
            sent = _decoded(mac)
        except (*BROKEN, ValueError):
            return Refusal(401, "the token is no JWT")
        # The token has no say in how it is checked (RFC 8725 s. 3.1).
        if read.alg != "HS256" or read.crit is not None:
            return Refusal(401, "the token is signed in another way than HS256")
        digest = hmac.digest(_bytes(self._secret.reveal()), f"{head}.{payload}".encode(), "sha256")
        if not hmac.compare_digest(digest, sent):
            return Refusal(401, "the token is not signed with VONAGE_SIGNATURE_SECRET")
        try:
            claims = msgspec.json.decode(_decoded(payload), type=_Claims)
        except (*BROKEN, ValueError):
            return Refusal(401, "the token lacks iat or jti, or holds a claim of a wrong type")
        if not claims.jti:
            return Refusal(401, "the token's jti is empty")
        if claims.iss != _ISSUER or claims.aud is not None:
            return Refusal(401, f"the token is not one from {_ISSUER} to us")
        return claims

    def _check_owner(self, claims: _Claims) -> Refusal | None:
        if self._api_key and not _same(claims.api_key, self._api_key):
            return Refusal(403, "the token is for another account than VONAGE_API_KEY")
        ours, theirs = self._application_id, claims.application_id
        if ours and theirs and not _same(ours, theirs):
            return Refusal(403, "the token is for another application than VONAGE_APPLICATION_ID")
        return None

    def _spend(self, kind: str, claims: _Claims, received_s: float) -> Refusal | None:
        # Hashed, so that what is remembered of each has one size.
        name = hashlib.sha256(f"{kind} {claims.jti}".encode("utf-8", "surrogatepass")).digest()
        # At exactly MAX_AGE_S a token is still good, so it is remembered a little longer.
        return refusal_of(self._seen.spend(name, claims.iat + MAX_AGE_S + 1, received_s), "token")


def signer(application_id: str, private_key: str | Secret) -> Callable[[float], dict[str, Secret]]:
    """Return what signs a request to the API, for the moment of sending. Raises ``ConfigError`` for a bad key.

    *private_key* is RSA in PEM.
    """
    key = load_private_key(private_key)

    def sign(now_s: float) -> dict[str, Secret]:
        import jwt  # noqa: PLC0415  part of the bridge extra

        iat = int(now_s)
        claims = {
            "application_id": application_id,
            "iat": iat,
            "jti": str(uuid4()),
            "exp": iat + _LIFE_S,
        }
        return {"Authorization": Secret(f"Bearer {jwt.encode(claims, key, algorithm='RS256')}")}

    return sign


@lru_cache(maxsize=8)
def load_private_key(pem: str | Secret) -> RSAPrivateKey:
    """Return the key in *pem*, parsed once. Raises ``ConfigError`` if it is no RSA key, or cannot be used here."""
    try:
        import jwt  # noqa: F401, PLC0415  part of the bridge extra
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "VONAGE_PRIVATE_KEY signs with PyJWT and cryptography, which are not installed; "
            "run: pip install 'vapimedia[bridge]'"
        ) from None
    try:
        key = load_pem_private_key(_bytes(Secret(pem).reveal()), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_KEY_BITS:
        raise ConfigError(
            "VONAGE_PRIVATE_KEY is not the application's key: it must be RSA of 2048 bits or more in PEM, with its "
            "line breaks and without a password"
        )
    return key


def _check_time(claims: _Claims, received_s: float) -> Refusal | None:
    # Written so that no comparison with NaN passes.
    if not abs(received_s - claims.iat) <= MAX_AGE_S:
        return Refusal(401, f"the token was not made within {MAX_AGE_S} s of now; is the clock right?")
    if claims.exp is not None and not received_s < claims.exp:
        return Refusal(401, "the token has expired")
    if claims.nbf is not None and not received_s >= claims.nbf:
        return Refusal(401, "the token is not valid yet")
    return None


def _check_payload(claims: _Claims, path: str, body: bytes) -> Refusal | None:
    told = claims.payload_hash.lower()
    if not (told or body):
        return None
    # Where there is no body it is the hash of nothing, or of the query: a token made for a POST must not pass.
    payloads = [body] if body else [b"", _query_as_json(path)]
    if not any(_same(told, hashlib.sha256(payload).hexdigest()) for payload in payloads):
        return Refusal(403, "the body, or the query, is not the one that the token was made for")
    return None


def _query_as_json(path: str) -> bytes:
    """Return a query as Vonage hashes it: a JSON object of text, without blanks; nothing for too long a one."""
    try:
        fields = parse_qsl(path.partition("?")[2], keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        return b""
    return msgspec.json.encode(dict(fields))


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(_bytes(one), _bytes(other))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
