"""HTTP and WebSocket by hand, byte by byte: what a careful library would never send can be sent with this."""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on asyncio's loop and on uvloop: the sockets' behaviour differs between them."""
    return _on(list(_LOOPS), test)


def on_uvloop_first(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The same for what has many cases: on uvloop, and in the slow part on asyncio's loop too."""
    return _on([pytest.param("asyncio", marks=pytest.mark.slow), "uvloop"], test)


def on_uvloop_mostly(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The same for what takes seconds: on uvloop, and in the long part on asyncio's loop too."""
    return _on([pytest.param("asyncio", marks=[pytest.mark.slow, pytest.mark.long]), "uvloop"], test)


def _on(loops: list[Any], test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(loop_name: str, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=_LOOPS[loop_name]) as runner:
            runner.run(test(**fixtures))

    del run.__wrapped__  # type: ignore[attr-defined]  # pytest must see the signature with the loop in it
    own = list(inspect.signature(test).parameters.values())
    name = inspect.Parameter("loop_name", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([name, *own])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop_name", loops)(run)


@dataclass
class Answer:
    """One HTTP answer, with everything that came until the connection ended."""

    status: int
    headers: dict[str, str]
    body: bytes
    version: str = "1.1"

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends with it (RFC 9112 s. 9.3)."""
        said = self.headers.get("connection", "").lower()
        return said == "close" or (self.version == "1.0" and said != "keep-alive")


@dataclass
class Wire:
    """One TCP connection to the port under test."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    fragments: list[bytes] = field(default_factory=list)

    # --- HTTP ------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> Answer:
        """Read an answer's head; the rest stays."""
        async with asyncio.timeout(5):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(first.split(" ")[1]), headers, b"", first[5:8])

    async def answer(self) -> Answer:
        """Read an answer to its end: the connection's, unless it says that this goes on."""
        answer = await self.head()
        if answer.closes:
            answer.body = await self.rest()
        else:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        return answer

    async def rest(self) -> bytes:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def upgrade(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Ask for a WebSocket; read the answer to its end if that is a refusal."""
        self.send(upgrade_request(path, headers))
        answer = await self.head()
        if answer.status != 101:
            answer.body = await self.rest()
        return answer

    # --- WebSocket -------------------------------------------------------------------------------

    def frame(
        self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
    ) -> None:
        self.send(frame(opcode, payload, fin=fin, rsv=rsv, masked=masked))

    def text(self, message: dict[str, Any] | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self.frame(TEXT, text.encode())

    def close(self, code: int | None = 1000) -> None:
        self.frame(CLOSE, b"" if code is None else code.to_bytes(2, "big"))

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def read_frame(self, timeout_s: float = 5) -> tuple[int, bytes]:
        """Read one unmasked frame."""
        async with asyncio.timeout(timeout_s):
            first, second = await self.reader.readexactly(2)
            assert first & 0x70 == 0 and second & 0x80 == 0
            n = second & 0x7F
            if n == 126:
                n = int.from_bytes(await self.reader.readexactly(2), "big")
            elif n == 127:
                n = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 0x0F, await self.reader.readexactly(n)

    async def messages(self, timeout_s: float = 5) -> list[dict[str, Any]]:
        """Read JSON messages until the peer closes."""
        found = []
        while True:
            opcode, payload = await self.read_frame(timeout_s)
            if opcode == CLOSE:
                self.close_frame = payload
                return found
            if opcode == TEXT:
                found.append(json.loads(payload))

    async def read_event(self, name: str, timeout_s: float = 5) -> dict[str, Any]:
        """Read messages until one has this ``event``."""
        while True:
            opcode, payload = await self.read_frame(timeout_s)
            assert opcode != CLOSE, f"closed with {payload!r} instead of {name}"
            if opcode == TEXT and (message := json.loads(payload))["event"] == name:
                return message  # type: ignore[no-any-return]

    async def close_code(self, timeout_s: float = 5) -> int | None:
        """Read until the peer's CLOSE; 1006 if there is none, ``None`` if it is empty."""
        while True:
            try:
                opcode, payload = await self.read_frame(timeout_s)
            except (asyncio.IncompleteReadError, ConnectionError):
                return 1006
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else None


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """A connection to *port* on this machine, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def upgrade_request(path: str, headers: dict[str, str] | None = None) -> bytes:
    """A client's opening handshake (RFC 6455 s. 4.1); *headers* replace and add to the usual ones."""
    lines = {
        "Host": "bridge.test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    } | (headers or {})
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{text}\r\n".encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """One frame (RFC 6455 s. 5.2)."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    n, mask_bit = len(payload), masked << 7
    if n < 126:
        head += bytes([mask_bit | n])
    elif n < 65536:
        head += bytes([mask_bit | 126]) + n.to_bytes(2, "big")
    else:
        head += bytes([mask_bit | 127]) + n.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    spread = (mask * (n // 4 + 1))[:n]
    masked_payload = (int.from_bytes(payload, "big") ^ int.from_bytes(spread, "big")).to_bytes(n, "big")
    return head + mask + masked_payload


def descriptors() -> set[str]:
    """The sockets that this process holds open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself
            found.add(f"{entry.name} {entry.readlink()}")
    return {one for one in found if "socket:" in one}


async def until(condition: Callable[[], object], timeout_s: float = 5) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Expect that the block leaves no task and no socket behind, in this process, after 1 s at most."""
    tasks, held = asyncio.all_tasks(), descriptors()
    yield
    with suppress(TimeoutError):
        await until(lambda: not (asyncio.all_tasks() - tasks or descriptors() - held), timeout_s=1)
    assert not asyncio.all_tasks() - tasks
    assert not descriptors() - held
