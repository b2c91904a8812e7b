"""A bridge for Vonage calls between the fakes, and what they are told alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from vapimedia import Bridge, BridgeConfig
from vapimedia.session import CallEnded
from vapimedia.testing import FakeVapi, FakeVonageApi, FakeVonageCall, make_application_key

PUBLIC_URL = "https://bridge.test"
API_KEY = "abcd1234"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
SIGNATURE_SECRET = "vonage-signature-secret-of-the-test-0123456789"
PRIVATE_KEY, PUBLIC_KEY = make_application_key()


@dataclass
class Scene:
    """The bridge, Vapi and Vonage's API, and what the user's callback was told."""

    bridge: Bridge
    vapi: FakeVapi
    api: FakeVonageApi
    events: list[Any] = field(default_factory=list)

    @property
    def ended(self) -> list[CallEnded]:
        return [event for event in self.events if isinstance(event, CallEnded)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.bridge.port}"

    def phone(self, kind: type[FakeVonageCall] = FakeVonageCall, **options: Any) -> FakeVonageCall:
        """A call that the REST API may hang up."""
        values = {
            "api_key": API_KEY,
            "application_id": APPLICATION,
            "signature_secret": SIGNATURE_SECRET,
            "public_url": PUBLIC_URL,
            "event_url": f"{self.url}/vonage/event",
            "max_s": 20.0,
        }
        return self.api.register(kind(f"{self.url}/vonage/answer", **values | options))


@asynccontextmanager
async def running(
    assistant: Any = None,
    prepare: Callable[[Bridge], object] | None = None,
    *,
    vapi: dict[str, Any] | None = None,
    api: dict[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Scene]:
    """A bridge, FakeVapi and FakeVonageApi; *prepare* may register callbacks."""
    async with AsyncExitStack() as stack:
        fake_vapi = await stack.enter_async_context(FakeVapi(assistant=assistant, **vapi or {}))
        known = {
            "application_id": APPLICATION,
            "public_key": PUBLIC_KEY,
            "api_key": API_KEY,
            "signature_secret": SIGNATURE_SECRET,
            "public_url": PUBLIC_URL,
        }
        fake_api = await stack.enter_async_context(FakeVonageApi(**known | (api or {})))
        values = {
            "port": 0,
            "admin": "127.0.0.1:0",
            "providers": ("vonage",),
            "public_url": PUBLIC_URL,
            "vapi_url": fake_vapi.url,
            "vapi_api_key": fake_vapi.api_key,
            "vapi_webhook_secret": "webhook-secret-of-the-test",
            "assistant_id": "asst_1",
            "vonage_api_key": API_KEY,
            "vonage_application_id": APPLICATION,
            "vonage_private_key": PRIVATE_KEY,
            "vonage_signature_secret": SIGNATURE_SECRET,
            "vonage_from": "15005550001",
            "vonage_api_url": fake_api.url,
        }
        bridge = Bridge(BridgeConfig(**values | changes))
        scene = Scene(bridge, fake_vapi, fake_api)
        bridge.on_event(lambda _call, event: scene.events.append(event))
        if prepare is not None:
            prepare(bridge)
        async with bridge:
            fake_api.bridge_url = scene.url
            yield scene
