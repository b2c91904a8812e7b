"""A load, phase by phase: place the calls, let them warm up, measure, let the pipeline drain, hang up."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec

from vapimedia.bench.load import heads
from vapimedia.bench.load.control import Control
from vapimedia.bench.load.generator import now_ns
from vapimedia.errors import ConfigError, VapimediaError

__all__ = ["ACCOUNT", "LoadRun", "Span", "Times", "sid"]

_NS = 1_000_000_000
_JOIN_TIMEOUT_S = 5.0
_END_TIMEOUT_S = 5.0
_SMALL_BUFFER = 4096
ACCOUNT = "AC" + "0" * 32


class Times(msgspec.Struct, frozen=True):
    """How long frames go uncounted: before figures are taken, after, and at most while none are sent any more."""

    warm_up_s: float = 1.0
    tail_s: float = 0.6
    drain_s: float = 1.0


class Span(msgspec.Struct):
    """What was measured between two moments."""

    seconds: float = 0.0
    bridge_cpu_ns: int | None = None
    generator_cpu_ns: int = 0
    arrived: int = 0


class LoadRun(Control):
    """Calls to one bridge at *url*, and the Vapi that it calls. One thread; ``close`` when done.

    *bridge_cpu_ns* tells the bridge's processor time so far, *check* raises when the bridge is no more.
    """

    def __init__(
        self,
        *,
        vapi_port: int = 0,
        times: Times | None = None,
        bridge_cpu_ns: Callable[[], int | None] = lambda: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._times = times or Times()
        self._bridge_cpu_ns = bridge_cpu_ns
        self._check = check
        self._host, self._port, self._path = "127.0.0.1", 0, "/"
        self._n_calls = 0
        self._data: dict[int, bytes] = {}
        self._phones: dict[int, int] = {}
        self._dialled = -1
        self._formats: dict[int, bool] = {}
        self._seen = ""
        try:
            listener = socket.create_server(("127.0.0.1", vapi_port), backlog=1024)
        except OSError as error:
            raise ConfigError(f"cannot listen on port {vapi_port}: {error.strerror}") from None
        listener.setblocking(False)
        self.vapi_port: int = listener.getsockname()[1]
        self.watch(listener.detach(), listening=True)

    def aim(self, url: str) -> None:
        """Take the URL of the bridge's media socket. Raises ``ConfigError``."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:  # beyond 65535
            port = None
        if parts.scheme != "ws" or not parts.hostname or not port:
            raise ConfigError(f"a bridge's URL looks like ws://127.0.0.1:8080/twilio/media, not {url!r}")
        self._host, self._port, self._path = parts.hostname, port, parts.path or "/"

    def follow(self, bridge_cpu_ns: Callable[[], int | None], check: Callable[[], None]) -> None:
        self._bridge_cpu_ns, self._check = bridge_cpu_ns, check

    # --- phases ----------------------------------------------------------------------------------------------

    def serial(self, call: int) -> int:
        """Return the number that names the call at a place: the place's own, as each has one call."""
        return call

    def begin(self, n_calls: int, *, mulaw: bool, window: int = 0) -> None:
        """Make room for *n_calls*; a *window* above 0 is a closed loop."""
        self.prepare(n_calls, mulaw=mulaw)
        self.window = window
        self._n_calls = 0

    def place_calls(self, n_calls: int, *, n_deaf: int = 0) -> None:
        """Place calls until there are *n_calls*, one after the other; the first *n_deaf* get a small receive buffer.

        Raises ``VapimediaError`` when the bridge does not open both legs of one.
        """
        self.sending = not self.window  # a closed loop would keep the bridge from taking calls
        for call in range(self._n_calls, n_calls):
            self._seen = "it did not POST /call"
            self._dialled = call
            self._dial(call, small=call < n_deaf)
            if not self.pass_time(_JOIN_TIMEOUT_S, until=lambda call=call: self.is_joined(call)):  # type: ignore[misc]
                raise VapimediaError(
                    f"call {call + 1} of {n_calls}: the bridge did not join its legs within {_JOIN_TIMEOUT_S:g} s; "
                    f"{self._seen}"
                )
        self._dialled = -1
        self._n_calls = n_calls
        self.sending = True

    def warm_up(self) -> None:
        self.stall_ns = 50_000_000
        self.pass_time(self._times.warm_up_s)
        self.stall_ns = 500_000_000

    def count_for(self, seconds: float, events: Sequence[tuple[float, Callable[[], None]]] = ()) -> Span:
        """Take figures for so long; *events* happen so many seconds after the beginning."""
        before = self._span()
        self.counting = True
        passed = 0.0
        for at, event in events:
            self.pass_time(at - passed)
            event()
            passed = at
        self.pass_time(seconds - passed)
        self.counting = False
        after = self._span()
        cpu = None
        if before.bridge_cpu_ns is not None and after.bridge_cpu_ns is not None:
            cpu = after.bridge_cpu_ns - before.bridge_cpu_ns
        return Span(
            after.seconds - before.seconds,
            cpu,
            after.generator_cpu_ns - before.generator_cpu_ns,
            after.arrived - before.arrived,
        )

    def drain(self) -> None:
        """Send on for a while, uncounted, so that what a codec holds comes out; then only listen, until all came."""
        self.pass_time(self._times.tail_s)
        self.sending = False
        self.pass_time(self._times.drain_s, until=lambda: self.under_way() <= 0)

    def end_calls(self) -> tuple[int, int]:
        """Send ``stop`` and wait for both ends.

        Return how many calls did not end on both legs, and how many ended without a close frame.
        """
        self.is_ending = True
        for call in range(self._n_calls):
            self.say_stop(call)
            self.pass_time(0.001)
        self.pass_time(
            _END_TIMEOUT_S, until=lambda: all(all(self.ends(call)) for call in range(self._n_calls))
        )
        ends = [self.ends(call) for call in range(self._n_calls)]
        for call in range(self._n_calls):
            self.hang_up(call)
        return sum(not all(pair) for pair in ends), sum(2 in pair for pair in ends)

    def say_stop(self, call: int) -> None:
        """Have the phone say that its caller has hung up."""
        message = {
            "event": "stop",
            "sequenceNumber": str(self.sequence(call)),
            "stop": {"accountSid": ACCOUNT, "callSid": sid("CA", self.serial(call))},
            "streamSid": sid("MZ", self.serial(call)),
        }
        self.send_text(call, msgspec.json.encode(message))

    def pass_time(self, seconds: float, *, until: Callable[[], bool] | None = None) -> bool:
        """Run the loop for so long, or until *until* holds; return whether it did."""
        end_ns = now_ns() + int(seconds * _NS)
        while now_ns() < end_ns:
            self.turn(end_ns)
            self._check()
            if until is not None and until():
                return True
        return until is None

    def _span(self) -> Span:
        arrived = sum(int(flow["arrived"] or 0) for flows in self.totals() for flow in flows)
        return Span(now_ns() / _NS, self._bridge_cpu_ns(), time.thread_time_ns(), arrived)

    # --- heads -----------------------------------------------------------------------------------------------

    def _dial(self, call: int, *, small: bool) -> None:
        place = self._connect(small=small)
        self._phones[place] = call
        self._begin_head(place, call)

    def _connect(self, *, small: bool = False) -> int:
        """Return the place of a new connection to the bridge."""
        phone = socket.socket()
        try:
            if small:
                phone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
            phone.settimeout(_JOIN_TIMEOUT_S)
            phone.connect((self._host, self._port))
        except OSError as error:
            phone.close()
            raise VapimediaError(
                f"cannot connect to the bridge at {self._host}:{self._port}: {error.strerror or error}"
            ) from None
        phone.setblocking(False)
        return self.watch(phone.detach())

    def _begin_head(self, place: int, call: int) -> None:
        """Send what the phone says first on a new connection."""
        self.send_raw(place, heads.phone_request(self._host, self._port, self._path))

    def on_head(self, place: int, data: bytes) -> None:
        """Take bytes of a connection that is no WebSocket yet."""
        if not data:
            self._data.pop(place, None)
            self.drop(place)
            if place in self._phones:
                call = self._phones.pop(place)
                raise VapimediaError(
                    f"call {call + 1}: the bridge closed the phone's connection before the handshake"
                )
            return
        self._data[place] = self._data.get(place, b"") + data
        while (request := heads.read_request(self._data[place])) is not None:
            self._data[place] = request.rest
            if place in self._phones:
                self._on_phone_head(place, request)
                return
            if "websocket" in request.headers.get("upgrade", "").lower():
                self._on_upgrade(place, request)
                return
            self.send_raw(place, self._answer(request))

    def _on_phone_head(self, place: int, head: heads.Request) -> None:
        call = self._phones.pop(place)
        del self._data[place]
        if head.target != "101":
            raise VapimediaError(
                f"call {call + 1}: the bridge answered the phone's handshake with {head.target}"
            )
        self.become_phone(place, call, head.rest)
        stream = sid("MZ", self.serial(call))
        start = {
            "accountSid": ACCOUNT,
            "streamSid": stream,
            "callSid": sid("CA", self.serial(call)),
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        self.send_text(call, b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        number = str(self.sequence(call))
        self.send_text(
            call,
            msgspec.json.encode(
                {"event": "start", "sequenceNumber": number, "start": start, "streamSid": stream}
            ),
        )

    def _answer(self, request: heads.Request) -> bytes:
        if request.method != "POST" or not request.target.endswith("/call"):
            return heads.answer(404)
        if self._dialled < 0:
            return heads.answer(409)
        audio_format, mulaw = heads.wanted_format(request.body)
        if mulaw is None:
            raise VapimediaError(
                f"the bridge asks Vapi for {audio_format}; it must be mulaw/8000 or pcm_s16le/16000"
            )
        self._formats[self._dialled] = mulaw
        self._seen = "it did not open the call's socket"
        return heads.call_answer(self.serial(self._dialled), self.vapi_port, audio_format)

    def _on_upgrade(self, place: int, request: heads.Request) -> None:
        name = request.target.strip("/").partition("/")[0]
        call, number = self._dialled, name.removeprefix("load-")
        del self._data[place]
        if call < 0 or number != str(self.serial(call)):
            self.send_raw(place, heads.answer(404))
            self.drop(place)
            return
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": heads.accept_key(request.headers.get("sec-websocket-key", "")),
        }
        self.send_raw(place, heads.answer(101, headers))
        self._seen = "the phone's leg is not open"
        self.become_vapi(place, call, request.rest, mulaw=self._formats[call])


def sid(kind: str, call: int) -> str:
    """Return the name of a call (``CA``) or its stream (``MZ``)."""
    return f"{kind}{call:032x}"
