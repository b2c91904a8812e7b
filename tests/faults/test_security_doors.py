"""Who is let in: nobody without a proof, compared in constant time, before the 101; a media socket by a token that
our own answer made; figures on the admin port alone."""

from __future__ import annotations

import hmac
import json
import time
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from canaries import CANARIES
from fault_scene import faulty
from scene import ACCOUNT, PUBLIC_URL, Scene, call_sid, stream_url
from twilio.request_validator import RequestValidator
from wire import Answer, connected

from vapimedia import BridgeConfig, ConfigError
from vapimedia.protocols.token import TokenSigner

WRONG = "another-secret-than-all-of-ours"
FORM = urlencode({"AccountSid": ACCOUNT, "CallSid": call_sid(), "CallStatus": "ringing"}).encode()
WEBHOOKS = [
    ("POST", "/twilio/voice", 403),
    ("POST", "/twilio/status", 403),
    ("GET", "/vonage/answer", 401),
    ("POST", "/vonage/answer", 401),
    ("POST", "/vonage/event", 401),
    ("POST", "/vapi/webhook", 403),
    ("POST", "/voice/vapi/tool", 403),
]
SOCKETS = [("twilio", 403), ("vonage", 401), ("browser", 401)]


def jwt_of(secret: str) -> str:
    """A token as Vonage makes it, by the library that its SDK signs with."""
    import jwt

    claims = {"iss": "Vonage", "iat": int(time.time()), "jti": "1", "application_id": "app"}
    return jwt.encode(claims, secret.ljust(32, "-"), algorithm="HS256")


PROOFS: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"X-Twilio-Signature": "", "Authorization": "", "X-Vapi-Secret": ""},
    "wrong": {
        "X-Twilio-Signature": RequestValidator(WRONG).compute_signature(PUBLIC_URL, {}),
        "Authorization": f"Bearer {jwt_of(WRONG)}",
        "X-Vapi-Secret": WRONG,
    },
}


def every_provider() -> AbstractAsyncContextManager[Scene]:
    return faulty(
        providers=("twilio", "vonage", "browser"),
        vonage_application_id="app",
        browser_secret=CANARIES["the webhook secret"],
    )


