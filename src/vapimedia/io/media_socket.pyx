# cython: language_level=3, cdivision=True
"""One leg's WebSocket. This is the one file that knows picows' C interface."""

import asyncio

import picows

from vapimedia.errors import ConfigError
from vapimedia.io.call_log import NOBODY
from vapimedia.io.socket_options import tune

from cpython.ref cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.string cimport memcpy

from picows.picows cimport WSCloseCode, WSListener, WSTransport

from vapimedia.io.assembly cimport Assembly
from vapimedia.io.clock cimport monotonic_ns
from vapimedia.io.heartbeat cimport BEAT_LATE, BEAT_NONE, BEAT_PING, Beat, Heartbeat
from vapimedia.io.lane cimport (
    END_BROKEN, END_OF_STREAM, END_TOO_BIG, VM_WS_BINARY, VM_WS_CLOSE, VM_WS_CONTINUATION, VM_WS_PING, VM_WS_PONG,
    VM_WS_TEXT, End, Intake, Lane, Reactor, vm_ws_head, vm_ws_is_close_code)
from vapimedia.io.outlet cimport Outlet
from vapimedia.media.path cimport HOP_CONVERT, HOP_SEND, NOT_TAKEN, NS_PER_MS, MediaPath
from vapimedia.media.playout cimport PlayoutPath

__all__ = ["MediaSocket"]

# The C interface is bound to this minor version: a newer one would change it unseen.
if picows.__version__.split(".")[:2] != ["2", "3"]:
    raise ConfigError(
        f"vapimedia needs picows 2.3, found {picows.__version__}; install it with: pip install 'picows>=2.3.1,<2.4'")

cdef enum:
    MAX_MESSAGE = 65536    # bytes of one message, fragments together, unless the socket is told otherwise
    MAX_REASON = 123    # bytes of a close frame's text, RFC 6455 s. 5.5
    WRITE_HIGH = 0    # bytes in user space above which the path is told to wait: what waits there is late already
    MAX_BACKLOG = 262144    # bytes in user space after which the peer counts as lost
    BATCH_MESSAGES = 64    # media messages of one write
    NO_CODE = 1005    # RFC 6455 s. 7.4.1: a CLOSE came and told none

cdef double _CLOSE_TIMEOUT_S = 0.5


cdef void lane_frame(PyObject* taker, const vm_ws_head* head, char* payload, int64_t now) noexcept:
    cdef MediaSocket receiver = <MediaSocket>taker
    try:
        receiver._take(head.opcode, head.fin, head.rsv, payload, <size_t>head.n_payload, now)
    except Exception as error:    # whatever broke is this call's; picows does the same
        receiver.log.broke("message_failed", error)
        receiver.close(1011)


cdef void lane_end(PyObject* taker, End why) noexcept:
    cdef MediaSocket receiver = <MediaSocket>taker
    if why == END_BROKEN:
        receiver._fail(WSCloseCode.PROTOCOL_ERROR, "what came is no WebSocket frame")
    elif why == END_TOO_BIG:
        receiver._fail(WSCloseCode.MESSAGE_TOO_BIG, "a message is too big")
    else:
        receiver._leave_lane()
        # Who leaves without a CLOSE reads no more: what is still owed must not keep the other leg waiting.
        receiver._transport.disconnect(why == END_OF_STREAM and receiver._received_code != 0)


