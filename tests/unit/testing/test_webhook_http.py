"""A bridge's two names: which of them a URL must have."""

from __future__ import annotations

import pytest

from vapimedia.testing.webhook_http import WebhookHttp

BASE = "http://127.0.0.1:8080"
PUBLIC = "https://bridge.example.com"


@pytest.mark.parametrize(
    ("public", "url", "reached"),
    [
        (PUBLIC, "https://bridge.example.com/event?a=b", "http://127.0.0.1:8080/event?a=b"),
        (PUBLIC, "wss://bridge.example.com/media/t0", "ws://127.0.0.1:8080/media/t0"),
        (PUBLIC, "wss://Bridge.Example.com/media/t0", "ws://127.0.0.1:8080/media/t0"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/event", "http://127.0.0.1:8080/event"),
        ("http://127.0.0.1:9000", "ws://127.0.0.1:9000/media", "ws://127.0.0.1:8080/media"),
    ],
)
def test_a_public_url_is_reached_at_the_bridge(public: str, url: str, reached: str) -> None:
    web = WebhookHttp(BASE, public)
    assert (web.dialled(url), web.violations) == (reached, [])


@pytest.mark.parametrize(
    ("public", "url"),
    [
        (PUBLIC, "ws://127.0.0.1:8080/media"),
        (PUBLIC, "wss://127.0.0.1:8080/media"),
        (PUBLIC, "http://127.0.0.1:8080/event"),
        (PUBLIC, "ws://bridge.example.com/media"),
        (PUBLIC, "http://bridge.example.com/event"),
        (PUBLIC, "wss://bridge.example.com:8443/media"),
        (PUBLIC, "wss://other.example.com/media"),
        ("http://bridge.example.com", "wss://bridge.example.com/media"),
    ],
)
def test_any_other_url_is_a_violation_told_once(public: str, url: str) -> None:
    web = WebhookHttp(BASE, public)
    assert web.dialled(url) == web.dialled(url)
    assert len(web.violations) == 1
    assert "127.0.0.1:8080" in web.dialled(url)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8080/media", "wss://other.example.com/media"])
def test_without_a_public_url_every_url_is_taken_as_it_is(url: str) -> None:
    web = WebhookHttp(BASE, None)
    assert (web.dialled(url), web.violations) == (url, [])


@pytest.mark.parametrize("url", [f"{BASE}/event", "http://127.0.0.1:9/event", f"{PUBLIC}/event"])
def test_the_user_of_a_fake_may_name_any_url(url: str) -> None:
    web = WebhookHttp(BASE, PUBLIC)
    assert web.reached(url) == url.replace(PUBLIC, BASE)
    assert web.violations == []
