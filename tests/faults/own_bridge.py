"""A bridge in a process of its own, so that the memory which a fault costs can be told from that of the test."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from canaries import CANARIES, SETTINGS, expect_no_canary
from scene import PUBLIC_URL, Scene, Vapi

from vapimedia import Bridge
from vapimedia.bench.load.process import BridgeProcess, free_port

__all__ = ["OwnBridge", "own_bridge"]


@dataclass
class OwnBridge:
    """A ``serve`` that runs, with the secrets that must not show."""

    scene: Scene
    pid: int

    async def calls(self) -> list[dict[str, Any]]:
        """What its admin port says of the calls that live."""
        return cast(list[dict[str, Any]], json.loads((await self.scene.get("/calls", admin=True)).body))

    async def until_over(self) -> None:
        """Wait until no call lives."""
        async with asyncio.timeout(10):
            while await self.calls():
                await asyncio.sleep(0.02)

    def rss_kb(self, name: str = "VmRSS") -> int:
        """Resident memory now, or with ``VmHWM`` the most since ``forget_peak``."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0])

    def forget_peak(self) -> int:
        """Measure the peak anew from here; return what it is now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # proc(5)
        return self.rss_kb("VmHWM")


@asynccontextmanager
async def own_bridge(*flags: str) -> AsyncIterator[OwnBridge]:
    """Run ``vapimedia serve``. At the end no call may live, and what it told holds no canary."""
    vapi = Vapi()
    async with vapi.serving():
        port, admin_port = free_port(), free_port()
        argv = ["--port", str(port), "--admin", f"127.0.0.1:{admin_port}", "--public-url", PUBLIC_URL]
        argv += ["--vapi-url", vapi.url, "--assistant-id", "asst_1", "--drain-s", "1", "--log-level", "debug"]
        secrets = {name.upper(): value for name, value in SETTINGS.items()}
        command = [sys.executable, "-m", "vapimedia", "serve", *argv, *flags]
        with BridgeProcess(command, port=port, environ=os.environ | secrets) as process:
            where = cast(Bridge, SimpleNamespace(port=port, admin_port=admin_port))
            bridge = OwnBridge(Scene(where, vapi, auth_token=CANARIES["Twilio's token"]), process.pid)
            yield bridge
            await bridge.until_over()
            process.check()
            process.output.seek(0)
            told = process.output.read().decode()
        expect_no_canary(told)
        assert "Traceback" not in told, told
