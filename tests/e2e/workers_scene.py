"""``vapimedia serve --workers N`` as it is run: processes, signals, two ports, and the phone and Vapi of ``scene``."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast
from urllib.parse import urlsplit

from outbound_scene import StubApi, account
from scene import AUTH_TOKEN, KEY, PUBLIC_URL, SECRET, Scene, Vapi
from wire import until

from vapimedia import Bridge

APP = """
import os, signal, time
from vapimedia import Bridge, Call

bridge = Bridge()

@bridge.tool("whose")
async def whose(call: Call | None, args: dict) -> dict:
    return {"pid": os.getpid(), "call": None if call is None else call.vapi_call_id}

@bridge.tool("dial")
async def dial(call: Call | None, args: dict) -> dict:
    made = await bridge.dial(args["to"], provider=args["provider"])
    return {"pid": os.getpid(), "id": made.id}

@bridge.tool("stop")
async def stop(call: Call | None, args: dict) -> None:
    time.sleep(args["s"])
"""


@dataclass
class Service:
    """A running ``serve``. Its Vapi is expected at ``vapi_port``."""

    process: subprocess.Popen[str]
    port: int
    admin_port: int
    vapi_port: int
    api_port: int
    log: IO[str]
    folder: Path
    pids: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def scene(self, vapi: Vapi | None = None) -> AsyncIterator[WorkersScene]:
        """Everything around it, in this process; no call is left at the end."""
        vapi = vapi or Vapi()
        async with vapi.serving(self.vapi_port), StubApi().serving(self.api_port) as api:
            bridge = cast(Bridge, SimpleNamespace(port=self.port, admin_port=self.admin_port))
            scene = WorkersScene(bridge, vapi)
            scene.service, scene.api = self, api
            yield scene
            if not scene.is_gone:
                await scene.until_live(0)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def exit_code(self, within_s: float = 15) -> int:
        """Wait for the end of the supervisor."""
        await until(lambda: self.process.poll() is not None, within_s)
        return cast(int, self.process.returncode)

    def told(self) -> str:
        """What all its processes have logged so far."""
        self.log.seek(0)
        return self.log.read()


class EarlyEnd(Exception):
    """``serve`` ended before it served."""

    def __init__(self, code: int, told: str) -> None:
        super().__init__(f"exit code {code}: {told}")
        self.code, self.told = code, told


class WorkersScene(Scene):
    service: Service
    api: StubApi
    is_gone = False

    async def until_gone(self, code: int = 0) -> None:
        """The command must end by itself now."""
        assert await self.service.exit_code() == code, self.service.told()
        self.is_gone = True

    async def status(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads((await self.get("/status", admin=True)).body))

    async def live(self) -> dict[str, int]:
        """The worker of each live call, by the provider's id."""
        calls = json.loads((await self.get("/calls", admin=True)).body)
        return {call["call_id"]: call["worker"] for call in calls}

    async def pid_of(self, worker: int) -> int:
        return next(one["pid"] for one in (await self.status())["workers"] if one["worker"] == worker)

    async def until_live(self, n_calls: int, within_s: float = 10) -> dict[str, int]:
        """Wait until so many calls live."""
        live: dict[str, int] = {}
        try:
            async with asyncio.timeout(within_s):
                while len(live := await self.live()) != n_calls:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{len(live)} calls live, not {n_calls}: {self.service.told()}") from None
        return live


def worker_of(media_url: str) -> int:
    """The worker that the token in a media URL names."""
    return int.from_bytes(base64.urlsafe_b64decode(urlsplit(media_url).path.rpartition("/")[2])[:3])


def children(pid: int) -> list[int]:
    """The processes that *pid* has started and that still run."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [one.getsockname()[1] for one in held]


@contextmanager
def served(n_workers: int, *flags: str, expect: int | None = 0, app: str | None = None) -> Iterator[Service]:
    """Run the command; it must end with *expect* (``None``: killed), if need be by SIGTERM, and no process be left.

    Raises ``EarlyEnd`` if it does before it serves.
    """
    with tempfile.TemporaryDirectory() as folder:
        vapi_port, api_port = free_ports(2)
        Path(folder, "store.py").write_text(APP if app is None else app)
        Path(folder, "secrets.py").write_text("raise ImportError('a file of the user, not of the library')\n")
        api = f"http://127.0.0.1:{vapi_port}"
        settings = {"VAPI_API_KEY": KEY, "VAPI_WEBHOOK_SECRET": SECRET, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
        for name, value in account(f"http://127.0.0.1:{api_port}").items():
            if name != "providers":
                prefix = "" if name.upper() in _PLAIN else "VAPIMEDIA_"
                settings[prefix + name.upper()] = value
        argv = ["--port", "0", "--admin", "127.0.0.1:0", "--public-url", PUBLIC_URL, "--vapi-url", api]
        argv += ["--assistant-id", "asst_1", "--app", "store:bridge", "--workers", str(n_workers)]
        argv += ["--provider", "twilio", "--provider", "vonage", "--drain-s", "5", *flags]
        with Path(folder, "log").open("w+") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "vapimedia",
                    "serve",
                    *argv,
                ],  # looks where an installed one does
                env=os.environ | settings | {"NO_COLOR": "1", "COLUMNS": "200"},
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            assert process.stdout is not None
            try:
                ports = []
                for line in process.stdout:
                    ports += re.findall(r"(?:Listening|Admin)\s+http://127\.0\.0\.1:(\d+)", line)
                    if len(ports) == 2:
                        break
                else:
                    code = process.wait(15)
                    log.seek(0)
                    raise EarlyEnd(code, log.read())
                service = Service(
                    process, int(ports[0]), int(ports[1]), vapi_port, api_port, log, Path(folder)
                )
                service.pids = children(process.pid)
                yield service
                if process.poll() is None:
                    process.terminate()
                    assert process.wait(15) == expect, service.told()
                assert not any(is_running(pid) for pid in service.pids)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                process.stdout.close()


_PLAIN = {
    "TWILIO_ACCOUNT_SID",
    "TWILIO_API_URL",
    "VONAGE_API_KEY",
    "VONAGE_APPLICATION_ID",
    "VONAGE_PRIVATE_KEY",
    "VONAGE_SIGNATURE_SECRET",
    "VONAGE_API_URL",
}
