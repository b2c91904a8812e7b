"""Tokens: what we accept Vonage's own check accepts too; and what that lets through, we refuse."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vonage_jwt import JwtClient
from vonage_jwt.errors import VonageVerifyJwtError
from vonage_jwt.verify_jwt import verify_signature

from vapimedia.errors import ConfigError
from vapimedia.protocols import Refusal, UpgradeRequest, WebhookRequest
from vapimedia.protocols.seen import SeenOnce
from vapimedia.protocols.vonage import VonageDialect, VonageSettings
from vapimedia.protocols.vonage_jwt import load_private_key, signer

SECRET = "a-signature-secret-of-forty-two-characters"
# Long ago: the official check goes by the machine's clock and takes no token from the future.
NOW = 1_700_000_000
BODY = b'{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}'
HASH = hashlib.sha256(BODY).hexdigest()
GOOD: dict[str, Any] = {
    "iat": NOW,
    "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
    "iss": "Vonage",
    "api_key": "abcd1234",
    "application_id": "app-1",
    "payload_hash": HASH,
}


def token(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


def webhook(
    text: str | None,
    *,
    body: bytes = BODY,
    now_s: float = NOW,
    method: str = "POST",
    path: str = "/vonage/answer",
) -> WebhookRequest:
    headers = {} if text is None else {"authorization": f"Bearer {text}"}
    return WebhookRequest(method, path, headers, body, received_s=now_s)


def upgrade(text: str, now_s: float = NOW) -> UpgradeRequest:
    return UpgradeRequest("/vonage/media/t", {"authorization": f"Bearer {text}"}, received_s=now_s)


def dialect(seen: SeenOnce | None = None, **changes: Any) -> VonageDialect:
    known = {"api_key": "abcd1234", "application_id": "app-1", "signature_secret": SECRET}
    return VonageDialect(VonageSettings(**(known | changes)), seen=seen)


def refused(refusal: Refusal | None) -> int:
    assert refusal is not None
    return refusal.status


def judge(text: str) -> bool:
    try:
        return verify_signature(text, SECRET)
    except VonageVerifyJwtError:
        return False


class TestAccepted:
    def test_a_token_of_vonages_is_accepted_as_by_its_own_library(self) -> None:
        assert judge(token())
        assert dialect().check_webhook(webhook(token())) is None

    def test_an_upgrade_needs_no_hash(self) -> None:
        assert dialect().check_upgrade(upgrade(token(payload_hash=None))) is None

    def test_a_webhook_without_a_body_needs_no_hash(self) -> None:
        assert dialect().check_webhook(webhook(token(payload_hash=None), body=b"", method="GET")) is None

    @pytest.mark.parametrize("signed", [b"", b'{"uuid":"u-1","to":"a/b \xc3\xa9","x":""}'])
    def test_without_a_body_the_hash_is_of_nothing_or_of_the_query(self, signed: bytes) -> None:
        text = token(payload_hash=hashlib.sha256(signed).hexdigest())
        request = webhook(text, body=b"", method="GET", path="/vonage/event?uuid=u-1&to=a%2Fb+%C3%A9&x=")
        assert dialect().check_webhook(request) is None

    @pytest.mark.parametrize("signed", [b"", b"{}"])
    def test_the_hash_of_an_upgrade_is_of_nothing(self, signed: bytes) -> None:
        assert (
            dialect().check_upgrade(upgrade(token(payload_hash=hashlib.sha256(signed).hexdigest()))) is None
        )

    def test_a_status_webhook_may_come_by_get(self) -> None:
        assert VonageDialect.routes.status_methods == ("GET", "POST")
        request = webhook(
            token(payload_hash=None), body=b"", method="GET", path="/vonage/event?uuid=u-1&status=busy"
        )
        ours = dialect()
        assert ours.check_webhook(request) is None
        assert ours.read_status_webhook(request).call_id == "u-1"

    def test_a_hash_may_be_in_capitals(self) -> None:
        assert dialect().check_webhook(webhook(token(payload_hash=HASH.upper()))) is None

    @pytest.mark.parametrize("name", ["api_key", "application_id"])
    def test_what_we_do_not_know_of_ourselves_is_not_compared(self, name: str) -> None:
        assert dialect(**{name: ""}).check_webhook(webhook(token(**{name: "other"}))) is None

    def test_a_token_need_not_name_the_application(self) -> None:
        assert dialect().check_webhook(webhook(token(application_id=None))) is None

    @pytest.mark.parametrize("off_s", [-300, -1, 0, 1, 300])
    def test_clocks_may_differ_by_five_minutes(self, off_s: int) -> None:
        assert dialect().check_webhook(webhook(token(), now_s=NOW + off_s)) is None

    def test_the_scheme_may_be_written_in_any_case(self) -> None:
        request = WebhookRequest("POST", "/", {"authorization": f"bearer  {token()}"}, BODY, received_s=NOW)
        assert dialect().check_webhook(request) is None

    def test_one_token_serves_a_webhook_and_an_upgrade(self) -> None:
        seen = SeenOnce()
        text = token(payload_hash=None)
        assert dialect(seen).check_webhook(webhook(text, body=b"", method="GET")) is None
        assert dialect(seen).check_upgrade(upgrade(text)) is None

    def test_without_auth_nothing_is_checked(self) -> None:
        ours = dialect(auth=False, signature_secret="")
        assert ours.check_webhook(webhook(None)) is None
        assert ours.check_upgrade(UpgradeRequest("/", {})) is None


class TestRefusedThoughSignedWell:
    """Vonage's own check accepts each of these."""

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"iat": NOW - 301}, 401),
            ({"iat": NOW + 301}, 401),
            ({"iss": "Mallory"}, 401),
            ({"iss": None}, 401),
            ({"jti": None}, 401),
            ({"jti": ""}, 401),
            ({"iat": None}, 401),
            ({"api_key": "other"}, 403),
            ({"api_key": None}, 403),
            ({"application_id": "other"}, 403),
            ({"payload_hash": "0" * 64}, 403),
            ({"payload_hash": None}, 403),
        ],
    )
    def test_a_token_for_another_time_issuer_account_or_body(
        self, changes: dict[str, Any], status: int
    ) -> None:
        assert judge(token(**changes))
        seen = SeenOnce()
        assert refused(dialect(seen).check_webhook(webhook(token(**changes)))) == status
        assert len(seen) == 0

    @pytest.mark.parametrize("query", ["", "?uuid=u-1", "?" + "&".join(f"a{i}" for i in range(2000))])
    def test_a_token_for_one_post_passes_neither_as_a_get_nor_as_an_upgrade(self, query: str) -> None:
        seen = SeenOnce()
        assert judge(token())
        bare = webhook(token(), body=b"", method="GET", path=f"/vonage/event{query}")
        assert refused(dialect(seen).check_webhook(bare)) == 403
        assert refused(dialect(seen).check_upgrade(upgrade(token()))) == 403
        assert dialect(seen).check_webhook(webhook(token())) is None

    def test_a_token_for_another_query(self) -> None:
        text = token(payload_hash=hashlib.sha256(b'{"uuid":"u-1"}').hexdigest())
        request = webhook(text, body=b"", method="GET", path="/vonage/event?uuid=u-2")
        assert refused(dialect().check_webhook(request)) == 403

    @pytest.mark.parametrize("signed", [b"", b'{"uuid":"u-1"}'])
    def test_a_token_without_a_body_for_a_request_with_one(self, signed: bytes) -> None:
        text = token(payload_hash=hashlib.sha256(signed).hexdigest())
        request = webhook(text, path="/vonage/event?uuid=u-1")
        assert refused(dialect().check_webhook(request)) == 403

    def test_a_token_that_was_used(self) -> None:
        seen = SeenOnce()
        assert dialect(seen).check_webhook(webhook(token())) is None
        assert judge(token())
        assert refused(dialect(seen).check_webhook(webhook(token()))) == 403
        # The id is what counts, not the token around it.
        assert refused(dialect(seen).check_webhook(webhook(token(iat=NOW + 1)))) == 403

    def test_a_used_token_stays_used_for_as_long_as_it_would_be_good(self) -> None:
        seen = SeenOnce()
        early, late = dialect(seen), dialect(seen)
        assert early.check_webhook(webhook(token(), now_s=NOW - 300)) is None
        assert refused(late.check_webhook(webhook(token(), now_s=NOW + 300))) == 403

    def test_a_wrong_request_does_not_use_up_the_right_one(self) -> None:
        seen = SeenOnce()
        assert refused(dialect(seen).check_webhook(webhook(token(), body=b"{}"))) == 403
        assert dialect(seen).check_webhook(webhook(token())) is None

    def test_when_too_many_are_remembered_none_is_taken(self) -> None:
        seen = SeenOnce(capacity=1)
        assert dialect(seen).check_webhook(webhook(token())) is None
        assert refused(dialect(seen).check_webhook(webhook(token(jti="another")))) == 503


