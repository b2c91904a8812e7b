"""Path tokens: signed, bound to a call and a worker, expiring, good for one use."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError
from vapimedia.protocols import Refusal
from vapimedia.protocols.token import TokenClaims, TokenLedger, TokenSigner

SECRET = b"0123456789abcdef"
SIGNER = TokenSigner(SECRET)
NOW = 1_790_000_000.0


def opened(token: str, now_s: float = NOW) -> TokenClaims:
    claims = SIGNER.open(token, now_s)
    assert isinstance(claims, TokenClaims)
    return claims


def claims(number: int, expires_s: float = NOW + 60) -> TokenClaims:
    return TokenClaims(number.to_bytes(15), 0, expires_s, b"")


@given(st.text(max_size=40), st.integers(0, 2**24 - 1), st.floats(0.001, 1e6))
def test_what_was_issued_is_what_is_opened(call_id: str, worker: int, ttl_s: float) -> None:
    found = opened(SIGNER.issue(call_id, worker, NOW, ttl_s))
    assert found.worker == worker
    assert abs(found.expires_s - (NOW + ttl_s)) < 0.0011
    assert SIGNER.is_for(found, call_id)
    assert not SIGNER.is_for(found, call_id + "x")


def test_a_token_is_64_characters_that_need_no_escape_in_a_url() -> None:
    assert re.fullmatch("[A-Za-z0-9_-]{64}", SIGNER.issue("CA1", 3, NOW, 60))


def test_no_two_tokens_are_alike() -> None:
    assert SIGNER.issue("CA1", 0, NOW, 60) != SIGNER.issue("CA1", 0, NOW, 60)


def test_any_changed_character_is_refused() -> None:
    token = SIGNER.issue("CA1", 3, NOW, 60)
    for i, char in enumerate(token):
        for other in string.ascii_letters[:8]:
            if other != char:
                assert isinstance(SIGNER.open(token[:i] + other + token[i + 1 :], NOW), Refusal)


def test_a_token_of_another_secret_is_refused() -> None:
    assert isinstance(TokenSigner(b"fedcba9876543210").open(SIGNER.issue("CA1", 0, NOW, 60), NOW), Refusal)


def test_a_token_is_refused_from_its_expiry_on() -> None:
    token = SIGNER.issue("CA1", 0, NOW, 60)
    opened(token, NOW + 59.9)
    for late in (NOW + 60, NOW + 1e9, float("nan")):
        assert SIGNER.open(token, late) == Refusal(403, "the media token has expired")


@given(st.text(max_size=80) | st.text("ABCDwxyz0189-_", min_size=64, max_size=64))
def test_no_text_raises_and_none_is_accepted(token: str) -> None:
    assert isinstance(SIGNER.open(token, NOW), Refusal)


def test_a_refusal_never_quotes_the_token() -> None:
    token = SIGNER.issue("canary", 0, NOW, 60)
    shown = [
        SIGNER.open(token[:-1] + "!", NOW),
        SIGNER.open(token, NOW + 61),
        opened(token),
        SIGNER,
        TokenLedger(),
    ]
    assert token[:8] not in repr(shown)
    assert "canary" not in repr(shown)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        TokenSigner(b"short")


@pytest.mark.parametrize(("worker", "ttl_s"), [(-1, 60), (1 << 24, 60), (0, 0), (0, -5), (0, 1e18)])
def test_what_does_not_fit_into_a_token_is_refused(worker: int, ttl_s: float) -> None:
    with pytest.raises(ConfigError):
        SIGNER.issue("CA1", worker, NOW, ttl_s)


def test_a_token_is_spent_once() -> None:
    ledger = TokenLedger()
    assert ledger.spend(claims(1), NOW) is None
    assert ledger.spend(claims(1), NOW + 59) == Refusal(403, "the media token was used before")


def test_the_ledger_forgets_only_what_has_expired() -> None:
    ledger = TokenLedger()
    ledger.spend(claims(1, NOW + 60), NOW)
    ledger.spend(claims(2, NOW + 10), NOW)
    assert ledger.spend(claims(3), NOW + 11) is None
    assert len(ledger) == 2
    assert ledger.spend(claims(1, NOW + 60), NOW + 11) is not None


def test_an_expired_token_cannot_be_spent() -> None:
    assert TokenLedger().spend(claims(1), NOW + 60) == Refusal(403, "the media token has expired")


def test_a_full_ledger_refuses_rather_than_forgets() -> None:
    ledger = TokenLedger(capacity=2)
    assert [ledger.spend(claims(i), NOW) for i in range(2)] == [None, None]
    refusal = ledger.spend(claims(2), NOW)
    assert refusal is not None
    assert refusal.status == 503
    assert ledger.spend(claims(0), NOW) == Refusal(403, "the media token was used before")
    assert ledger.spend(claims(3, NOW + 90), NOW + 60) is None
