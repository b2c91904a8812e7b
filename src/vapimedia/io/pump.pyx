# cython: language_level=3
"""The frame path's two ends. This is the one file that knows picows' C interface."""

import asyncio
import logging
import socket as socket_module

import picows

from vapimedia.errors import ConfigError

from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.stddef cimport size_t
from libc.time cimport timespec
from posix.time cimport CLOCK_MONOTONIC, clock_gettime

from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from vapimedia.media.path cimport HOP_CONVERT, HOP_SEND, NOT_TAKEN, NS_PER_S, MediaPath
from vapimedia.media.playout cimport PlayoutPath
from vapimedia.media.tally cimport Tally

__all__ = ["MediaSocket", "Pump", "now_ns"]

# The C interface is bound to this minor version: a newer one would change it unseen.
if picows.__version__.split(".")[:2] != ["2", "3"]:
    raise ConfigError(
        f"vapimedia needs picows 2.3, found {picows.__version__}; install it with: pip install 'picows>=2.3.1,<2.4'")

_log = logging.getLogger("vapimedia.io")

cdef enum:
    MAX_MESSAGE = 65536    # bytes of one message, fragments together, unless the socket is told otherwise
    MAX_FRAGMENTS = 16
    MAX_REASON = 123    # bytes of a close frame's text, RFC 6455 s. 5.5
    SEND_BUFFER = 32768    # bytes asked of the kernel, sent and unsent: what it holds is late already
    UNSENT_LOW = 1024    # unsent bytes from which the kernel takes no more, where it can be told
    WRITE_HIGH = 1024    # bytes in user space before the path is told to wait
    MAX_BACKLOG = 262144    # bytes in user space after which the peer counts as lost
    TICK_NS = 10000000
    LATE_TICK_NS = 15000000
    MARK_INTERVAL_NS = 100000000    # audio after which the owner is asked for a mark; how often it sends one is its own

cdef double _CLOSE_TIMEOUT_S = 0.5
cdef tuple _BREACHES = (1002, 1007, 1009)    # RFC 6455 s. 7.4.1


cdef int64_t _now() noexcept:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * NS_PER_S + t.tv_nsec


def now_ns():
    return _now()