cdef class MediaSocket(WSListener):
    def __init__(self, owner, str name not None, Reactor reactor=None):
        self._owner = owner
        self.name = name
        self.log = NOBODY.of_leg(name)
        self._assembly = Assembly.__new__(Assembly)
        self._reactor = reactor
        self._fd = -1
        self._deadline_ns = INT64_MAX
        self.mark_every_ms = 100
        self.max_message = MAX_MESSAGE

    @property
    def is_open(self):
        return self._is_open()

    cdef bint _is_open(self) noexcept:
        return not (self._transport is None or self._is_cut or self._outlet._is_lost or
                    self._transport.is_close_frame_sent or self._transport.is_disconnected)

    @property
    def is_connected(self):
        return self._transport is not None and not self._transport.is_disconnected

    @property
    def is_in_lane(self):
        return self._lane is not None and self._lane._fd >= 0

    @property
    def write_backlog(self):
        return 0 if self._outlet is None else self._outlet.backlog()

    def connect_media(self, MediaPath inbound, MediaPath outbound, MediaSocket peer):
        self._inbound = inbound
        self._playout = inbound if isinstance(inbound, PlayoutPath) else None
        if self._playout is not None:
            self._next_mark()
        self._outbound = outbound
        self._peer = peer
        self._part()

    def drop_inbound_until(self, int64_t until_ns):
        self._guard_ns = until_ns

    def keep_alive(self, double ping_interval_s):
        self._heart = Heartbeat(ping_interval_s)

    # --- picows' callbacks -----------------------------------------------------------------------

    cpdef on_ws_connected(self, WSTransport transport):
        self._transport = transport
        raw = transport.underlying_transport.get_extra_info("socket")
        tune(raw)
        transport.underlying_transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._fd = -1 if transport.is_secure else raw.fileno()
        self._outlet = Outlet.__new__(Outlet)
        self._outlet._transport = transport.underlying_transport
        self._outlet._fd = self._fd
        self._outlet._raw_fd = raw.fileno()
        self._outlet._masks = transport.is_client_side
        if self._reactor is not None:
            self._outlet._batch = self._reactor.out()
        if self._heart is not None:
            self._heart.start(monotonic_ns())
        try:
            self._owner.socket_opened(self)
        except Exception as error:    # picows would log its words, and keep it as a result that nobody asks for
            self.log.broke("leg_failed", error)
            self.close(1011)

    def take_over(self, protocol, bytes early not None):
        cdef Lane lane = Lane.__new__(Lane)
        if self._lane is not None or self._transport.is_disconnected:
            return
        self._lane = lane
        lane.aim(<PyObject*>self, lane_frame, lane_end, <size_t>self.max_message, not self._transport.is_client_side)
        if self._reactor is not None and self._fd >= 0 and self._reactor.join(lane, self._fd):
            self._transport.underlying_transport.pause_reading()
        else:
            self._transport.underlying_transport.set_protocol(Intake(protocol, lane))
        if early and not lane.take(early):
            raise MemoryError

    cpdef on_ws_disconnected(self, WSTransport transport):
        self._leave_lane()
        self._fd = self._outlet._fd = self._outlet._raw_fd = -1
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        self._tell_closed(self._received_code or 1006)

    cdef void _tell_closed(self, int code):
        # The media paths stay joined until the owner parts them: what came before the end may still have to go on.
        if self._is_over:
            return
        self._is_over = True
        try:
            self._owner.socket_closed(self, code)
        except Exception as error:
            self.log.broke("leg_failed", error)
        self._part()

    cdef void _part(self) noexcept:
        """Let go of the owner once neither end nor media will be told: they hold each other."""
        if self._is_over and self._inbound is None:
            self._owner = None

    cpdef pause_writing(self):
        self._is_paused = True
        self._tell_stalled()

    cpdef resume_writing(self):
        self._is_paused = False
        self._tell_stalled()
        if self._owed_pong is not None and self._is_open():
            payload, self._owed_pong = self._owed_pong, None
            self._outlet.send(VM_WS_PONG, payload)

    cdef void _tell_stalled(self):
        """Tell the path to this socket whether it must wait, and what is still ours of what it gave out."""
        cdef bint is_stalled = self._is_paused or self._is_full or (self._heart is not None and self._heart.is_late)
        if self._outbound is None or not (is_stalled or self._is_stalled):
            return
        self._outbound.set_backlog(<size_t>self._outlet.unsent() if is_stalled else 0)
        if is_stalled != self._is_stalled:
            self._is_stalled = is_stalled
            self._outbound.set_stalled(is_stalled)

    cdef void _leave_lane(self):
        if self._lane is not None:
            self._lane.part()
            self._lane = None
        self._reactor = None

    # --- frames ----------------------------------------------------------------------------------

    cdef int _take(self, int opcode, bint fin, int rsv, char* payload, size_t n, int64_t now) except -1:
        cdef int64_t pinged_ns
        if self._heart is not None:
            self._heart.heard(now)
        if rsv:
            self._fail(WSCloseCode.PROTOCOL_ERROR, "reserved bits are set")
        elif self._transport.is_close_frame_sent and opcode != VM_WS_CLOSE:
            pass    # RFC 6455 s. 5.5.1: data after our CLOSE is of no use to anybody
        elif opcode <= VM_WS_BINARY:
            self._data(opcode, fin, payload, n, now)
        elif opcode == VM_WS_PING:
            if self._is_paused:
                self._owed_pong = payload[:n]    # RFC 6455 s. 5.5.3: the newest will do
            else:
                self._outlet.send(VM_WS_PONG, payload[:n])
        elif opcode == VM_WS_PONG:
            if n == sizeof(int64_t) and self._heart is not None:
                memcpy(&pinged_ns, payload, n)
                if self._heart.echo(pinged_ns):
                    self._tell_stalled()
        elif opcode == VM_WS_CLOSE:
            self._closing(<const uint8_t*>payload, n)

    cdef int _message(self, const char* message, size_t n, bint is_text, int64_t now) except -1:
        cdef bytes copy
        if self._inbound is not None:
            if now < self._guard_ns and not is_text:
                self.guarded += 1
                return 0
            if self._inbound.receive(message, n, is_text, now) != NOT_TAKEN:
                if self._inbound.times_conversion():
                    self._inbound.note(HOP_CONVERT, now, monotonic_ns())
                self.forward(now)
                return 0
        if self._is_over:
            return 0
        copy = message[:n]
        if is_text:
            try:
                copy.decode("utf-8")
            except UnicodeDecodeError:
                self._fail(WSCloseCode.INVALID_TEXT, "text is not UTF-8")
                return 0
        self._owner.socket_message(self, copy, is_text)

    cdef int _data(self, int opcode, bint fin, const char* payload, size_t n, int64_t now) except -1:
        cdef bytearray whole
        if self._assembly.is_open() == (opcode != VM_WS_CONTINUATION):
            self._fail(WSCloseCode.PROTOCOL_ERROR, "a message began or went on out of order")
        elif fin and opcode != VM_WS_CONTINUATION:
            self._message(payload, n, opcode == VM_WS_TEXT, now)
        else:
            if opcode != VM_WS_CONTINUATION:
                self._assembly.begin(opcode == VM_WS_TEXT)
            if not self._assembly.add(payload, n, self.max_message):
                self._fail(WSCloseCode.MESSAGE_TOO_BIG, "a fragmented message is too big")
            elif fin:
                whole = self._assembly.end()
                self._message(whole, <size_t>len(whole), self._assembly.is_text, now)

    cdef void _closing(self, const uint8_t* payload, size_t n):
        cdef int code = payload[0] << 8 | payload[1] if n >= 2 else NO_CODE
        if self._received_code:
            return    # RFC 6455 s. 5.5.1: there is one
        if n == 1 or (n >= 2 and not vm_ws_is_close_code(<unsigned>code)):
            self._fail(WSCloseCode.PROTOCOL_ERROR, "a close frame without a valid code")
            return
        try:
            (<const char*>payload)[min(n, <size_t>2):n].decode("utf-8")
        except UnicodeDecodeError:
            self._fail(WSCloseCode.INVALID_TEXT, "the reason of a close frame is not UTF-8")
            return
        self._received_code = code
        if not self._transport.is_close_frame_sent:
            self._transport.send_close(<WSCloseCode>(1000 if code == NO_CODE else code))
            self._abort_soon()    # what is still to be written may never be read
        self._transport.disconnect()

    cdef void _fail(self, WSCloseCode code, str reason):
        self.log.trouble("leg_closed", reason, code=<int>code)
        self._assembly.end()
        self.was_breach = True
        self.close(code, reason)
        self._tell_closed(<int>code)    # the other leg must not wait for this one's peer to answer

    # --- media on ---------------------------------------------------------------------------------

    cdef int forward(self, int64_t now) except -1:
        """Hand what is due to the peer, as one write. Media before the peer is there waits in the path."""
        cdef MediaPath path = self._inbound
        cdef MediaSocket peer = self._peer
        cdef int64_t received[BATCH_MESSAGES]
        cdef int n_messages = 0
        cdef size_t n = 0
        cdef char* message
        cdef uint8_t opcode
        if path is None or peer is None or not peer._is_open():
            return 0
        message = path.next_message(&n, now)
        if message == NULL:
            return 0
        opcode = VM_WS_TEXT if path.sends_text() else VM_WS_BINARY
        while message != NULL:
            received[n_messages] = path._oldest_ns
            n_messages += 1
            if peer._outlet.put(opcode, message, n, n_messages < BATCH_MESSAGES and path._queue.n_bytes > 0):
                self._note_sent(received, n_messages)
                n_messages = 0
            if self._playout is not None and self._playout._playout.sent_ns >= self._mark_at_ns:
                if n_messages > 0:
                    peer._outlet.flush()
                    self._note_sent(received, n_messages)
                    n_messages = 0
                self._next_mark()
                self._owner.socket_mark_due(self)
                if self._inbound is not path or not peer._is_open():    # the owner may do anything
                    return 0
            message = path.next_message(&n, now)
        if n_messages > 0:
            peer._outlet.flush()
            self._note_sent(received, n_messages)

    cdef void _next_mark(self) noexcept:
        cdef int64_t every_ns = self.mark_every_ms * NS_PER_MS    # a grid: what a message oversteps is not added up
        self._mark_at_ns = (self._playout._playout.sent_ns // every_ns + 1) * every_ns

    cdef void _note_sent(self, const int64_t* received, int n_messages) noexcept:
        cdef int64_t now = monotonic_ns()
        cdef int i
        for i in range(n_messages):
            self._inbound.note(HOP_SEND, received[i], now)

    # --- sending ---------------------------------------------------------------------------------

    def send_text(self, bytes data not None):
        self._send(VM_WS_TEXT, data)

    def send_binary(self, bytes data not None):
        self._send(VM_WS_BINARY, data)

    cdef void _send(self, uint8_t opcode, bytes data):
        if self._is_paused and self._is_open() and self._outlet.backlog() > MAX_BACKLOG:
            self.log.trouble("leg_cut", "its peer does not read")
            self.abort()    # the owner, who may be in the middle of something, is told in another turn of the loop
        if self._is_open():
            self._outlet.send(opcode, data)
        else:
            self.unsent += 1

    def close(self, int code=1000, str reason=""):
        if not self._is_open():
            return
        self._transport.send_close(<WSCloseCode>code, reason.encode()[:MAX_REASON].decode("utf-8", "ignore"))
        self._abort_soon()

    cdef void _abort_soon(self):
        self._close_timer = asyncio.get_running_loop().call_later(_CLOSE_TIMEOUT_S, self.abort)

    def abort(self):
        if self._transport is not None:
            self._is_cut = True
            self._leave_lane()
            self._transport.disconnect(False)

    # --- is the peer there, and does it read? ----------------------------------------------------

    cdef void watch(self, int64_t now):
        """Ping the peer when it is time; give it up if it is gone."""
        cdef Beat beat = BEAT_NONE if self._heart is None else self._heart.beat(now)
        if self._fd < 0 and self._is_open():
            self._is_full = self._outlet.is_full(now)    # nobody pauses what is encrypted before it is far behind
        if self._is_stalled or self._is_full:
            self._tell_stalled()
        if beat == BEAT_NONE:
            return
        if not self._is_open():
            self._heart.stop()
        elif beat == BEAT_PING:
            self._outlet.send(VM_WS_PING, (<const char*>&self._heart.pinged_ns)[:sizeof(int64_t)])
        elif beat == BEAT_LATE:
            self.late_echoes += 1
            self._tell_stalled()
        else:
            self.log.trouble("leg_lost", "its peer answers no ping")
            self.close(1001, "no answer to a ping")
            self.abort()

    cdef void sample(self, int64_t now):
        """See what waits to be sent, at most once a second."""
        self._sampled_ns = now
        self.held_bytes = self.unsent_bytes = 0
        if self._is_open():
            self.held_bytes = self._outlet.backlog()
            self.unsent_bytes = max(0, self._outlet.kernel_unsent())
            self.max_backlog_bytes = max(self.max_backlog_bytes, self.held_bytes + self.unsent_bytes)