class TestRefusedByBoth:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a",
            "a.b",
            "a.b.c",
            "a.b.c.d",
            "....",
            token() + "x",
            token()[:-2],
            token("another-secret-of-more-than-32-characters"),
            token(algorithm="HS512", secret=SECRET * 2),
            token(exp=NOW),
            token(aud="somebody"),
            token(iat="soon"),
            token(jti=5),
            jwt.encode(GOOD, "", algorithm="none"),
            jwt.encode(GOOD, SECRET, algorithm="HS256", headers={"crit": ["b64"], "b64": False}),
        ],
    )
    def test_a_token_that_is_not_signed_so_or_says_what_it_must_not(self, text: str) -> None:
        assert not judge(text)
        assert refused(dialect().check_webhook(webhook(text))) == 401

    def test_a_token_that_is_not_valid_yet(self) -> None:
        text = token(nbf=NOW + 10)
        assert refused(dialect().check_webhook(webhook(text))) == 401
        assert dialect().check_webhook(webhook(text, now_s=NOW + 10)) is None

    def test_an_rs256_token_is_refused_whatever_its_key(self, rsa_pem: str) -> None:
        text = jwt.encode(GOOD, rsa_pem, algorithm="RS256")
        assert not judge(text)
        assert refused(dialect().check_webhook(webhook(text))) == 401
        # Nor does a public key serve as a secret that everybody knows.
        public = load_private_key(rsa_pem).public_key()
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        assert refused(dialect(signature_secret=pem).check_webhook(webhook(text))) == 401

    @pytest.mark.parametrize(
        "header", ["", "Basic YTpi", "Bearer", "Bearer ", token(), f"Bearer {token()} x"]
    )
    def test_a_header_without_one_bearer_token(self, header: str) -> None:
        request = WebhookRequest("POST", "/", {"authorization": header}, BODY, received_s=NOW)
        assert refused(dialect().check_webhook(request)) == 401

    def test_no_header_at_all(self) -> None:
        assert refused(dialect().check_webhook(webhook(None))) == 401

    def test_without_a_secret_nothing_passes(self) -> None:
        refusal = dialect(signature_secret="").check_webhook(webhook(token()))
        assert refusal is not None
        assert refusal.status == 401
        assert "VONAGE_SIGNATURE_SECRET" in refusal.reason

    @settings(max_examples=200)
    @given(st.data())
    def test_whatever_is_changed_in_a_token_we_accept_no_more_than_the_official_check(
        self, data: st.DataObject
    ) -> None:
        text = list(token())
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(text) - 1))
            text[at] = data.draw(st.sampled_from("ABCxyz019-_.= \x00é"))
        changed = "".join(text)
        accepted = dialect().check_webhook(webhook(changed)) is None
        assert judge(changed) or not accepted
        if changed != token() and accepted:
            # Only bits that base64 does not use may differ.
            assert changed[:-1] == token()[:-1]

    @given(st.text(max_size=60))
    def test_no_header_raises_and_none_is_quoted(self, text: str) -> None:
        request = WebhookRequest("POST", "/", {"authorization": text}, BODY, received_s=NOW)
        refusal = dialect().check_webhook(request)
        assert refusal is not None
        assert len(text) < 8 or text not in refusal.reason


