"""What fake calls of every provider share: the caller's clock, voice and ear, and the record of the call."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from vapimedia.testing.caller import CallerStep, Interrupt, Tick, play_caller
from vapimedia.testing.ear import BargeIn, Clear, Ear, Mark

__all__ = ["FakePhone", "Said"]

_TICK_S = 0.020
_UPGRADE_TIMEOUT_S = 10.0


@dataclass
class Said:
    """One thing the caller said: which step, and when its first and last frame left."""

    clip: str | bytes
    started_ns: int
    ended_ns: int
    interrupting: bool


class FakePhone(ABC):
    """A call's media socket: a frame every 20 ms of *caller*, an ear for what comes back, and a way to end.

    ``sent`` and ``received`` are bytes in the format of ``ear.fmt``. ``ended_by`` says who or what ended the
    call; ``upgrade_status`` is 101 once there was a media socket.
    """

    def __init__(
        self,
        *,
        caller: Sequence[CallerStep],
        ear: Ear,
        speed: float,
        max_s: float,
        start_delay_s: float,
        on_media_start: Callable[[Any], None] | None,
    ) -> None:
        self.caller, self.ear = tuple(caller), ear
        self.speed, self.max_s, self.start_delay_s = speed, max_s, start_delay_s
        self.on_media_start = on_media_start

        self.voice_status: int | None = None
        self.voice_error = ""
        self.upgrade_status: int | None = None
        self.close_code: int | None = None
        self.ended_by: str | None = None
        self.started_ns = self.ended_ns = 0
        self.sent = bytearray()
        self.received = bytearray()
        self.received_ns: list[int] = []
        self.payload_sizes: list[int] = []
        self.digits: list[tuple[str, int]] = []
        self.said: list[Said] = []
        self.step_timeouts = 0

        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._last_step: CallerStep | None = None
        self._cut = False  # drop the connection without a close frame
        self._over = asyncio.Event()
        self._streaming = asyncio.Event()

    # --- what came of it ----------------------------------------------------------------------------

    @property
    def heard(self) -> bytes:
        """The caller's ear in real time from the stream's start, gaps as silence."""
        return bytes(self.ear.heard)

    @property
    def marks(self) -> list[Mark]:
        """Marks received, with the times they were returned."""
        return self.ear.marks

    @property
    def clears(self) -> list[Clear]:
        """Clears received."""
        return self.ear.clears

    @property
    def barge_ins(self) -> list[BargeIn]:
        """What became of every ``Interrupt`` that was spoken."""
        spoken = [said for said in self.said if said.interrupting]
        found = []
        for index, said in enumerate(spoken):
            until = spoken[index + 1].started_ns if index + 1 < len(spoken) else time.monotonic_ns()
            clears = (one.received_ns for one in self.clears if said.started_ns <= one.received_ns < until)
            clear_ns = next(clears, None)
            silent_ns = self.ear.silent_since_ns(said.started_ns if clear_ns is None else clear_ns)
            found.append(BargeIn(said.started_ns, clear_ns, silent_ns))
        return found

    # --- what a test may do -------------------------------------------------------------------------

    async def streaming(self, timeout_s: float = 10.0) -> None:
        """Wait until media runs."""
        await asyncio.wait_for(self._streaming.wait(), timeout_s)

    def hang_up(self, by: str = "caller") -> None:
        """End the call from the provider's side, in order."""
        self._end(by)

    def reset(self) -> None:
        """Cut the TCP connection with a reset: no last message, no close frame."""
        self._end("reset")
        self._cut = True
        raw: Any = self._ws.get_extra_info("socket") if self._ws is not None else None
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def send_raw(self, text: str) -> None:
        """Send any text to the bridge, for tests of what a bridge must survive."""
        if self._ws is not None and not self._ws.closed:
            await self._ws.send_str(text)

    # --- what a provider says -----------------------------------------------------------------------

    @abstractmethod
    async def _open(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Send what comes before media."""

    @abstractmethod
    async def _send_frame(self, ws: aiohttp.ClientWebSocketResponse, audio: bytes, n_ticks: int) -> None:
        """Send the *n_ticks*-th frame."""

    @abstractmethod
    async def _send_digit(self, ws: aiohttp.ClientWebSocketResponse, digit: str) -> None:
        """Send a pressed key."""

    @abstractmethod
    async def _send_marks(self, ws: aiohttp.ClientWebSocketResponse, names: Sequence[str]) -> None:
        """Return marks."""

    @abstractmethod
    async def _receive(
        self, ws: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage, now_ns: int
    ) -> None:
        """Act on a message of the bridge."""

    @abstractmethod
    async def _farewell(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Send what comes before an orderly close of ours."""

    # --- the stream ---------------------------------------------------------------------------------

    def _end(self, by: str) -> None:
        if self.ended_by is None:
            self.ended_by = by
        self._over.set()

    async def _upgraded(
        self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]
    ) -> aiohttp.ClientWebSocketResponse | None:
        timeout = aiohttp.ClientWSTimeout(ws_close=5.0)
        try:
            async with asyncio.timeout(_UPGRADE_TIMEOUT_S):
                self._ws = await http.ws_connect(url, headers=headers, timeout=timeout, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            self.upgrade_status = error.status
        except (aiohttp.ClientError, TimeoutError):
            pass  # no connection, or nobody who answers: there is no status
        else:
            self.upgrade_status = 101
            return self._ws
        self._end("upgrade")
        return None

    async def _stream(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.started_ns = time.monotonic_ns()
        reader = asyncio.create_task(self._read(ws))
        speaker = asyncio.create_task(self._speak(ws))
        try:
            await asyncio.wait_for(self._over.wait(), self.max_s)
        except TimeoutError:
            self._end("timeout")
        finally:
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)
            await self._close(ws)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            self.ended_ns = time.monotonic_ns()

    async def _close(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        if not ws.closed and self.ended_by != "bridge":
            if self._cut:
                # With SO_LINGER 0 this is a TCP reset, otherwise an end without a close frame.
                ws._response.close()
                return
            with suppress(ConnectionError, aiohttp.ClientError):  # the bridge may be faster
                await self._farewell(ws)
        await ws.close(code=1000)
        self.close_code = ws.close_code

    async def _speak(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        try:
            await self._open(ws)
            self._streaming.set()
            if self.on_media_start is not None:
                self.on_media_start(self)
            await self._tick_for_ever(ws, play_caller(self.caller, self.ear, self.ear.fmt))
        except (ConnectionError, aiohttp.ClientError):
            self._end("bridge")

    async def _tick_for_ever(self, ws: aiohttp.ClientWebSocketResponse, voice: Iterator[Tick]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        n_ticks = 0
        while not self._over.is_set():
            # The clock is absolute: a late wake-up is made up for, never carried along.
            due = begun + n_ticks * _TICK_S / self.speed
            await asyncio.sleep(max(0.0, due - loop.time()))
            n_ticks += 1
            now_ns = time.monotonic_ns()
            await self._send_marks(ws, self.ear.tick(now_ns))
            await self._emit(ws, next(voice), now_ns, n_ticks)

    async def _emit(self, ws: aiohttp.ClientWebSocketResponse, tick: Tick, now_ns: int, n_ticks: int) -> None:
        self.step_timeouts += tick.timed_out
        if tick.step is not None:
            if self._last_step is not tick.step:
                self.said.append(Said(tick.step.clip, now_ns, now_ns, isinstance(tick.step, Interrupt)))
                self._last_step = tick.step
            self.said[-1].ended_ns = now_ns
        if tick.digit is not None:
            self.digits.append((tick.digit, now_ns))
            await self._send_digit(ws, tick.digit)
        self.sent += tick.audio
        await self._send_frame(ws, tick.audio, n_ticks)
        if tick.hang_up:
            self.hang_up()

    def _note_payload(self, payload: bytes, now_ns: int) -> None:
        self.received += payload
        self.received_ns.append(now_ns)
        self.payload_sizes.append(len(payload))

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            await self._receive(ws, message, time.monotonic_ns())
        self._end("bridge")