cdef class MediaSocket(WSListener):
    cdef readonly str name
    cdef readonly uint64_t unsent
    cdef readonly uint64_t guarded
    cdef readonly bint was_breach
    cdef public Py_ssize_t max_message
    cdef object _owner
    cdef WSTransport _transport
    cdef MediaPath _inbound
    cdef MediaPath _outbound
    cdef MediaSocket _peer
    cdef int64_t _guard_ns
    cdef PlayoutPath _playout    # the inbound path, where it keeps a ledger
    cdef int64_t _mark_at_ns    # its position at which the owner is asked for a mark
    cdef bytearray _fragments
    cdef int _n_fragments
    cdef bint _fragments_are_text
    cdef object _close_timer
    cdef bint _was_closed_by_us
    cdef bint _is_over    # the owner was told of the end
    cdef bint _is_cut    # the connection is being cut; picows says so only when it is
    cdef bint _is_paused    # more than WRITE_HIGH waits in user space
    cdef bytes _owed_pong    # the newest ping's payload while paused
    # driven by the pump
    cdef object _deadline
    cdef int64_t _deadline_ns

    def __init__(self, owner, str name not None):
        self._owner = owner
        self.name = name
        self._deadline_ns = INT64_MAX
        self._mark_at_ns = MARK_INTERVAL_NS
        self.max_message = MAX_MESSAGE

    @property
    def is_open(self):
        return self._is_open()

    cdef bint _is_open(self) noexcept:
        return self._transport is not None and not (
            self._is_cut or self._transport.is_close_frame_sent or self._transport.is_disconnected)

    @property
    def is_connected(self):
        return self._transport is not None and not self._transport.is_disconnected

    @property
    def write_backlog(self):
        return 0 if self._transport is None else self._transport.underlying_transport.get_write_buffer_size()

    def connect_media(self, MediaPath inbound, MediaPath outbound, MediaSocket peer):
        self._inbound = inbound
        self._playout = inbound if isinstance(inbound, PlayoutPath) else None
        self._outbound = outbound
        self._peer = peer
        self._part()

    def drop_inbound_until(self, int64_t until_ns):
        self._guard_ns = until_ns

    # --- picows' callbacks -----------------------------------------------------------------------

    cpdef on_ws_connected(self, WSTransport transport):
        self._transport = transport
        raw = transport.underlying_transport.get_extra_info("socket")
        raw.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket_module, "TCP_NOTSENT_LOWAT"):
            raw.setsockopt(socket_module.IPPROTO_TCP, socket_module.TCP_NOTSENT_LOWAT, UNSENT_LOW)
        transport.underlying_transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._owner.socket_opened(self)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef int64_t now = _now()
        cdef WSMsgType kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(WSCloseCode.PROTOCOL_ERROR, "reserved bits are set")
        elif transport.is_close_frame_sent and kind != WSMsgType.CLOSE:
            pass    # RFC 6455 s. 5.5.1: data after our CLOSE is of no use to anybody
        elif kind == WSMsgType.CLOSE:
            self._closing(frame)
        elif kind == WSMsgType.PING:    # not left to picows, which does not look at reserved bits
            if self._is_paused:
                self._owed_pong = frame.get_payload_as_bytes()    # RFC 6455 s. 5.5.3: the newest will do
            else:
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.TEXT or kind == WSMsgType.BINARY:
            if self._fragments is not None:
                self._fail(WSCloseCode.PROTOCOL_ERROR, "a new message began inside another")
            elif frame.fin:
                self._message(frame.payload_ptr, <size_t>frame.payload_size, kind == WSMsgType.TEXT, now)
            else:
                self._fragments_are_text = kind == WSMsgType.TEXT
                self._fragments = bytearray()
                self._n_fragments = 0
                self._fragment(frame, now)
        elif kind == WSMsgType.CONTINUATION:
            if self._fragments is None:
                self._fail(WSCloseCode.PROTOCOL_ERROR, "a continuation without a beginning")
            else:
                self._fragment(frame, now)

    cpdef on_ws_disconnected(self, WSTransport transport):
        cdef int code = 1006
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        handshake = transport.close_handshake
        if handshake is not None:
            if not self._was_closed_by_us and not handshake.recv_then_sent and handshake.sent is not None and (
                    handshake.sent.code in _BREACHES):
                code = handshake.sent.code    # picows found it, and tells nobody but the peer
                self.was_breach = True
            elif handshake.recv is not None:
                code = handshake.recv.code or 1005    # 0 is picows' word for "none was given"
        self._tell_closed(code)

    cdef void _tell_closed(self, int code):
        # The media paths stay joined until the owner parts them: what came before the end may still have to go on.
        if self._is_over:
            return
        self._is_over = True
        self._owner.socket_closed(self, code)
        self._part()

    cdef void _part(self) noexcept:
        """Let go of the owner once neither end nor media will be told: they hold each other."""
        if self._is_over and self._inbound is None:
            self._owner = None

    cpdef pause_writing(self):
        self._is_paused = True
        if self._outbound is not None:
            self._outbound.set_stalled(True)

    cpdef resume_writing(self):
        self._is_paused = False
        if self._outbound is not None:
            self._outbound.set_stalled(False)
        if self._owed_pong is not None and self._is_open():
            payload, self._owed_pong = self._owed_pong, None
            self._transport.send_pong(payload)

    # --- messages --------------------------------------------------------------------------------

    cdef void _message(self, const char* message, size_t n, bint is_text, int64_t now):
        cdef bytes copy
        if self._inbound is not None:
            if now < self._guard_ns and not is_text:
                self.guarded += 1
                return
            if self._inbound.receive(message, n, is_text, now) != NOT_TAKEN:
                self._inbound.note(HOP_CONVERT, now, _now())
                self._forward(now)
                return
        if self._is_over:
            return
        copy = message[:n]
        if is_text:
            try:
                copy.decode("utf-8")
            except UnicodeDecodeError:
                self._fail(WSCloseCode.INVALID_TEXT, "text is not UTF-8")
                return
        self._owner.socket_message(self, copy, is_text)

    cdef void _forward(self, int64_t now):
        """Hand what is due to the peer. Media before the peer is there waits in the path."""
        cdef size_t n = 0
        cdef char* message
        cdef MediaPath path = self._inbound
        cdef MediaSocket peer = self._peer
        cdef WSMsgType kind
        if path is None or peer is None or not peer._is_open():
            return
        kind = WSMsgType.TEXT if path.sends_text() else WSMsgType.BINARY
        message = path.next_message(&n, now)
        while message != NULL:
            peer._transport.send_reuse_external_buffer(kind, message, <Py_ssize_t>n)
            path.note(HOP_SEND, path._oldest_ns, _now())
            message = path.next_message(&n, now)
        if self._playout is not None and self._playout._playout.sent_ns >= self._mark_at_ns:
            self._mark_at_ns = self._playout._playout.sent_ns + MARK_INTERVAL_NS
            self._owner.socket_mark_due(self)

    cdef void _fragment(self, WSFrame frame, int64_t now):
        cdef bytearray whole
        self._n_fragments += 1
        if self._n_fragments > MAX_FRAGMENTS or len(self._fragments) + frame.payload_size > self.max_message:
            self._fail(WSCloseCode.MESSAGE_TOO_BIG, "a fragmented message is too big")
            return
        self._fragments += frame.payload_ptr[:frame.payload_size]
        if frame.fin:
            whole, self._fragments = self._fragments, None
            self._message(whole, <size_t>len(whole), self._fragments_are_text, now)

    cdef void _closing(self, WSFrame frame):
        cdef int code = frame.get_close_code()
        if not self._transport.is_close_frame_sent:
            # 0 is picows' word for "none was given"; on the wire it would be an error.
            self._transport.send_close(<WSCloseCode>(code or 1000))
            self._abort_soon()    # what is still to be written may never be read
        self._transport.disconnect()

    cdef void _fail(self, WSCloseCode code, str reason):
        _log.warning("%s leg closed with %d: %s", self.name, <int>code, reason)
        self._fragments = None
        self.was_breach = True
        self.close(code, reason)
        self._tell_closed(<int>code)    # the other leg must not wait for this one's peer to answer

    # --- sending ---------------------------------------------------------------------------------

    def send_text(self, bytes data not None):
        self._send(WSMsgType.TEXT, data)

    def send_binary(self, bytes data not None):
        self._send(WSMsgType.BINARY, data)

    cdef void _send(self, WSMsgType kind, bytes data):
        if self._is_paused and self._is_open() and self.write_backlog > MAX_BACKLOG:
            _log.warning("%s leg cut: its peer does not read", self.name)
            self.abort()    # the owner, who may be in the middle of something, is told in another turn of the loop
        if self._is_open():
            self._transport.send(kind, data)
        else:
            self.unsent += 1

    def close(self, int code=1000, str reason=""):
        if not self._is_open():
            return
        self._was_closed_by_us = True
        self._transport.send_close(<WSCloseCode>code, reason.encode()[:MAX_REASON].decode("utf-8", "ignore"))
        self._abort_soon()

    cdef void _abort_soon(self):
        self._close_timer = asyncio.get_running_loop().call_later(_CLOSE_TIMEOUT_S, self.abort)

    def abort(self):
        if self._transport is not None:
            self._is_cut = True
            self._transport.disconnect(False)


