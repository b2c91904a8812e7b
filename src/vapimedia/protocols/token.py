"""The one-time signed token in the path of a media socket.

A token is 48 bytes, 64 characters of URL-safe base64 without padding::

    worker 3 | expiry 6 (ms since 1970) | call tag 8 | jti 15 | MAC 16      big-endian

The call tag and the MAC are truncated HMAC-SHA256 under keys derived from one secret. The call id itself is
not in it. Unused, a token is a secret: whoever has it may speak for the call.
"""

from __future__ import annotations

import base64
import hmac
import math
import re
import secrets
from collections.abc import Callable

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.seen import SeenOnce, refusal_of

__all__ = ["TokenClaims", "TokenLedger", "TokenSigner"]

_WORKER, _EXPIRY, _TAG, _JTI, _MAC = 3, 6, 8, 15, 16
_TEXT = re.compile("[A-Za-z0-9_-]{64}")
_MIN_SECRET = 16


class TokenClaims(msgspec.Struct, frozen=True):
    """What a valid token says. ``jti`` names the token; ``call_tag`` is checked by ``TokenSigner.is_for``."""

    jti: bytes
    worker: int
    expires_s: float
    call_tag: bytes

    def __repr__(self) -> str:
        return f"TokenClaims(worker={self.worker})"


class TokenSigner:
    """Makes and opens tokens under one *secret*. Every worker and the supervisor hold the same one.

    *random_bytes* replaces the system's generator in tests.
    """

    def __init__(self, secret: bytes, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(secret) < _MIN_SECRET:
            raise ConfigError(f"the token secret has {len(secret)} bytes; it needs at least {_MIN_SECRET}")
        self._mac_key = hmac.digest(secret, b"vapimedia media token: mac", "sha256")
        self._tag_key = hmac.digest(secret, b"vapimedia media token: call", "sha256")
        self._random_bytes = random_bytes

    def issue(self, call_id: str, worker: int, now_s: float, ttl_s: float) -> str:
        """Return a new token for *call_id*, good until *now_s* + *ttl_s* (s since 1970)."""
        if not 0 <= worker < 1 << 8 * _WORKER:
            raise ConfigError(f"worker {worker} does not fit into a token")
        expires_ms = (now_s + ttl_s) * 1000
        if ttl_s <= 0 or not 0 <= expires_ms < 1 << 8 * _EXPIRY:
            raise ConfigError(f"a token cannot live for {ttl_s} s; its life must be positive and finite")
        claims = worker.to_bytes(_WORKER) + math.ceil(expires_ms).to_bytes(_EXPIRY)
        claims += self._call_tag(call_id) + self._random_bytes(_JTI)
        return base64.urlsafe_b64encode(claims + self._mac(claims)).decode()

    def open(self, token: str, now_s: float) -> TokenClaims | Refusal:
        """Return what *token* says, or why it is refused: not one of ours, or expired. Never raises.

        Whether it was used before is the ledger's to say.
        """
        if not _TEXT.fullmatch(token):
            return Refusal(403, "the path holds no media token")
        wire = base64.urlsafe_b64decode(token)
        claims, mac = wire[:-_MAC], wire[-_MAC:]
        if not hmac.compare_digest(self._mac(claims), mac):
            return Refusal(403, "the media token was not made here")
        expiry = _WORKER + _EXPIRY
        expires_s = int.from_bytes(claims[_WORKER:expiry]) / 1000
        if not now_s < expires_s:
            return Refusal(403, "the media token has expired")
        call_tag, jti = claims[expiry : expiry + _TAG], claims[expiry + _TAG :]
        return TokenClaims(jti, int.from_bytes(claims[:_WORKER]), expires_s, call_tag)

    def is_for(self, claims: TokenClaims, call_id: str) -> bool:
        """Whether the token was issued for *call_id*: checked when ``start`` names the call."""
        return hmac.compare_digest(claims.call_tag, self._call_tag(call_id))

    def _mac(self, claims: bytes) -> bytes:
        return hmac.digest(self._mac_key, claims, "sha256")[:_MAC]

    def _call_tag(self, call_id: str) -> bytes:
        return hmac.digest(self._tag_key, call_id.encode("utf-8", "surrogatepass"), "sha256")[:_TAG]


class TokenLedger:
    """Remembers which tokens were used, until they expire anyway. One ledger serves all workers.

    At most *capacity* are remembered; beyond that tokens are refused, lest a forgotten one be reused.
    """

    def __init__(self, *, capacity: int = 65_536) -> None:
        self._seen = SeenOnce(capacity=capacity)

    def __len__(self) -> int:
        return len(self._seen)

    def spend(self, claims: TokenClaims, now_s: float) -> Refusal | None:
        """Use a token up: return ``None`` the first time, and why it is refused after that. Also revokes."""
        if not now_s < claims.expires_s:
            return Refusal(403, "the media token has expired")
        return refusal_of(self._seen.spend(claims.jti, claims.expires_s, now_s), "media token")
