"""Calls that end and are replaced by others, in every way that a call can end, while the load goes on."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

import msgspec

from vapimedia.bench.load import heads
from vapimedia.bench.load.generator import now_ns
from vapimedia.bench.load.run import ACCOUNT, LoadRun, Times, sid
from vapimedia.errors import VapimediaError

__all__ = ["WAYS", "Churn", "ChurnRun"]

_NS = 1_000_000_000
_JOIN_NS = 5 * _NS
_END_NS = 5 * _NS
_FRESH_NS = 1 * _NS
"""What a call sends first does not count: its Vapi leg may still be opening."""
_STREAM = re.compile(rb'<Stream url="ws://[^/"]+(/[^"]+)"')
_TRANSCRIPT = b'{"type":"transcript","role":"user","transcriptType":"final","transcript":"one of many words"}'
_ENDED = b'{"type":"status-update","status":"ended","endedReason":"customer-ended-call"}'

_BY_ITSELF = "by itself"
_LEAVES, _NEVER = "the phone leaves while Vapi's socket opens", "the media socket never comes"
_ENDS: dict[str, Callable[[ChurnRun, int], None]] = {
    "stop": lambda run, call: run.say_stop(call),
    "Vapi ends the call": lambda run, call: run.send_event(call, _ENDED),
    "the phone closes": lambda run, call: run.send_close(call, 1000, vapi=False),
    "Vapi closes": lambda run, call: run.send_close(call, 1000, vapi=True),
    "the phone is cut": lambda run, call: run.cut(call, vapi=False, reset=False),
    "Vapi is cut": lambda run, call: run.cut(call, vapi=True, reset=False),
    "the phone is reset": lambda run, call: run.cut(call, vapi=False, reset=True),
    "Vapi is reset": lambda run, call: run.cut(call, vapi=True, reset=True),
}
WAYS = (*_ENDS, _LEAVES, _NEVER)
"""The last needs webhooks."""
_MOST_WAITING = 4
"""No more than a quarter of the calls is missing at a time."""
_SELDOM = 10
"""One call in so many does not get beyond its beginning, in one of the last two ways."""


class Churn(msgspec.Struct):
    """What became of the calls."""

    placed: int = 0
    ended: Counter[str] = msgspec.field(default_factory=Counter)
    """By the way in which they did."""
    not_ended: int = 0
    """Calls that were not over on both legs 5 s after one was."""
    not_joined: int = 0
    died: int = 0
    """Calls that ended though nobody had ended them."""
    end_ms: list[float] = msgspec.field(default_factory=list)
    """How long it took until both legs were over."""
    frames: Counter[str] = msgspec.field(default_factory=Counter)


class ChurnRun(LoadRun):
    """A load whose calls come and go. With *webhooks* each begins and ends with Twilio's, as it does at ``serve``.

    *replaces* may be switched off: calls that end are then no more replaced.
    """

    def __init__(self, *, vapi_port: int = 0, times: Times | None = None, webhooks: bool = False) -> None:
        super().__init__(vapi_port=vapi_port, times=times)
        self.churn = Churn()
        self._webhooks = webhooks
        self._serials: list[int] = []
        self._paths: dict[int, str] = {}
        self._hanging_up: set[int] = set()
        self._waiting: deque[int] = deque()
        self._live: deque[int] = deque()
        self._leaving: dict[int, tuple[str, int]] = {}
        self._created: set[int] = set()
        self._controlled: set[int] = set()
        self._dialled_ns = 0
        self._n_ends = 0
        self._end_due_ns = 0
        self.replaces = True

    def serial(self, call: int) -> int:
        return self._serials[call]

    @property
    def n_live(self) -> int:
        """Calls whose legs are both open and that nobody has begun to end."""
        return len(self._live)

    def populate(self, n_calls: int, *, mulaw: bool) -> None:
        """Begin, and place all calls one after the other. Raises ``VapimediaError`` when one is not joined."""
        self.begin(n_calls, mulaw=mulaw)
        self._serials = list(range(n_calls))
        for call in range(n_calls):
            self.renew(call, sid("MZ", call).encode())
        self._waiting.extend(range(n_calls))
        self.sending = self.counting = True
        self.go_on(_JOIN_NS / _NS * n_calls, until=lambda: self.n_live == n_calls)
        if self.n_live < n_calls:
            raise VapimediaError(f"the bridge joined {self.n_live} of {n_calls} calls; {self._seen}")

    def go_on(self, seconds: float, *, per_s: float = 0.0, until: Callable[[], bool] = lambda: False) -> None:
        """Run for so long, or until *until* holds, and end *per_s* calls a second."""
        now = now_ns()
        end = now + int(seconds * _NS)
        while now < end and not until():
            self.turn(min(end, self._end_due_ns) if per_s else end)
            self._check()
            now = now_ns()
            if per_s and now >= self._end_due_ns:
                self._end_due_ns = max(self._end_due_ns, now - int(_NS / per_s)) + int(_NS / per_s)
                self._end_one(now)
            self._step(now)

    def end_all(self) -> None:
        """End every call in one way or another, and place none anew."""
        self.replaces = False
        self._waiting.clear()
        self.go_on(_JOIN_NS / _NS + 1, until=lambda: self._dialled < 0)
        while self._live:
            self._end_one(now_ns())
        self.go_on(_END_NS / _NS + 1, until=lambda: not self._leaving)

    # --- one call's life -------------------------------------------------------------------------------------

    def _step(self, now: int) -> None:
        for call in [call for call in self._live if not self.is_whole(call)]:
            self.churn.died += 1
            self._live.remove(call)
            self.let_end(call)
            self._leaving[call] = _BY_ITSELF, now
        for call, (way, began_ns) in list(self._leaving.items()):
            if self._is_over(call, way):
                self.churn.end_ms.append((now - began_ns) / 1e6)
                self._replace(call, way)
            elif now - began_ns > _END_NS:
                self.churn.not_ended += 1
                self._replace(call, way)
        if self._dialled >= 0:
            self._look_at_dialled(self._dialled, now)
        elif self._waiting:
            self._dialled = self._waiting.popleft()
            self._dialled_ns = now
            self._seen = "it did not POST /call"
            self.churn.placed += 1
            self._dial(self._dialled, small=False)

    def _look_at_dialled(self, call: int, now: int) -> None:
        way = self._way_to_begin(call)
        phone, _vapi = self.is_open(call)
        if way == _NEVER:
            if call in self._paths and call in self._created:
                self._leave(call, way, now)
                self._tell_status(call)
        elif way == _LEAVES:
            if phone and call in self._created:
                self._leave(call, way, now)
                self.cut(call, vapi=False, reset=bool(self.serial(call) & 1))
        elif self.is_joined(call):
            self._dialled = -1
            self.count_from(call, now + _FRESH_NS)
            self._live.append(call)
            self._chat(call)
        if self._dialled == call and now - self._dialled_ns > _JOIN_NS:
            self.churn.not_joined += 1
            self._replace(call, "")
            self._dialled = -1

    def _way_to_begin(self, call: int) -> str:
        """Return which way to end this call has chosen at its beginning; empty: it will be joined."""
        number = self.serial(call) - len(self._serials)
        if number < 0 or number % _SELDOM:
            return ""
        return _NEVER if self._webhooks and number // _SELDOM % 2 else _LEAVES

    def _leave(self, call: int, way: str, now: int) -> None:
        self.let_end(call)
        self._dialled = -1
        self._leaving[call] = way, now

    def _chat(self, call: int) -> None:
        """Say what is no media, on both legs."""
        digit = {"track": "inbound_track", "digit": "5"}
        number, stream = str(self.sequence(call)), sid("MZ", self.serial(call))
        message = {"event": "dtmf", "streamSid": stream, "sequenceNumber": number, "dtmf": digit}
        self.send_text(call, msgspec.json.encode(message))
        self.send_event(call, _TRANSCRIPT)

    def _end_one(self, now: int) -> None:
        """End the call that lives longest, unless too many wait to be replaced: they are placed one after the other."""
        if not self._live or len(self._waiting) > len(self._serials) // _MOST_WAITING:
            return
        call = self._live.popleft()
        way = list(_ENDS)[self._n_ends % len(_ENDS)]
        self._n_ends += 1
        self.let_end(call)
        self._leaving[call] = way, now
        _ENDS[way](self, call)

    def _is_over(self, call: int, way: str) -> bool:
        phone, vapi = self.ends(call)
        if way == _NEVER:
            return call in self._controlled
        return bool(phone) and (bool(vapi) or (way == _LEAVES and call in self._controlled))

    def _replace(self, call: int, way: str) -> None:
        self._leaving.pop(call, None)
        if way:
            self.churn.ended[way] += 1
        for counts in self.counts_of(call):
            for name in ("sent", "received", "lost", "duplicated", "corrupted", "crossed"):
                self.churn.frames[name] += int(counts[name] or 0)
        if self._webhooks and way not in (_NEVER, _BY_ITSELF):  # whose process may be gone
            self._tell_status(call)
        for known in (self._created, self._controlled):
            known.discard(call)
        for place in [
            place for place, dialled in self._phones.items() if dialled == call
        ]:  # it never came through
            del self._phones[place]
            self._data.pop(place, None)
            self.drop(place)
        self._paths.pop(call, None)
        self._serials[call] = max(self._serials) + 1
        self.renew(call, sid("MZ", self._serials[call]).encode())
        if self.replaces:
            self._waiting.append(call)

    # --- heads -----------------------------------------------------------------------------------------------

    def _begin_head(self, place: int, call: int) -> None:
        if self._webhooks and call not in self._paths:
            self.send_raw(place, self._webhook("/twilio/voice", call, "ringing"))
        else:
            path = self._paths.get(call, self._path)
            self.send_raw(place, heads.phone_request(self._host, self._port, path))

    def _on_phone_head(self, place: int, head: heads.Request) -> None:
        call = self._phones[place]
        if not self._webhooks or call in self._paths:
            super()._on_phone_head(place, head)
            return
        del self._phones[place], self._data[place]
        self.drop(place)
        stream = _STREAM.search(head.body)
        if head.target != "200" or stream is None:
            said = head.body[:80].decode("latin-1").strip()
            raise VapimediaError(f"the bridge answered the voice webhook with {head.target}: {said}")
        self._paths[call] = stream[1].decode()
        if self._way_to_begin(call) != _NEVER:
            self._dial(call, small=False)

    def on_head(self, place: int, data: bytes) -> None:
        if place not in self._hanging_up:
            super().on_head(place, data)
            return
        self._hanging_up.discard(place)
        self.drop(place)
        if not data.startswith(b"HTTP/1.1 20"):
            raise VapimediaError(f"the bridge answered a status callback with {data[9:12].decode('latin-1')}")

    def _answer(self, request: heads.Request) -> bytes:
        name, _, what = request.target.strip("/").partition("/")
        number = name.removeprefix("load-")
        if what == "control" and number.isdigit():
            if int(number) in self._serials:  # otherwise its place has another call by now
                self._controlled.add(self._serials.index(int(number)))
            return heads.answer(200)
        answer = super()._answer(request)
        if answer.startswith(b"HTTP/1.1 201 "):
            self._created.add(self._dialled)
        return answer

    def _tell_status(self, call: int) -> None:
        """Tell, as Twilio does, that the call is over."""
        place = self._connect()
        self._hanging_up.add(place)
        self.send_raw(place, self._webhook("/twilio/status", call, "completed"))

    def _webhook(self, path: str, call: int, status: str) -> bytes:
        form = {
            "AccountSid": ACCOUNT,
            "CallSid": sid("CA", self.serial(call)),
            "CallStatus": status,
            "Direction": "inbound",
            "From": "+15005550006",
            "To": "+15005550001",
        }
        return heads.form_request(self._host, self._port, urlsplit(path).path, urlencode(form).encode())
