"""A headless Chromium that a test drives: one page, over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)

# Whatever plays to the loudspeaker is heard by one more of the page's own capture nodes as well. It starts no sound
# and loads nothing: the page's policy stands. Its chunks are Int16Array or Float32Array.
_LISTEN = """
window.heard = [];
const connect = AudioNode.prototype.connect;
const ears = new Map(); // by loudspeaker
AudioNode.prototype.connect = function (to, ...rest) {
  if (to === this.context.destination) {
    if (!ears.has(to)) { // with the first node of all: an ear opens some 100 ms late
      const ear = new AudioWorkletNode(this.context, "capture", { channelCount: 1, channelCountMode: "explicit" });
      ear.port.onmessage = ({ data }) =>
        heard.push(data instanceof Int16Array ? data : Int16Array.from(data, (sample) => sample * 32768));
      connect.call(ear, to);
      ears.set(to, ear);
      window.heardRate = this.context.sampleRate;
    }
    if (this.numberOfInputs === 0) {
      connect.call(this, ears.get(to));
    }
  }
  return connect.call(this, to, ...rest);
};
0"""
_HEARD = """
new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.split(",")[1]);
  reader.readAsDataURL(new Blob(heard));
})"""


def find_chromium() -> str | None:
    """The path of an installed Chromium, ``None`` without one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page. ``problems`` holds what it threw, and what its console calls an error."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self._reading = asyncio.create_task(self._read())

    async def open(self, url: str) -> None:
        """Open *url* in the page's only tab and wait until it is loaded."""
        if self._session is None:
            own = await self.call("Target.createBrowserContext", disposeOnDetach=True)
            tab = await self.call("Target.createTarget", url="about:blank", **own)
            attached = await self.call("Target.attachToTarget", **tab, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        await self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(message | ({"sessionId": self._session} if self._session else {}))
        async with asyncio.timeout(15):
            said = await answer
        assert "error" not in said, (method, said)
        return said["result"]  # type: ignore[no-any-return]

    async def run(self, script: str) -> Any:
        """Return the value of an expression, as if the user had caused it."""
        said = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def until(self, condition: str, timeout_s: float = 10) -> None:
        """Wait until an expression is true."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.run(f"Boolean({condition})"):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"never true: {condition}; problems: {self.problems}") from None

    async def click(self, selector: str) -> None:
        """Press the mouse on the middle of an element, as a user does."""
        box = await self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'nearest'});"
            " const {x, y, width, height} = e.getBoundingClientRect();"
            " return {x: x + width / 2, y: y + height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def listen(self) -> None:
        """Record what the page plays. To be asked for before it has a loudspeaker."""
        await self.run(_LISTEN)

    async def heard(self) -> tuple[bytes, int]:
        """Return what has come out of the page since it plays, pcm_s16le, and its rate."""
        return base64.b64decode(await self.run(_HEARD)), await self.run("heardRate")

    async def screenshot(self, path: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Save the page as a PNG."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        await asyncio.sleep(0.2)
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def close(self) -> None:
        """Close the tab, as a user does."""
        with suppress(TimeoutError, AssertionError):
            await self.call("Page.close")
        self._session = None

    async def leave(self) -> None:
        """Close the tab, if it is open."""
        if self._session is not None:
            await self.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            waiting = self._answers.pop(said.get("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(said)
            self._note(said.get("method"), said.get("params", {}))

    def _note(self, method: str | None, told: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.problems.append(str(told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.problems.append(told["entry"]["text"])


@contextmanager
def chromium(microphone: Path | None = None) -> Iterator[str]:
    """Run a Chromium; yield the URL that drives it.

    Its microphone plays the WAV file *microphone* once, from when it is opened.
    """
    program = find_chromium()
    assert program is not None
    flags = [*_FLAGS]
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            (program, *flags, f"--user-data-dir={profile}", "about:blank"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield _wait_for_url(Path(profile) / "DevToolsActivePort", process)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_url(file: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        port, _, path = file.read_text().partition("\n") if file.exists() else ("", "", "")
        if path:
            return f"ws://127.0.0.1:{port}{path.strip()}"
        time.sleep(0.01)
    raise AssertionError("Chromium does not start")


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Page]:
    """A page of its own, with its own storage, in the Chromium that is driven at *url*."""
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
        page = Page(socket)
        try:
            yield page
        finally:
            await page.leave()
