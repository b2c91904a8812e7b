"""Signatures are accepted and refused as by Twilio's own validator; where that one errs, as Twilio signs."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from vapimedia.protocols import UpgradeRequest, WebhookRequest
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings

TOKEN = "12345678901234567890123456789012"
ORIGIN = "https://bridge.example.com"
PATH = "/twilio/voice"
FORM = {
    "CallSid": "CA0001",
    "From": "+14155550100",
    "To": "+14155550199",
    "ForwardedFrom": "",
    "City": "Zürich & co",
}
JUDGE = RequestValidator(TOKEN)


class Fields(dict[str, list[str]]):
    """A form with repeated names, in the shape that the official validator knows from Django."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def dialect(**changes: Any) -> TwilioDialect:
    return TwilioDialect(TwilioSettings(**({"auth_token": TOKEN, "public_url": ORIGIN} | changes)))


def webhook(signature: str | None, *, form: Any = FORM, path: str = PATH, **headers: str) -> WebhookRequest:
    known = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8", "host": "evil.example.com"}
    known |= {name.replace("_", "-"): value for name, value in headers.items()}
    if signature is not None:
        known["x-twilio-signature"] = signature
    return WebhookRequest("POST", path, known, urlencode(form, doseq=True).encode())


def upgrade(signature: str, path: str = "/twilio/media/abc") -> UpgradeRequest:
    return UpgradeRequest(path, {"x-twilio-signature": signature, "host": "evil.example.com"})


class TestWebhook:
    def test_a_webhook_that_twilio_signed_is_accepted(self) -> None:
        assert dialect().check_webhook(webhook(JUDGE.compute_signature(ORIGIN + PATH, FORM))) is None

    def test_the_recorded_webhook_is_accepted(self, twilio_call: list[dict[str, Any]]) -> None:
        entry = twilio_call[0]
        ours = dialect(auth_token="0123456789abcdef0123456789abcdef")
        request = webhook(entry["headers"]["X-Twilio-Signature"], form=entry["form"])
        assert ours.check_webhook(request) is None

    @pytest.mark.parametrize("port", ["", ":443", ":8443"])
    @pytest.mark.parametrize("signed_port", ["", ":443", ":8443"])
    def test_ports_are_judged_as_by_the_official_validator(self, port: str, signed_port: str) -> None:
        signature = JUDGE.compute_signature(ORIGIN + signed_port + PATH, FORM)
        ours = dialect(public_url=ORIGIN + port).check_webhook(webhook(signature)) is None
        assert ours == JUDGE.validate(ORIGIN + port + PATH, FORM, signature)

    @settings(max_examples=60)
    @given(
        st.dictionaries(
            st.text("aAbBzé&=+ ", max_size=3), st.lists(st.text(max_size=4), min_size=1, max_size=3)
        ),
        st.sampled_from(["", "?a=1", "?a=%20&b", "/x%2Fy"]),
    )
    def test_any_form_is_accepted_and_any_change_refused(self, form: dict[str, list[str]], tail: str) -> None:
        form = {
            name: [v.encode("utf-8", "replace").decode() for v in values] for name, values in form.items()
        }
        signature = JUDGE.compute_signature(ORIGIN + PATH + tail, Fields(form))
        assert dialect().check_webhook(webhook(signature, form=form, path=PATH + tail)) is None
        changed = form | {"Injected": ["1"]}
        assert dialect().check_webhook(webhook(signature, form=changed, path=PATH + tail)) is not None

    def test_a_signature_of_another_url_is_refused(self) -> None:
        for url in (ORIGIN + "/twilio/status", "https://evil.example.com" + PATH, "http" + ORIGIN[5:] + PATH):
            refusal = dialect().check_webhook(webhook(JUDGE.compute_signature(url, FORM)))
            assert refusal is not None
            assert refusal.status == 403

    @pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256", "hmac_sha256", "HMAC_MD5"])
    def test_algorithms_are_judged_as_by_the_official_validator(self, algorithm: str) -> None:
        known = algorithm if algorithm != "HMAC_MD5" else "HMAC_SHA1"
        signature = JUDGE.compute_signature(ORIGIN + PATH, FORM, known)
        header = {"x_twilio_webhooks_signature_settings": f"key=k1,algorithm={algorithm}"}
        ours = dialect().check_webhook(webhook(signature, **header)) is None
        assert ours == JUDGE.validate(ORIGIN + PATH, FORM, signature, algorithm)

    def test_a_json_body_is_covered_by_its_hash(self) -> None:
        body = b'{"a":1}'
        path = f"{PATH}?bodySHA256={hashlib.sha256(body).hexdigest()}"
        signature = JUDGE.compute_signature(ORIGIN + path, {})
        headers = {"content-type": "application/json", "x-twilio-signature": signature}
        assert JUDGE.validate(ORIGIN + path, body.decode(), signature)
        assert dialect().check_webhook(WebhookRequest("POST", path, headers, body)) is None
        assert dialect().check_webhook(WebhookRequest("POST", path, headers, body + b" ")) is not None

    def test_a_body_that_no_signature_covers_is_refused(self) -> None:
        headers = {
            "content-type": "text/plain",
            "x-twilio-signature": JUDGE.compute_signature(ORIGIN + PATH, {}),
        }
        assert dialect().check_webhook(WebhookRequest("POST", PATH, headers, b"CallSid=CA1")) is not None

    def test_a_get_is_signed_by_its_url(self) -> None:
        path = f"{PATH}?CallSid=CA1&From=%2B14155550100"
        headers = {"x-twilio-signature": JUDGE.compute_signature(ORIGIN + path, {})}
        assert dialect().check_webhook(WebhookRequest("GET", path, headers, b"")) is None

    def test_a_missing_signature_is_refused(self) -> None:
        refusal = dialect().check_webhook(webhook(None))
        assert refusal is not None
        assert "no X-Twilio-Signature" in refusal.reason

    @pytest.mark.parametrize("missing", ["auth_token", "public_url"])
    def test_without_a_key_or_a_public_url_everything_is_refused(self, missing: str) -> None:
        url = PATH if missing == "public_url" else ORIGIN + PATH
        signature = RequestValidator("" if missing == "auth_token" else TOKEN).compute_signature(url, FORM)
        refusal = dialect(**{missing: ""}).check_webhook(webhook(signature))
        assert refusal is not None
        assert (refusal.status, "configured" in refusal.reason) == (403, True)

    def test_without_auth_everything_is_accepted(self) -> None:
        assert dialect(auth=False).check_webhook(webhook(None)) is None

    def test_a_form_of_too_many_fields_is_refused(self) -> None:
        form = {f"f{i}": "1" for i in range(1001)}
        refusal = dialect().check_webhook(webhook("x", form=form))
        assert refusal is not None
        assert refusal.status == 400

    @given(st.binary(max_size=60), st.text(max_size=20), st.text(max_size=20))
    def test_no_request_raises(self, body: bytes, path: str, signature: str) -> None:
        for content_type in ("application/x-www-form-urlencoded", "application/json"):
            headers = {"content-type": content_type, "x-twilio-signature": signature}
            assert dialect().check_webhook(WebhookRequest("POST", path, headers, body)) is not None
        assert dialect().check_upgrade(UpgradeRequest(path, {"x-twilio-signature": signature})) is not None

    def test_lone_surrogates_are_refused_not_raised(self) -> None:
        assert dialect().check_webhook(webhook("\ud800", path="/\udcff")) is not None


