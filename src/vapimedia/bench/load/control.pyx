# cython: freethreading_compatible=True
"""What the generator is told from Python: sockets that become legs, messages once a call, stalls, figures."""

from libc.stdint cimport int64_t, uint8_t

from libc.string cimport memcpy, memset

from vapimedia.bench.load.flow cimport (
    Histogram, flow_counts, flow_forgive, flow_free, flow_open, histogram_figures, histogram_merge)
from vapimedia.bench.load.generator cimport DOWN, UP, Call, Generator
from vapimedia.bench.load.marks cimport mark_reader_open
from vapimedia.bench.load.net cimport (
    CUT, EPOLLIN, EPOLLOUT, HEAD, LISTENING, OPEN, PHONE, VAPI, Conn, Kind, clock_ns, conn_close, conn_reset,
    conn_send, conn_unread, conn_watch, net_add)
from vapimedia.bench.load.phone cimport SID
from vapimedia.bench.load.wire cimport CLOSE, HEAD_ROOM, TEXT, keep

__all__ = ["Control"]

cdef enum:
    UNDER_WAY = 50  # frames: a second


cdef class Control(Generator):
    """A generator with what is done once a call. Calls and sockets are named by their numbers and places."""

    def watch(self, int fd, *, bint listening=False):
        """Watch a socket, which is the generator's from now on; return its place."""
        place = net_add(&self.net, fd, LISTENING if listening else HEAD)
        if place < 0:
            raise OSError("too many connections at the generator")
        return place

    def become_phone(self, int place, int call, bytes rest):
        """The socket at *place* is this call's phone from now on; *rest* came behind its handshake."""
        self._become(place, PHONE, call, rest)
        self.calls[call].phone = place
        self.calls[call].phone_end = OPEN

    def become_vapi(self, int place, int call, bytes rest, *, bint mulaw):
        """The socket at *place* is this call's Vapi leg, in the format that the bridge asked for."""
        self._become(place, VAPI, call, rest)
        self.calls[call].vapi = place
        self.calls[call].vapi_end = OPEN
        if self.calls[call].is_mulaw != mulaw:
            self.calls[call].is_mulaw = self.calls[call].up.is_mulaw = mulaw
            mark_reader_open(&self.calls[call].up.reader, 4 if mulaw else 8, call, UP)

    def _become(self, int place, Kind kind, int call, bytes rest):
        cdef Conn* conn = &self.net.conns[place]
        conn.kind = kind
        conn.call = call
        if not keep(&conn.inbox.part, <const uint8_t*><const char*>rest, <size_t>len(rest)):
            raise MemoryError
        self.changed = True

    def is_joined(self, int call):
        """Return whether both legs are open."""
        return self.calls[call].phone >= 0 and self.calls[call].vapi >= 0

    def is_open(self, int call):
        """Return whether the phone and the Vapi leg are open now."""
        return self.calls[call].phone >= 0, self.calls[call].vapi >= 0

    def ends(self, int call):
        """Return how the phone and the Vapi leg ended: 0 not, 1 by a close frame, 2 without one."""
        return <int>self.calls[call].phone_end, <int>self.calls[call].vapi_end

    def send_raw(self, int place, bytes data not None):
        """Send bytes that are no WebSocket frame: a head of HTTP."""
        conn_send(&self.net, &self.net.conns[place], <const uint8_t*><const char*>data, <size_t>len(data))

    def send_text(self, int call, bytes text not None):
        """Send one of the phone's messages. Does nothing when its socket is gone."""
        self._say(self.calls[call].phone, text, TEXT)

    def send_event(self, int call, bytes text not None):
        """Send one of Vapi's messages. Does nothing when its socket is gone."""
        self._say(self.calls[call].vapi, text, TEXT)

    def send_close(self, int call, int code, *, bint vapi):
        """Begin to close one leg: the phone's, or Vapi's."""
        cdef int place = self.calls[call].vapi if vapi else self.calls[call].phone
        if place >= 0:
            self.net.conns[place].said_close = True
            self._say(place, code.to_bytes(2, "big"), CLOSE)

    cdef _say(self, int place, bytes payload, int opcode):
        cdef bytearray room = bytearray(HEAD_ROOM) + payload
        if place >= 0:
            self.send_message(&self.net.conns[place], <uint8_t*><char*>room + HEAD_ROOM, <size_t>len(payload), opcode)

    def cut(self, int call, *, bint vapi, bint reset):
        """End one leg's connection without a close frame: by FIN, or by a reset."""
        cdef int place = self.calls[call].vapi if vapi else self.calls[call].phone
        if place < 0:
            return
        if reset:
            conn_reset(&self.net.conns[place])
        self.net.conns[place].end = CUT
        self.leg_ended(&self.net.conns[place])

    def sequence(self, int call):
        """Return the number of the phone's next message."""
        self.calls[call].sequence += 1
        return self.calls[call].sequence

    def drop(self, int place):
        """Close a socket that is no leg."""
        conn_close(&self.net, &self.net.conns[place])

    def hang_up(self, int call):
        """Close both sockets without a word; what they were is forgotten."""
        cdef int phone = self.calls[call].phone
        cdef int vapi = self.calls[call].vapi
        if phone >= 0:
            conn_close(&self.net, &self.net.conns[phone])
        if vapi >= 0:
            conn_close(&self.net, &self.net.conns[vapi])
        self.calls[call].phone = self.calls[call].vapi = -1

    def is_whole(self, int call):
        """Return whether no leg of the call has ended."""
        return self.calls[call].phone_end == OPEN and self.calls[call].vapi_end == OPEN

    def let_end(self, int call):
        """The call's legs may end now: nothing more is sent, and what is under way may be lost."""
        self.calls[call].is_ending = True
        flow_forgive(&self.calls[call].up, UNDER_WAY)
        flow_forgive(&self.calls[call].down, UNDER_WAY)

    def renew(self, int call, bytes stream not None):
        """Another call takes the place of one whose sockets are gone; its figures of frames begin anew.

        *stream* is its name, of the length of Twilio's. Raises ``ValueError`` for another.
        """
        cdef Call* renewed = &self.calls[call]
        if len(stream) != SID:
            raise ValueError("a stream's name has 34 characters")
        mulaw = renewed.is_mulaw
        self.hang_up(call)
        flow_free(&renewed.up)
        flow_free(&renewed.down)
        memset(renewed, 0, sizeof(Call))
        renewed.number = call
        renewed.phone = renewed.vapi = -1
        renewed.is_mulaw = mulaw
        memcpy(renewed.sid, <const char*>stream, SID)
        if not flow_open(&renewed.up, call, UP, mulaw, &self.figures.up, &self.figures.held_age,
                         &self.figures.after_age):
            raise MemoryError
        if not flow_open(&renewed.down, call, DOWN, True, &self.figures.down, &self.figures.held_age,
                         &self.figures.after_age):
            raise MemoryError

    def count_from(self, int call, int64_t at_ns):
        """Frames that the call sends before then do not count."""
        self.calls[call].counts_from_ns = at_ns

    def counts_of(self, int call):
        """Return the counts of both directions of one call."""
        return flow_counts(&self.calls[call].up), flow_counts(&self.calls[call].down)

    def forget_latencies(self):
        """Times begin anew, those of sends too."""
        memset(&self.figures.up, 0, sizeof(Histogram))
        memset(&self.figures.down, 0, sizeof(Histogram))
        memset(&self.figures.late, 0, sizeof(Histogram))

    def leave_out(self, int call, bint out=True):
        """The latencies of this call do not go into the figures, or do so again."""
        self.calls[call].up.measures = self.calls[call].down.measures = not out

    def set_apart(self, int n_calls):
        """The latencies of the first calls do not go into the figures."""
        for call in range(n_calls):
            self.calls[call].up.measures = self.calls[call].down.measures = False

    def stall(self, int call):
        """The phone reads no more."""
        if self.calls[call].phone >= 0:
            conn_watch(&self.net, &self.net.conns[self.calls[call].phone], 0)

    def resume(self, int call):
        """The phone reads again. Return how many bytes lay in its own receive buffer."""
        cdef Conn* conn
        if self.calls[call].phone < 0:
            return 0
        conn = &self.net.conns[self.calls[call].phone]
        conn.own_left = conn_unread(conn)
        if conn.own_left == 0:
            self.calls[call].down.held_until_ns = clock_ns()
        conn_watch(&self.net, conn, EPOLLIN | (EPOLLOUT if conn.out.n else 0))
        return conn.own_left

    def totals(self):
        """Return the counts of each call and direction."""
        return [(flow_counts(&self.calls[i].up), flow_counts(&self.calls[i].down)) for i in range(self.n_calls)]

    def under_way(self):
        """Return how many frames that count were neither heard nor found damaged yet."""
        cdef int64_t n = 0
        for i in range(self.n_calls):
            n += self.calls[i].up.sent - self.calls[i].up.received - self.calls[i].up.corrupted
            n += self.calls[i].down.sent - self.calls[i].down.received - self.calls[i].down.corrupted
        return n

    def latencies(self):
        """Return the figures of all histograms, in us; those of what stalled readers got in ms."""
        cdef Histogram both = self.figures.up
        histogram_merge(&both, &self.figures.down)
        return {
            "uplink": histogram_figures(&self.figures.up, 1e-3),
            "downlink": histogram_figures(&self.figures.down, 1e-3),
            "both": histogram_figures(&both, 1e-3),
            "late": histogram_figures(&self.figures.late, 1e-3),
            "barge_in": histogram_figures(&self.figures.barge_in, 1e-3),
            "held_ms": histogram_figures(&self.figures.held_age, 1e-6),
            "after_ms": histogram_figures(&self.figures.after_age, 1e-6),
        }

    def odd_counts(self):
        """Return what is counted over all calls."""
        return {
            "died": self.figures.died,
            "wrong_stream": self.figures.wrong_stream,
            "interruptions": self.figures.interruptions,
            "clears": self.figures.barge_in.count,
            "clears_unasked": self.figures.clears_unasked,
            "held_frames": self.figures.held_age.count,
        }
