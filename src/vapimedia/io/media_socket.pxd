cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

from picows.picows cimport WSCloseCode, WSListener, WSTransport

from vapimedia.io.assembly cimport Assembly
from vapimedia.io.heartbeat cimport Heartbeat
from vapimedia.io.lane cimport Lane, Reactor
from vapimedia.io.outlet cimport Outlet
from vapimedia.media.path cimport MediaPath
from vapimedia.media.playout cimport PlayoutPath


@cython.final
cdef class MediaSocket(WSListener):
    cdef readonly str name
    cdef public object log
    cdef readonly uint64_t unsent
    cdef readonly uint64_t guarded
    cdef readonly uint64_t late_echoes
    cdef readonly bint was_breach
    cdef public Py_ssize_t max_message
    cdef public int mark_every_ms
    cdef object _owner
    cdef WSTransport _transport
    cdef MediaPath _inbound
    cdef MediaPath _outbound
    cdef MediaSocket _peer
    cdef int64_t _guard_ns
    cdef PlayoutPath _playout    # the inbound path, where it keeps a ledger
    cdef int64_t _mark_at_ns    # its position at which the owner is asked for a mark
    cdef Assembly _assembly
    cdef Heartbeat _heart    # None: no pings
    cdef object _close_timer
    cdef int _received_code    # of the peer's CLOSE; 0: none came
    cdef bint _is_over    # the owner was told of the end
    cdef bint _is_cut    # the connection is being cut; picows says so only when it is

    # reading and writing
    cdef Reactor _reactor
    cdef Lane _lane
    cdef Outlet _outlet
    cdef int _fd    # -1 where the connection is encrypted, or there is none
    cdef bint _is_paused    # something waits in user space
    cdef bint _is_full    # the kernel holds too much unsent
    cdef bint _is_stalled    # one of these, or the peer's echo is late: the path to it waits
    cdef bytes _owed_pong    # the newest ping's payload while paused

    # what waits to be sent, once a second
    cdef readonly int64_t held_bytes
    cdef readonly int64_t unsent_bytes
    cdef readonly int64_t max_backlog_bytes
    cdef int64_t _sampled_ns

    # driven by the pump
    cdef object _deadline
    cdef int64_t _deadline_ns

    cdef bint _is_open(self) noexcept
    cdef int forward(self, int64_t now) except -1
    cdef void watch(self, int64_t now)
    cdef void sample(self, int64_t now)

    cdef int _take(self, int opcode, bint fin, int rsv, char* payload, size_t n, int64_t now) except -1
    cdef int _message(self, const char* message, size_t n, bint is_text, int64_t now) except -1
    cdef int _data(self, int opcode, bint fin, const char* payload, size_t n, int64_t now) except -1
    cdef void _closing(self, const uint8_t* payload, size_t n)
    cdef void _fail(self, WSCloseCode code, str reason)
    cdef void _tell_closed(self, int code)
    cdef void _part(self) noexcept
    cdef void _tell_stalled(self)
    cdef void _leave_lane(self)
    cdef void _next_mark(self) noexcept
    cdef void _note_sent(self, const int64_t* received, int n_messages) noexcept
    cdef void _send(self, uint8_t opcode, bytes data)
    cdef void _abort_soon(self)
