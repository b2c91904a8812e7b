"""What fake calls of every provider share: the caller's clock, voice and ear, and the record of the call."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from vapimedia.testing.caller import CallerStep, Interrupt, Tick, play_caller
from vapimedia.testing.ear import BargeIn, Clear, Ear, Mark
from vapimedia.testing.fault_proxy import FaultProxy
from vapimedia.testing.phone_faults import FaultyMedia, PhoneFaults
from vapimedia.testing.phone_path import finish, lead_through, until_left

__all__ = ["FakePhone", "Said"]

_TICK_S = 0.020
_UPGRADE_TIMEOUT_S = 10.0
_EARLY_S = 0.2


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
    call; ``upgrade_status`` is 101 once there was a media socket. ``injected`` counts what *faults* did, by the
    names of their fields, and ``media_proxy`` is what the media socket goes through where they are of the network.
    """

    lacks: ClassVar[frozenset[str]] = frozenset()  # faults that this provider's protocol has no place for

    def __init__(
        self,
        *,
        caller: Sequence[CallerStep],
        ear: Ear,
        speed: float,
        max_s: float,
        faults: PhoneFaults | None,
        on_media_start: Callable[[Any], None] | None,
    ) -> None:
        self.caller, self.ear = tuple(caller), ear
        self.speed, self.max_s = speed, max_s
        self.faults = faults or PhoneFaults()
        self.faults.check(type(self).__name__, self.lacks)
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

        self.media_proxy: FaultProxy | None = None
        self._faulty = FaultyMedia(self.faults)
        self.injected = self._faulty.injected
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
        """Send the start of media."""

    @abstractmethod
    def _frame(self, audio: bytes, n_ticks: int) -> str | bytes:
        """Return the message that carries the *n_ticks*-th frame."""

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

    async def _greet(self, ws: aiohttp.ClientWebSocketResponse) -> None:  # noqa: B027  most say nothing
        """Send what comes before the start."""

    # --- the stream ---------------------------------------------------------------------------------

    def _end(self, by: str) -> None:
        broken_by = (
            self.media_proxy and self.media_proxy.connections and self.media_proxy.connections[0].broken_by
        )
        if by == "bridge" and broken_by in {"reset", "cut"}:
            by = broken_by
        if self.ended_by is None:
            self.ended_by = by
        self._over.set()

    async def _upgraded(
        self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]
    ) -> aiohttp.ClientWebSocketResponse | None:
        more: dict[str, Any] = {"timeout": aiohttp.ClientWSTimeout(ws_close=5.0), "max_msg_size": 0}
        try:
            async with asyncio.timeout(_UPGRADE_TIMEOUT_S):
                if self.faults.network:
                    self.media_proxy, url, detour = await lead_through(url, self.faults.network)
                    headers, more = headers | detour.pop("headers"), more | detour
                self._ws = await http.ws_connect(url, headers=headers, **more)
        except aiohttp.WSServerHandshakeError as error:
            self.upgrade_status = error.status
        except (aiohttp.ClientError, TimeoutError):
            pass  # no connection, or nobody who answers: there is no status
        else:
            self.upgrade_status = 101
            return self._ws
        self._end("upgrade")
        if self.media_proxy is not None:
            await self.media_proxy.close()
        return None

    async def _stream(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.started_ns = time.monotonic_ns()
        reader = asyncio.create_task(self._read(ws))
        speakers = [asyncio.create_task(work) for work in (self._speak(ws), *self._trouble(ws))]
        try:
            await asyncio.wait_for(self._over.wait(), self.max_s)
        except TimeoutError:
            self._end("timeout")
        finally:
            for speaker in speakers:
                speaker.cancel()
            await asyncio.gather(*speakers, return_exceptions=True)
            await self._close(ws)
            if self.media_proxy is not None:
                await finish(self.media_proxy)
            # What never filled a message has not left.
            del self.sent[len(self.sent) - self._n_unsent() :]
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            self.ended_ns = time.monotonic_ns()

    def _n_unsent(self) -> int:
        return self._faulty.n_pending

    def _trouble(self, ws: aiohttp.ClientWebSocketResponse) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what goes on beside the call by the faults."""
        faults = self.faults

        async def start_again(after_s: float) -> None:
            await asyncio.sleep(after_s)
            self.injected["second_start_after_s"] += 1
            await self._open(ws)

        async def put_down(after_s: float) -> None:
            await asyncio.sleep(after_s)
            self.injected["hang_up_after_s"] += 1
            self.hang_up()

        if faults.second_start_after_s is not None:
            yield start_again(faults.second_start_after_s)
        if faults.hang_up_after_s is not None:
            yield put_down(faults.hang_up_after_s)
        if self.media_proxy is not None:
            yield self._watch(self.media_proxy)

    async def _watch(self, proxy: FaultProxy) -> None:
        await until_left(proxy)
        self._end("bridge")

    async def _close(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        if self.media_proxy is not None:
            await self.media_proxy.let_go()
        if not ws.closed and self.ended_by != "bridge":
            if self._cut:
                # With SO_LINGER 0 this is a TCP reset, otherwise an end without a close frame.
                ws._response.close()
                return
            with suppress(ConnectionError, aiohttp.ClientError):  # the bridge may be faster
                await self._say_goodbye(ws)
        await ws.close(code=1000)
        self.close_code = ws.close_code

    async def _say_goodbye(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await _put(ws, self._faulty.flush())
        await self._farewell(ws)
        silence = self.ear.fmt.silence * (self.ear.fmt.frame_bytes() // self.ear.fmt.bytes_per_sample)
        for _ in range(self.faults.media_after_stop):
            self.injected["media_after_stop"] += 1
            await _put(ws, [self._frame(silence, 1)])
        if self.faults.stop_twice:
            self.injected["stop_twice"] += 1
            await self._farewell(ws)

    async def _speak(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        starting: asyncio.Task[None] | None = None
        try:
            await self._greet(ws)
            if self.faults.early_media:
                starting = asyncio.create_task(self._start(ws))
            else:
                await self._start(ws)
                if self.faults.no_start:
                    return
            self._streaming.set()
            if self.on_media_start is not None:
                self.on_media_start(self)
            await self._tick_for_ever(ws, play_caller(self.caller, self.ear, self.ear.fmt))
        except (ConnectionError, aiohttp.ClientError):
            self._end("bridge")
        finally:
            if starting is not None:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)

    async def _start(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        faults = self.faults
        for name in ("late_start_s", "no_start", "early_media", "wrong_rate", "wrong_encoding"):
            if getattr(faults, name):
                self.injected[name] += 1
        await asyncio.sleep(max(faults.late_start_s, _EARLY_S if faults.early_media else 0.0))
        if not faults.no_start:
            await self._open(ws)

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
        await self._send_audio(ws, tick.audio, n_ticks)
        if tick.hang_up:
            self.hang_up()

    async def _send_audio(self, ws: aiohttp.ClientWebSocketResponse, audio: bytes, n_ticks: int) -> None:
        for payload in self._faulty.cut(audio):
            n_copies = self._faulty.copies((time.monotonic_ns() - self.started_ns) / 1e9)
            self.sent += payload * (n_copies - 1)
            for _ in range(n_copies):
                await _put(ws, self._faulty.order(self._frame(payload, n_ticks)))

    def _note_payload(self, payload: bytes, now_ns: int) -> None:
        self.received += payload
        self.received_ns.append(now_ns)
        self.payload_sizes.append(len(payload))

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            await self._receive(ws, message, time.monotonic_ns())
        self._end("bridge")


async def _put(ws: aiohttp.ClientWebSocketResponse, messages: Iterable[str | bytes]) -> None:
    for message in messages:
        if isinstance(message, str):
            await ws.send_str(message)
        else:
            await ws.send_bytes(message)