class TestUpgrade:
    URL = "wss://bridge.example.com/twilio/media/abc"

    @pytest.mark.parametrize("public_url", [ORIGIN, ORIGIN + "/", ORIGIN + ":443"])
    @pytest.mark.parametrize(
        "signed", [URL, URL + "/", URL.replace(".com", ".com:443"), URL.replace(".com", ".com:443") + "/"]
    )
    def test_the_wss_url_is_accepted_with_slash_and_port(self, public_url: str, signed: str) -> None:
        signature = JUDGE.compute_signature(signed, {})
        assert dialect(public_url=public_url).check_upgrade(upgrade(signature)) is None

    @pytest.mark.parametrize(
        "signed",
        [
            "https" + URL[3:],
            "ws" + URL[3:],
            URL.replace("abc", "abd"),
            URL.replace("bridge", "evil"),
            URL + "//",
            URL.replace(".com", ".com:80"),
        ],
    )
    def test_any_other_url_is_refused(self, signed: str) -> None:
        refusal = dialect().check_upgrade(upgrade(JUDGE.compute_signature(signed, {})))
        assert refusal is not None
        assert refusal.status == 403

    def test_what_the_official_validator_accepts_is_accepted(self) -> None:
        signature = JUDGE.compute_signature(self.URL, {})
        assert JUDGE.validate(self.URL, {}, signature)
        assert dialect().check_upgrade(upgrade(signature)) is None

    def test_the_recorded_upgrade_is_accepted(self, twilio_call: list[dict[str, Any]]) -> None:
        [entry] = [entry for entry in twilio_call if entry["kind"] == "ws-open"]
        ours = dialect(auth_token="0123456789abcdef0123456789abcdef")
        signature = entry["headers"]["x-twilio-signature"]
        assert ours.check_upgrade(upgrade(signature, "/twilio")) is None
        assert ours.check_upgrade(upgrade(signature, "/other")) is not None

    def test_a_path_before_the_routes_is_part_of_the_signed_url(self) -> None:
        signature = JUDGE.compute_signature("wss://bridge.example.com/voice/twilio/media/abc", {})
        assert dialect(public_url=ORIGIN + "/voice").check_upgrade(upgrade(signature)) is None

    def test_without_auth_every_upgrade_is_accepted(self) -> None:
        assert dialect(auth=False).check_upgrade(UpgradeRequest("/twilio/media", {})) is None