class TestSigner:
    def test_a_request_is_signed_as_by_the_official_client(self, rsa_pem: str) -> None:
        public = load_private_key(rsa_pem).public_key()
        theirs = JwtClient("app-1", rsa_pem).generate_application_jwt().decode()
        wanted = jwt.decode(theirs, public, algorithms=["RS256"])
        ours = signer("app-1", rsa_pem)(wanted["iat"] + 0.9)["Authorization"].reveal().removeprefix("Bearer ")
        told = jwt.decode(ours, public, algorithms=["RS256"])
        assert told | {"jti": ""} == wanted | {"jti": ""}
        assert jwt.get_unverified_header(ours) == jwt.get_unverified_header(theirs)
        assert told["exp"] - told["iat"] == 900

    def test_every_request_has_an_id_of_its_own(self, rsa_pem: str) -> None:
        sign = signer("app-1", rsa_pem)
        assert sign(NOW) != sign(NOW)

    @pytest.mark.parametrize(
        "pem", ["x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "é\ud800"]
    )
    def test_a_key_that_is_none_is_refused_when_the_dialect_is_made(self, pem: str) -> None:
        with pytest.raises(ConfigError, match="VONAGE_PRIVATE_KEY") as caught:
            dialect(private_key=pem)
        assert pem not in str(caught.value)

    @pytest.mark.parametrize("kind", ["ec", "small", "encrypted", "public"])
    def test_a_key_of_another_kind_is_refused(self, kind: str, rsa_pem: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            NoEncryption,
            PrivateFormat,
            PublicFormat,
        )

        good = load_private_key(rsa_pem)
        as_pem = (Encoding.PEM, PrivateFormat.PKCS8)
        pem = {
            "ec": lambda: ec.generate_private_key(ec.SECP256R1()).private_bytes(*as_pem, NoEncryption()),
            "small": lambda: rsa.generate_private_key(65537, 1024).private_bytes(*as_pem, NoEncryption()),
            "encrypted": lambda: good.private_bytes(*as_pem, BestAvailableEncryption(b"password")),
            "public": lambda: good.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        }[kind]()
        with pytest.raises(ConfigError, match="VONAGE_PRIVATE_KEY"):
            dialect(private_key=pem.decode())

    def test_the_key_is_parsed_once(self, rsa_pem: str) -> None:
        assert load_private_key(rsa_pem) is load_private_key(rsa_pem)

    def test_without_pyjwt_a_key_is_refused_with_what_to_install(
        self, rsa_pem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_private_key.cache_clear()
        monkeypatch.setitem(sys.modules, "jwt", None)
        with pytest.raises(ConfigError, match=r"pip install 'vapimedia\[bridge\]'"):
            dialect(private_key=rsa_pem)
        # Who signs nothing needs none of it.
        assert dialect().check_webhook(webhook(None)) is not None