cdef class Pump:
    cdef object _loop
    cdef object _timer
    cdef list _driven
    cdef int64_t _due_ns
    cdef bint _has_waited
    cdef readonly Tally lag

    def __init__(self, loop):
        self._loop = loop
        self._driven = []
        self.lag = Tally()

    @property
    def n_driven(self):
        return len(self._driven)

    def add(self, MediaSocket receiver not None, deadline):
        receiver._deadline = deadline
        self._driven.append(receiver)
        if self._timer is None:
            self._due_ns = _now() + TICK_NS
            self._schedule()

    def set_deadline(self, MediaSocket receiver not None, at_ns):
        receiver._deadline_ns = INT64_MAX if at_ns is None else at_ns

    def remove(self, MediaSocket receiver not None):
        receiver._deadline = None
        receiver._deadline_ns = INT64_MAX
        if receiver in self._driven:
            self._driven.remove(receiver)

    def close(self):
        self._driven.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    cdef _schedule(self):
        cdef int64_t wait_ns = self._due_ns - _now()
        self._timer = self._loop.call_later(wait_ns / 1e9 if wait_ns > 0 else 0.0, self._tick)

    def _tick(self):
        cdef int64_t now = _now()
        cdef int64_t late_ns = now - self._due_ns
        cdef MediaSocket receiver
        if late_ns > LATE_TICK_NS and not self._has_waited:
            # We were held up: what the sockets received meanwhile comes first. Not call_soon: uvloop runs that
            # before it polls.
            self._has_waited = True
            self._timer = self._loop.call_later(0.001, self._tick)
            return
        self._has_waited = False
        self.lag.note(<uint64_t>late_ns if late_ns > 0 else 0)
        for receiver in list(self._driven):
            # One call's fault must not stop the timer of all.
            try:
                if receiver._inbound is not None and receiver._inbound.next_due() <= now:
                    receiver._forward(now)
            except Exception:
                _log.exception("media of the %s leg failed", receiver.name)
                receiver.close(1011)    # as picows does when the fault shows as a message arrives
            try:
                if receiver._deadline_ns <= now and receiver._deadline is not None:
                    receiver._deadline_ns = INT64_MAX
                    receiver._deadline(now)
            except Exception:
                _log.exception("a deadline of the %s leg failed", receiver.name)
        # An absolute grid: being late once does not move what follows; ticks that were missed whole are left out.
        self._due_ns += TICK_NS * max(1, (now - self._due_ns) // TICK_NS + 1)
        if self._driven:
            self._schedule()
        else:
            self._timer = None
