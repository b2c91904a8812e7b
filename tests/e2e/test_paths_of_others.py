"""A media token opens its call at its own provider's path alone, whatever proves the other's identity."""

from __future__ import annotations

import pytest
from outbound_scene import APPLICATION, SIGNATURE_SECRET
from scene import Scene, running, stream_url
from twilio.request_validator import RequestValidator
from wire import connected

PROVIDERS = ("twilio", "vonage", "browser")
KEY = "browser-secret-of-the-test"


async def status_at(scene: Scene, path: str, headers: dict[str, str]) -> int:
    async with connected(scene.bridge.port) as wire:
        return (await wire.upgrade(path, headers)).status


@pytest.mark.parametrize("auth", [True, False])
@pytest.mark.parametrize("other", ["vonage", "browser"])
async def test_a_token_is_worth_nothing_at_the_path_of_another_provider(other: str, auth: bool) -> None:
    changes = {
        "providers": PROVIDERS,
        "browser_secret": KEY,
        "vonage_application_id": APPLICATION,
        "vonage_signature_secret": SIGNATURE_SECRET,
        "auth": auth,
    }
    async with running(**changes) as scene:
        url = stream_url(await scene.voice())
        token = url.rpartition("/")[2]
        assert await status_at(scene, f"/{other}/media/{token}", {}) in (401, 403)
        # It was not spent on that.
        path = f"/twilio/media/{token}"
        signature = RequestValidator(scene.auth_token).compute_signature(url, {})
        assert await status_at(scene, path, {"X-Twilio-Signature": signature}) == 101
