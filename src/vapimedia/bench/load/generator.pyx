# cython: freethreading_compatible=True
"""The generator's loop: one thread, one epoll, direct system calls, no Python object per message.

What happens once a call is not here: ``Control`` and ``LoadRun`` are the subclasses that know it.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from vapimedia.bench.load.flow cimport (
    FORGIVEN_FRAMES, Flow, flow_forgive, flow_free, flow_hear, flow_in_flight, flow_open, flow_send, histogram_add)
from vapimedia.bench.load.marks cimport CALL_NUMBERS, LONGEST_FRAME, mark_write_mulaw, mark_write_pcm
from vapimedia.bench.load.net cimport (
    CLOSED, CUT, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, FREE, HEAD, LISTENING, OPEN, PHONE, VAPI, Conn, clock_ns,
    conn_close, conn_flush, conn_receive, conn_say_no_more, conn_send, epoll_event, net_accept, net_close, net_open,
    net_wait)
from vapimedia.bench.load.phone cimport (
    LONGEST_MESSAGE, PHONE_CLEAR, PHONE_MARK, PHONE_MEDIA, SID, PhoneEvent, phone_mark, phone_media, phone_read)
from vapimedia.bench.load.wire cimport (
    BINARY, CLOSE, HEAD_ROOM, PING, PONG, SCRATCH, TEXT, Frame, Opcode, frame_wrap, inbox_next, inbox_unpack)


cdef extern from "base64.h":
    ptrdiff_t vm_base64_decode(uint8_t* dst, const char* src, size_t n) noexcept nogil

__all__ = ["Generator", "now_ns"]

cdef enum:
    FRAME_NS = 20000000
    FRAME_BYTES = 160
    READ_BYTES = 65536
    EVENTS = 256
    SENDS_A_TURN = 32
    BURST_FRAMES = 50  # a second of audio at once
    BARGE_IN_CYCLES = 50

cdef bytes _INTERRUPTED = b'{"type":"user-interrupted"}'
cdef const char* INTERRUPTED = _INTERRUPTED


def now_ns():
    """Return the clock of everything here."""
    return clock_ns()


cdef class Generator:
    """Calls that are under way, and the schedule of their frames: every 20 ms, or as soon as one came back.

    *sending* and *counting* switch frames and figures on; nothing is sent or read but in ``turn``.
    """

    def __cinit__(self, *_args, **_kwargs):
        self.random = 2463534242
        self.every = 1
        self.stall_ns = 100_000_000
        self.scratch = <uint8_t*>malloc(2 * SCRATCH)
        if self.scratch == NULL or not net_open(&self.net, 2 * CALL_NUMBERS + 256):
            raise MemoryError

    def __dealloc__(self):
        self.free_calls()
        net_close(&self.net)
        free(self.scratch)

    cdef free_calls(self):
        cdef int i
        for i in range(self.n_calls):
            flow_free(&self.calls[i].up)
            flow_free(&self.calls[i].down)
        free(self.calls)
        self.calls = NULL
        self.n_calls = 0

    def on_head(self, int place, bytes data):
        """Bytes of a connection that is no WebSocket yet; none at its end. The subclass's."""
        raise NotImplementedError

    def prepare(self, int n_calls, *, bint mulaw):
        """Forget all calls and figures; make room for *n_calls* that are numbered from 0."""
        cdef int i
        cdef Call* call
        cdef Figures* figures = &self.figures
        if not 0 < n_calls <= CALL_NUMBERS:
            raise ValueError(f"a load has 1 to {CALL_NUMBERS} calls")
        for i in range(self.net.n):
            if self.net.conns[i].kind == PHONE or self.net.conns[i].kind == VAPI:
                conn_close(&self.net, &self.net.conns[i])
        self.free_calls()
        self.calls = <Call*>calloc(<size_t>n_calls, sizeof(Call))
        if self.calls == NULL:
            raise MemoryError
        self.n_calls = n_calls
        for i in range(n_calls):
            call = &self.calls[i]
            call.number = i
            call.phone = call.vapi = -1
            call.is_mulaw = mulaw
            sid = b"MZ%032x" % i
            memcpy(call.sid, <const char*><bytes>sid, SID)
            if not flow_open(&call.up, i, UP, mulaw, &figures.up, &figures.held_age, &figures.after_age):
                raise MemoryError
            if not flow_open(&call.down, i, DOWN, True, &figures.down, &figures.held_age, &figures.after_age):
                raise MemoryError
        memset(&self.figures, 0, sizeof(Figures))
        self.sending = self.counting = self.is_ending = False
        self.interrupts = False
        self.every = 1
        self.started_ns = self.due_ns = clock_ns()
        self.cycle = self.slot = 0

    def turn(self, int64_t until_ns):
        """Run until then, or until a leg opened or ended; 50 ms at most."""
        until_ns = min(until_ns, clock_ns() + 50_000_000)
        self.changed = False
        with nogil:
            self.run_for(until_ns)
        PyErr_CheckSignals()
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble

    cdef void run_for(self, int64_t until_ns) noexcept nogil:
        cdef epoll_event events[EVENTS]
        cdef int64_t now = clock_ns()
        cdef int i, n
        while now < until_ns and not self.changed:
            self.send_due(now)
            now = clock_ns()
            n = net_wait(&self.net, events, EVENTS, max(0, min(self.due_ns, until_ns) - now))
            for i in range(n):
                self.on_ready(<int>events[i].data.u32, events[i].events)
            now = clock_ns()

    cdef void send_due(self, int64_t now_ns) noexcept nogil:
        cdef int n_slots = 2 * self.n_calls
        cdef int n_sent = 0
        if n_slots == 0:
            self.due_ns = now_ns + FRAME_NS
            return
        while self.due_ns <= now_ns and n_sent < SENDS_A_TURN:
            self.on_slot(&self.calls[self.slot >> 1], self.slot & 1, now_ns)
            n_sent += 1
            self.slot += 1
            if self.slot == n_slots:
                self.slot = 0
                self.cycle += 1
            self.due_ns = self.started_ns + self.cycle * FRAME_NS + self.slot * <int64_t>FRAME_NS // n_slots

    cdef void on_slot(self, Call* call, int direction, int64_t now_ns) noexcept nogil:
        """It is this direction's turn: once in 20 ms."""
        cdef Flow* flow = &call.up if direction == UP else &call.down
        cdef int phase = <int>((self.cycle + call.number) % BARGE_IN_CYCLES)
        if direction == UP and call.n_marks != call.marks_back:
            self.give_marks_back(call, now_ns)
        if not self.sending or call.is_ending or (call.phone < 0 if direction == UP else call.vapi < 0):
            return
        if self.window:
            if call.phone >= 0 and call.vapi >= 0:
                if flow_in_flight(flow) >= self.window + <int>flow.hold and now_ns - flow.last_ns > self.stall_ns:
                    flow.hold += 1
                self.refill(call, direction, now_ns)
            return
        if self.every > 1 and (self.cycle + call.number) % self.every:
            return
        if self.interrupts and direction == DOWN:
            if phase == 0 and self.counting:
                self.burst(call, now_ns)
            elif phase == BARGE_IN_CYCLES // 2 and call.is_bursting:
                self.interrupt(call)
            if call.is_bursting:
                return
        if self.counting:
            histogram_add(&self.figures.late, clock_ns() - self.due_ns)
        self.send_frame(call, direction)

    cdef void burst(self, Call* call, int64_t now_ns) noexcept nogil:
        cdef int _i
        for _i in range(BURST_FRAMES):
            if call.vapi >= 0:
                self.send_frame(call, DOWN)
        call.is_bursting = True

    cdef void interrupt(self, Call* call) noexcept nogil:
        cdef uint8_t room[HEAD_ROOM + 64]
        memcpy(&room[HEAD_ROOM], INTERRUPTED, 27)
        flow_forgive(&call.down, FORGIVEN_FRAMES)
        call.is_bursting = False
        call.interrupted_ns = clock_ns()
        self.figures.interruptions += 1
        self.send_message(&self.net.conns[call.vapi], &room[HEAD_ROOM], 27, TEXT)

    cdef void refill(self, Call* call, int direction, int64_t now_ns) noexcept nogil:
        """Closed loop: send until the window is full."""
        cdef Flow* flow = &call.up if direction == UP else &call.down
        while (self.sending and call.phone >= 0 and call.vapi >= 0
               and flow_in_flight(flow) < self.window + <int>flow.hold):
            self.send_frame(call, direction)

    cdef void send_frame(self, Call* call, int direction) noexcept nogil:
        cdef uint8_t room[HEAD_ROOM + 2 * LONGEST_FRAME + 64]
        cdef uint8_t mulaw[FRAME_BYTES]
        cdef uint8_t* payload = &room[HEAD_ROOM]
        cdef size_t n
        cdef int64_t now = clock_ns()
        cdef bint counts = self.counting and now >= call.counts_from_ns
        if direction == UP:
            mark_write_mulaw(mulaw, flow_send(&call.up, counts, now))
            call.sequence += 1
            call.chunk += 1
            n = phone_media(<char*>payload, call.sid, call.sequence, call.chunk, mulaw)
            self.send_message(&self.net.conns[call.phone], payload, n, TEXT)
            return
        if call.is_mulaw:
            n = FRAME_BYTES
            mark_write_mulaw(payload, flow_send(&call.down, counts, now))
        else:
            n = 2 * LONGEST_FRAME
            mark_write_pcm(<int16_t*>payload, flow_send(&call.down, counts, now), 8)
        self.send_message(&self.net.conns[call.vapi], payload, n, BINARY)

    cdef void send_message(self, Conn* conn, uint8_t* payload, size_t n, int opcode) noexcept nogil:
        """Send one frame; *payload* has room before it, and is masked in place for the phone's side."""
        cdef uint8_t* start
        self.random ^= self.random << 13  # xorshift32, Marsaglia
        self.random ^= self.random >> 17
        self.random ^= self.random << 5
        start = frame_wrap(payload, n, <Opcode>opcode, conn.kind == PHONE, self.random)
        if not conn_send(&self.net, conn, start, n + <size_t>(payload - start)):
            conn.end = CUT if conn.end == OPEN else conn.end
            self.leg_ended(conn)

    cdef void give_marks_back(self, Call* call, int64_t now_ns) noexcept nogil:
        """Return the marks whose audio has been played by now; in a closed loop it is played at once."""
        cdef uint8_t room[HEAD_ROOM + LONGEST_MESSAGE]
        cdef Pending* mark
        cdef size_t n
        while call.marks_back != call.n_marks and call.phone >= 0:
            mark = &call.marks[call.marks_back % MARKS]
            if mark.due_ns > now_ns and not self.window:
                return
            call.marks_back += 1
            call.sequence += 1
            n = phone_mark(<char*>&room[HEAD_ROOM], call.sid, call.sequence, mark.name, mark.n)
            self.send_message(&self.net.conns[call.phone], &room[HEAD_ROOM], n, TEXT)

    cdef void on_ready(self, int place, uint32_t events) noexcept nogil:
        cdef Conn* conn = &self.net.conns[place]
        if conn.kind == LISTENING:
            net_accept(&self.net, conn.fd)
        elif conn.kind == HEAD:
            self.give_head(place)
        elif conn.kind != FREE:
            if events & EPOLLOUT and not conn_flush(&self.net, conn):
                conn.end = CUT if conn.end == OPEN else conn.end
                self.leg_ended(conn)
            elif events & (EPOLLIN | EPOLLHUP | EPOLLERR):
                self.receive(conn)

    cdef void receive(self, Conn* conn) noexcept nogil:
        cdef Frame frame
        cdef uint8_t* at = self.scratch
        cdef size_t n = inbox_unpack(&conn.inbox, at)
        cdef size_t room = READ_BYTES if conn.own_left == 0 else <size_t>min(conn.own_left, <int64_t>READ_BYTES)
        cdef ssize_t taken = conn_receive(conn, at + n, room)
        cdef int64_t now = clock_ns()
        cdef int code = 1
        if taken > 0:
            n += <size_t>taken
        while code > 0 and conn.kind != FREE:
            code = inbox_next(&conn.inbox, &at, &n, &frame)
            if code > 0:
                self.on_frame(conn, &frame, now)
        if conn.kind != FREE and (code < 0 or taken == 0):
            conn.end = CUT if conn.end == OPEN else conn.end
            self.leg_ended(conn)
        elif conn.kind == PHONE and conn.own_left > 0 and taken > 0:
            conn.own_left -= taken
            if conn.own_left <= 0:
                conn.own_left = 0
                self.calls[conn.call].down.held_until_ns = now

    cdef void on_frame(self, Conn* conn, Frame* frame, int64_t now_ns) noexcept nogil:
        cdef uint8_t room[HEAD_ROOM + 128]
        cdef Call* call = &self.calls[conn.call]
        if frame.opcode == TEXT and conn.kind == PHONE:
            self.on_phone_text(call, <const char*>frame.payload, frame.n, now_ns)
        elif frame.opcode == BINARY and conn.kind == VAPI:
            flow_hear(&call.up, frame.payload, frame.n, now_ns, self.counting)
            if self.window:
                self.refill(call, UP, now_ns)
        elif frame.opcode == PING or frame.opcode == CLOSE:
            memcpy(&room[HEAD_ROOM], frame.payload, frame.n)
            if frame.opcode == PING:
                self.send_message(conn, &room[HEAD_ROOM], frame.n, PONG)
                return
            conn.end = CLOSED
            if not conn.said_close:
                self.send_message(conn, &room[HEAD_ROOM], frame.n, CLOSE)
            if conn.kind != FREE:
                conn_say_no_more(conn)
                self.leg_ended(conn)

    cdef void on_phone_text(self, Call* call, const char* message, size_t n, int64_t now_ns) noexcept nogil:
        cdef uint8_t mulaw[READ_BYTES]
        cdef PhoneEvent event
        cdef Pending* mark
        cdef ptrdiff_t n_audio
        phone_read(message, n, call.sid, &event)
        self.figures.wrong_stream += not event.is_ours
        if event.word == PHONE_MEDIA:
            n_audio = vm_base64_decode(mulaw, event.text, min(event.n, <size_t>READ_BYTES))
            if n_audio <= 0:
                call.down.corrupted += self.counting
                return
            call.played_until_ns = max(call.played_until_ns, now_ns) + n_audio * (FRAME_NS // FRAME_BYTES)
            flow_hear(&call.down, mulaw, <size_t>n_audio, now_ns, self.counting)
            if self.window:
                self.refill(call, DOWN, now_ns)
        elif event.word == PHONE_MARK:
            if call.n_marks - call.marks_back == MARKS:
                call.marks_back += 1  # a bridge that sends more has to do without the oldest
            mark = &call.marks[call.n_marks % MARKS]
            mark.due_ns = call.played_until_ns
            mark.n = event.n
            memcpy(mark.name, event.text, event.n)
            call.n_marks += 1
            if self.window:
                self.give_marks_back(call, now_ns)
        elif event.word == PHONE_CLEAR:
            call.played_until_ns = now_ns
            if call.interrupted_ns:
                histogram_add(&self.figures.barge_in, now_ns - call.interrupted_ns)
                call.interrupted_ns = 0
            else:
                self.figures.clears_unasked += 1
            for i in range(MARKS):
                call.marks[i].due_ns = 0
            self.give_marks_back(call, now_ns)

    cdef void leg_ended(self, Conn* conn) noexcept nogil:
        """One side of a call is over, by whomever."""
        cdef Call* call = &self.calls[conn.call]
        self.figures.died += not self.is_ending and not call.is_ending
        if conn.kind == PHONE:
            call.phone = -1
            call.phone_end = conn.end
        else:
            call.vapi = -1
            call.vapi_end = conn.end
        conn_close(&self.net, conn)
        self.changed = True

    cdef void give_head(self, int place) noexcept nogil:
        cdef ssize_t n = conn_receive(&self.net.conns[place], self.scratch, READ_BYTES)
        if n < 0:
            return
        with gil:
            try:
                self.on_head(place, (<const char*>self.scratch)[:n])
            except BaseException as error:  # told to whoever runs the loop
                self.trouble = error
                self.changed = True