async def request(scene: Scene, method: str, path: str, headers: dict[str, str]) -> Answer:
    lines = {"Host": "bridge.test", "Content-Type": "application/x-www-form-urlencoded", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    async with connected(scene.bridge.port) as wire:
        wire.send(f"{method} {path} HTTP/1.1\r\n{head}Content-Length: {len(FORM)}\r\n\r\n".encode() + FORM)
        return await wire.answer()


async def upgrade(scene: Scene, path: str, headers: dict[str, str]) -> int:
    async with connected(scene.bridge.port) as wire:
        return (await wire.upgrade(path, headers)).status


@pytest.mark.parametrize("proof", PROOFS)
async def test_every_door_is_closed_to_who_proves_nothing(proof: str) -> None:
    async with every_provider() as scene:
        for method, path, status in WEBHOOKS:
            assert (await request(scene, method, path, PROOFS[proof])).status == status, path
        token = scene.bridge.desk.signer.issue(call_sid(), 0, time.time(), 60)
        for provider, status in SOCKETS:
            for path in (f"/{provider}/media", f"/{provider}/media/{token}"):
                assert await upgrade(scene, path, PROOFS[proof]) in (status, 403), path
        assert scene.vapi.requests == [] and scene.bridge.calls == [] and scene.events == []


async def test_every_door_compares_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    n_compared = 0
    compare = hmac.compare_digest

    def counted(one: Any, other: Any) -> bool:
        nonlocal n_compared
        n_compared += 1
        return compare(one, other)

    async with every_provider() as scene:
        monkeypatch.setattr(hmac, "compare_digest", counted)
        for method, path, _status in WEBHOOKS:
            n_compared = 0
            await request(scene, method, path, PROOFS["wrong"])
            assert n_compared, path
        for provider, _status in SOCKETS:
            n_compared = 0
            await upgrade(scene, f"/{provider}/media/{'A' * 64}", PROOFS["wrong"])
            assert n_compared, provider


@pytest.mark.parametrize("host", ["bridge.test", "bridge.test:443"])
@pytest.mark.parametrize("end", ["", "/"])
async def test_twilios_upgrade_is_signed_over_the_public_url_in_any_of_its_spellings(
    host: str, end: str
) -> None:
    async with faulty() as scene:
        url = stream_url(await scene.voice())
        path = urlsplit(url).path
        signed = f"wss://{host}{path}{end}"
        for secret, status in ((WRONG, 403), (scene.auth_token, 101)):
            signature = RequestValidator(secret).compute_signature(signed, {})
            # What the request says of its own host is never believed.
            headers = {"X-Twilio-Signature": signature, "Host": "evil.test"}
            assert await upgrade(scene, path, headers) == status
        for other in (f"ws://{host}{path}", f"wss://evil.test{path}"):
            signature = RequestValidator(scene.auth_token).compute_signature(other, {})
            assert await upgrade(scene, path, {"X-Twilio-Signature": signature, "Host": "evil.test"}) == 403


def test_signatures_are_checked_unless_that_is_switched_off() -> None:
    config = BridgeConfig(vapi_api_key="key", public_url=PUBLIC_URL)
    assert config.auth
    with pytest.raises(ConfigError, match="TWILIO_AUTH_TOKEN is not set"):
        config.check()
    off = BridgeConfig(vapi_api_key="key", auth=False)
    off.check()
    assert any("NOT verified" in text for text in off.warnings())


def test_the_browser_leg_is_off_unless_asked_for_and_then_needs_a_secret_or_this_machine() -> None:
    assert "browser" not in BridgeConfig().providers
    asked = {"providers": ("browser",), "vapi_api_key": "key", "admin": "127.0.0.1:0"}
    BridgeConfig(**asked).check()
    for reached in ({"host": "0.0.0.0"}, {"public_url": PUBLIC_URL}):
        with pytest.raises(ConfigError, match="VAPIMEDIA_BROWSER_SECRET"):
            BridgeConfig(**asked, **reached).check()
        BridgeConfig(**asked, **reached, browser_secret="0123456789abcdef").check()


async def test_a_token_is_bound_to_its_worker_and_to_60_s() -> None:
    async with faulty() as scene:
        made_s = time.time()
        token = stream_url(await scene.voice()).rpartition("/")[2]
        claims = scene.bridge.desk.signer.open(token, made_s)
        assert claims.worker == scene.bridge.desk.worker  # type: ignore[union-attr]
        assert made_s + 59 < claims.expires_s < made_s + 65  # type: ignore[union-attr]
        # One that is made as ours are, with another secret or for a call that nobody announced, opens nothing.
        for signer in (TokenSigner(b"x" * 32), scene.bridge.desk.signer):
            path = f"/twilio/media/{signer.issue(call_sid(), 0, made_s, 60)}"
            signature = RequestValidator(scene.auth_token).compute_signature(f"wss://bridge.test{path}", {})
            assert await upgrade(scene, path, {"X-Twilio-Signature": signature}) == 403


async def test_figures_are_on_the_admin_port_alone_and_nothing_else_is() -> None:
    async with faulty() as scene:
        for path in ("/metrics", "/calls", "/status"):
            assert (await scene.get(path)).status == 404
            assert (await scene.get(path, admin=True)).status == 200
        for path in ("/twilio/voice", "/vapi/webhook", "/readyz"):
            assert (await scene.get(path, admin=True)).status == 404
        async with connected(scene.bridge.admin_port) as wire:
            assert (await wire.upgrade("/twilio/media")).status == 404


async def test_figures_hold_no_number_no_token_and_no_word() -> None:
    digits = CANARIES["the digits of a number"]
    async with faulty() as scene:
        token = stream_url(await scene.voice(From=f"+1{digits}", To=f"+1{digits}")).rpartition("/")[2]
        for path in ("/metrics", "/calls", "/status"):
            body = (await scene.get(path, admin=True)).body.decode()
            assert digits not in body and token not in body
        assert json.loads((await scene.get("/calls", admin=True)).body)
