"""The phone page in a real browser, in front of a bridge and a fake Vapi."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from chromium import Page, browsing, find_chromium
from wire import until

from vapimedia import Bridge, BridgeConfig
from vapimedia.session import CallEnded
from vapimedia.testing import AssistantScript, FakeVapi, FakeVapiCall, Pacing

IN_CHROMIUM = [
    pytest.mark.skipif(
        find_chromium() is None,
        reason="no Chromium is installed, and the page needs one",
    ),
    pytest.mark.timeout(60),
]


@dataclass
class Scene:
    bridge: Bridge
    vapi: FakeVapi
    page: Page
    events: list[Any] = field(default_factory=list)

    @property
    def ended(self) -> list[CallEnded]:
        return [event for event in self.events if isinstance(event, CallEnded)]

    async def call(self) -> FakeVapiCall:
        """Press the button; return the call at Vapi's end."""
        await self.page.click("#call")
        await self.page.until("vapimedia.state === 'live'")
        return await (await self.vapi.wait_for_call()).connected()

    async def is_over(self, call: FakeVapiCall) -> None:
        """Wait for the end, and judge that both legs ended once."""
        await until(lambda: self.ended)
        await call.ended(5)
        assert len(self.ended) == 1
        assert self.bridge.book.live == set()
        assert [message["type"] for message in call.controls].count("end-call") <= 1
        assert call.violations == []


@asynccontextmanager
async def phoning(
    browser: str,
    script: AssistantScript | None = None,
    pacing: Pacing | None = None,
    **changes: Any,
) -> AsyncIterator[Scene]:
    """The page, open in a browser, in front of a bridge and a Vapi that speaks pcm_s16le/16000."""
    async with FakeVapi(assistant=script, pacing=pacing) as vapi:
        values = {
            "port": 0,
            "admin": "127.0.0.1:0",
            "providers": ("browser",),
            "vapi_url": vapi.url,
            "vapi_api_key": vapi.api_key,
            "assistant_id": "asst_1",
        }
        bridge = Bridge(BridgeConfig(**values | changes))
        events: list[Any] = []
        bridge.on_event(lambda _call, event: events.append(event))
        async with bridge, browsing(browser) as page:
            await page.open(f"http://127.0.0.1:{bridge.port}/phone")
            yield Scene(bridge, vapi, page, events)


async def picture(page: Page, name: str, width: int = 1100, height: int = 700, *, dark: bool = False) -> None:
    """Save a picture of the page where ``VAPIMEDIA_SCREENSHOTS`` says, if it does."""
    folder = os.environ.get("VAPIMEDIA_SCREENSHOTS")
    if folder:
        await page.screenshot(Path(folder) / f"{name}.png", width, height, dark=dark)


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The address of *app*, another origin than the bridge's."""
    async with TestServer(app) as server:
        yield str(server.make_url("/"))
