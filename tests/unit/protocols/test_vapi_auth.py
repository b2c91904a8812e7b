"""Webhooks in every form of Vapi's credentials: what was signed is let in, what was not is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.errors import ConfigError
from vapimedia.io.config import BridgeConfig
from vapimedia.protocols.vapi import WebhookSecrets, check_webhook_secret
from vapimedia.testing.vapi_auth import HmacAuth

NOW, STAMP = 1_790_000_000.0, "1790000000"
URL = "https://bridge.example.com/vapi/webhook"
BODY = b'{"message":{"type":"hang","text":"{timestamp}"}}'

FORMATS = (
    "{timestamp}.{body}",
    "{svix-id}.{timestamp}.{body}",
    "{method}\n{url}\n{timestamp}\n{body}",
    "{body}{timestamp}",
)


def filled(template: str, body: bytes, stamp: str, url: str = URL) -> bytes:
    """What Vapi signs, written down in another way than the code does."""
    pieces = {
        "{timestamp}": stamp.encode(),
        "{method}": b"POST",
        "{url}": url.encode(),
        "{svix-id}": b"msg_1",
    }
    before, after = template.split("{body}")

    def fill(text: str) -> bytes:
        for name, value in pieces.items():
            text = text.replace(name, value.decode())
        return text.encode()

    return fill(before) + body + fill(after)


def headers_for(
    secrets: WebhookSecrets, key: bytes, body: bytes = BODY, stamp: str = STAMP
) -> dict[str, str]:
    payload = filled(secrets.payload_format, body, stamp)
    digest = hmac.new(key, payload, getattr(hashlib, secrets.algorithm)).digest()
    text = digest.hex() if secrets.encoding == "hex" else base64.b64encode(digest).decode()
    return {
        secrets.signature_header.lower(): secrets.signature_prefix + text,
        secrets.timestamp_header.lower(): stamp,
        secrets.message_id_header.lower(): "msg_1",
    }


def check(headers: dict[str, str], secrets: WebhookSecrets, body: bytes = BODY, **request: str) -> bool:
    return check_webhook_secret(headers, body, secrets, NOW, **({"url": URL} | request)) is None


@settings(max_examples=40)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(["sha256", "sha512", "sha1"]),
    st.sampled_from(["hex", "base64"]),
    st.sampled_from(["", "sha256=", "v1,"]),
    st.binary(max_size=200),
    st.binary(min_size=1, max_size=40),
    st.booleans(),
)
def test_what_was_signed_is_let_in_and_nothing_else(
    template: str, algorithm: Any, encoding: Any, prefix: str, body: bytes, key: bytes, in_base64: bool
) -> None:
    secret = base64.b64encode(key).decode() if in_base64 else key.hex()
    secrets = WebhookSecrets(
        hmac_secret=secret,
        hmac_secret_is_base64=in_base64,
        algorithm=algorithm,
        encoding=encoding,
        signature_prefix=prefix,
        signature_header="X-My-Signature",
        timestamp_header="X-My-Time",
        message_id_header="X-My-Id",
        payload_format=template,
    )
    own_key = key if in_base64 else secret.encode()
    headers = headers_for(secrets, own_key, body)
    assert check(headers, secrets, body)
    assert not check(headers, secrets, body + b" ")
    assert not check(headers_for(secrets, own_key + b"x", body), secrets, body)
    assert not check(headers_for(secrets, own_key, body, "1789999000"), secrets, body)  # 1000 s old
    for name in ("x-my-signature", "x-my-time"):
        assert not check({one: value for one, value in headers.items() if one != name}, secrets, body)
    if "{url}" in template:
        assert not check(headers, secrets, body, url=URL + "/other")
        assert not check(headers, secrets, body, method="PUT")
    if "{svix-id}" in template:
        assert not check(headers | {"x-my-id": "msg_2"}, secrets, body)


def test_one_good_signature_among_several_is_enough() -> None:
    secrets = WebhookSecrets(hmac_secret="key", signature_prefix="v1,", encoding="base64")
    headers = headers_for(secrets, b"key")
    assert check(headers | {"x-signature": f"v1,AAAA {headers['x-signature']}"}, secrets)
    many = " ".join(["v1,AAAA"] * 50)
    assert not check(headers | {"x-signature": f"{many} {headers['x-signature']}"}, secrets)


@pytest.mark.parametrize(
    ("header", "prefix", "sent", "is_good"),
    [
        ("Authorization", "Bearer", {"authorization": "Bearer token"}, True),
        ("Authorization", "Bearer", {"authorization": "token"}, False),
        ("Authorization", "Bearer", {"authorization": "Bearertoken"}, False),
        ("Authorization", "", {"authorization": "token"}, True),
        ("Authorization", "", {"authorization": "Bearer token"}, False),
        ("X-Api-Key", "Token", {"x-api-key": "Token token"}, True),
        ("X-Api-Key", "", {"x-api-key": "token"}, True),
        ("X-Api-Key", "", {"authorization": "Bearer token"}, False),
        ("X-Vapi-Secret", "", {"x-vapi-secret": "token"}, True),
        ("X-Api-Key", "Token", {"x-api-key": "Token"}, False),
        ("X-Api-Key", "Token", {"x-api-key": "Token tokeN"}, False),
    ],
)
def test_a_bearer_comes_in_the_header_and_behind_the_prefix_that_are_set(
    header: str, prefix: str, sent: dict[str, str], is_good: bool
) -> None:
    secrets = WebhookSecrets(bearer="token", bearer_header=header, bearer_prefix=prefix)
    assert check(sent, secrets) is is_good


def config(**changes: Any) -> BridgeConfig:
    good = {"vapi_api_key": "k", "vapi_webhook_secret": "s3cret", "auth": False}
    return BridgeConfig(**(good | changes))


@pytest.mark.parametrize("kind", ["any", "secret", "bearer", "hmac"])
def test_a_bridge_takes_the_secret_in_the_way_that_is_set(kind: Any) -> None:
    secrets = config(vapi_webhook_auth=kind).webhook_secrets()
    assert secrets is not None
    ways = {
        "secret": {"x-vapi-secret": "s3cret"},
        "bearer": {"authorization": "Bearer s3cret"},
        "hmac": headers_for(WebhookSecrets(hmac_secret="s3cret"), b"s3cret"),
    }
    good = {name for name, headers in ways.items() if check(headers, secrets)}
    assert good == (set(ways) if kind == "any" else {kind})
    by_body = {name for name, headers in ways.items() if secrets.needs_body(headers)}
    assert by_body == ({"hmac"} if kind in ("any", "hmac") else set())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vapi_webhook_payload": "{url}{timestamp}{body}"}, "vapi_webhook_url"),
        ({"vapi_webhook_payload": "{body}"}, "no {timestamp}"),
        ({"vapi_webhook_payload": "{timestamp}"}, "must hold {body}"),
        ({"vapi_webhook_signature_header": "x signature"}, "vapi_webhook_signature_header must be the name"),
        ({"vapi_webhook_secret_is_base64": True, "vapi_webhook_secret": "canary!"}, "not base64"),
        ({"vapi_webhook_url": "bridge"}, "must be a URL"),
    ],
)
def test_a_way_that_cannot_work_is_refused_before_anything_starts(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected.replace("{", r"\{")) as caught:
        config(**changes).check()
    assert "canary" not in str(caught.value)


def test_a_signed_url_is_the_public_one_unless_another_is_given() -> None:
    template = "{url}{timestamp}{body}"
    config(vapi_webhook_payload=template, public_url="https://bridge.example.com").check()
    config(vapi_webhook_payload=template, vapi_webhook_url=URL).check()
    config(vapi_webhook_payload="{body}", vapi_webhook_untimed=True).check()


@pytest.mark.parametrize(("is_timed", "expected"), [(True, "{timestamp}.{body}"), (False, "{body}")])
def test_what_nobody_says_is_signed_holds_no_time_that_is_not_sent(is_timed: bool, expected: str) -> None:
    secrets = WebhookSecrets(hmac_secret="s3cret", include_timestamp=is_timed)
    assert secrets.payload_format == expected
    signed = HmacAuth("s3cret", include_timestamp=is_timed).headers(BODY, URL)
    headers = {name.lower(): value for name, value in signed.items()}
    assert check_webhook_secret(headers, BODY, secrets, time.time()) is None
    bridges = config(vapi_webhook_auth="hmac", vapi_webhook_untimed=not is_timed).webhook_secrets()
    assert bridges is not None and bridges.payload_format == expected
