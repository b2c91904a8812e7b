"""Who may call from a browser: by key, or from this machine's own page."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.protocols import UpgradeRequest, WebhookRequest
from vapimedia.protocols.browser import BrowserDialect, BrowserSettings
from vapimedia.protocols.browser_access import bearer_key

SECRET = "open sesame ünd more"
LOCAL = {"host": "127.0.0.1:8080"}
Way = Literal["webhook", "upgrade"]
both_ways = pytest.mark.parametrize("way", ["webhook", "upgrade"])


def status(
    way: Way,
    settings: BrowserSettings,
    headers: dict[str, str] = LOCAL,
    *,
    remote: str = "127.0.0.1",
    key: str | None = None,
) -> int | None:
    """The status of the refusal, ``None`` if there is none."""
    call = BrowserDialect(settings)
    if way == "webhook":
        body = json.dumps({"rate": 48000} | ({} if key is None else {"key": key})).encode()
        refusal = call.check_webhook(WebhookRequest("POST", "/browser/call", headers, body, remote))
    else:
        encoded = "" if key is None else "&key=" + "".join(f"%{byte:02X}" for byte in key.encode())
        refusal = call.check_upgrade(UpgradeRequest(f"/browser/media?rate=48000{encoded}", headers, remote))
    assert refusal is None or SECRET not in refusal.reason
    return None if refusal is None else refusal.status


@both_ways
class TestWithASecret:
    settings = BrowserSettings(SECRET, "https://bridge.test")

    def test_the_key_lets_anybody_in_from_anywhere(self, way: Way) -> None:
        headers = {"host": "bridge.test", "origin": "https://elsewhere.test", "x-forwarded-for": "192.0.2.1"}
        assert status(way, self.settings, headers, remote="192.0.2.7", key=SECRET) is None

    @pytest.mark.parametrize("key", [None, "", "wrong", SECRET + " ", SECRET[:-1], SECRET.upper()])
    def test_no_other_key_does(self, way: Way, key: str | None) -> None:
        assert status(way, self.settings, key=key) == 401

    def test_a_bearer_token_is_a_key(self, way: Way) -> None:
        settings = BrowserSettings("open-sesame")
        assert status(way, settings, {"authorization": "bearer open-sesame"}) is None
        assert status(way, settings, {"authorization": "Bearer open"}) == 401
        assert status(way, settings, {"authorization": "Basic open-sesame"}) == 401

    def test_this_machine_has_no_privilege(self, way: Way) -> None:
        assert status(way, self.settings) == 401

    @given(key=st.text())
    def test_no_key_from_outside_makes_it_raise(self, way: Way, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        assert status(way, self.settings, headers) == 401


@both_ways
class TestWithoutASecret:
    settings = BrowserSettings()

    @pytest.mark.parametrize(
        "host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.9.9.9"]
    )
    def test_our_own_page_may_call(self, way: Way, host: str) -> None:
        assert status(way, self.settings, {"host": host, "origin": f"http://{host}"}) is None
        assert (
            status(way, self.settings, {"host": host, "origin": f"https://{host.upper()}"}, remote="::1")
            is None
        )

    def test_a_program_on_this_machine_may_call(self, way: Way) -> None:
        assert status(way, self.settings, LOCAL) is None

    @pytest.mark.parametrize("remote", ["192.0.2.7", "", "::ffff:192.0.2.7", "10.0.0.1"])
    def test_no_other_machine_may(self, way: Way, remote: str) -> None:
        assert status(way, self.settings, LOCAL, remote=remote) == 403

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.test",
            "http://127.0.0.1:3000",
            "http://127.0.0.1",
            "http://localhost:8080",
            "http://127.0.0.1:8080.evil.test",
            "http://127.0.0.1:8080@evil.test",
            "null",
            "file://",
            "chrome-extension://127.0.0.1:8080",
            " ",
        ],
    )
    def test_no_foreign_page_may(self, way: Way, origin: str) -> None:
        assert status(way, self.settings, LOCAL | {"origin": origin}) == 403

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.test",
            "evil.test:8080",
            "127.0.0.1.evil.test",
            "x@127.0.0.1",
            "127.0.0.1:8080/x",
            "[::1",
            "0.0.0.0",
        ],
    )
    def test_a_foreign_name_for_this_machine_is_refused(self, way: Way, host: str) -> None:
        # DNS rebinding: the page's origin is the host it asked for.
        assert status(way, self.settings, {"host": host, "origin": f"http://{host}"}) == 403
        assert status(way, self.settings, {"host": host}) == 403

    def test_the_public_url_is_our_own_page_too(self, way: Way) -> None:
        settings = BrowserSettings(public_url="http://localhost:9000")
        assert status(way, settings, LOCAL | {"origin": "http://localhost:9000"}) is None
        assert status(way, settings, LOCAL | {"origin": "http://localhost:9001"}) == 403

    @pytest.mark.parametrize(
        "name",
        [
            *("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip"),
            *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server"),
            *("x-forwarded-port", "x-forwarded-", "cf-connecting-ip", "cf-ray", "cf-visitor"),
        ],
    )
    def test_nobody_comes_in_through_a_proxy(self, way: Way, name: str) -> None:
        assert status(way, self.settings, LOCAL | {name: "127.0.0.1"}) == 403

    def test_a_key_that_nobody_asked_for_changes_nothing(self, way: Way) -> None:
        assert status(way, self.settings, key="any") is None
        assert status(way, self.settings, key="any", remote="192.0.2.7") == 403


@both_ways
def test_without_auth_anybody_may(way: Way) -> None:
    settings = BrowserSettings(SECRET, auth=False)
    assert status(way, settings, {"origin": "https://evil.test"}, remote="192.0.2.7") is None


@pytest.mark.parametrize(
    "path",
    [
        "/browser/media",
        "/browser/media?x=/token",
        "/browser/media/",
        "/browser/media//",
        "/browser/media//token",
        "/browser/media/?/token",
        "browser/media",
        "//browser/media/token",
        "",
    ],
)
def test_only_a_token_in_the_path_stands_for_the_key(path: str) -> None:
    refusal = BrowserDialect(BrowserSettings(SECRET)).check_upgrade(UpgradeRequest(path, {}))
    assert refusal is not None
    assert refusal.status == 401


@given(st.text(alphabet="/brmediaowsx?#.%", max_size=30))
def test_a_path_that_needs_no_key_holds_a_token(rest: str) -> None:
    path = f"/browser/media{rest}"
    if BrowserDialect(BrowserSettings(SECRET)).check_upgrade(UpgradeRequest(path, {})) is not None:
        return
    # As the bridge cuts it; whoever has no token is let in as a socket without a webhook.
    token = path.partition("?")[0].removeprefix("/").partition("/")[2].partition("/")[2].rstrip("/")
    assert token


def test_a_bearer_key_is_one_word() -> None:
    assert bearer_key({"authorization": " Bearer   a.b~c "}) == "a.b~c"
    assert bearer_key({"authorization": "Bearer a b"}) == ""
    assert bearer_key({}) == ""
