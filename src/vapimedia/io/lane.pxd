cimport cython
from cpython.ref cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "<stdbool.h>" nogil:
    ctypedef unsigned char c_bool "bool"

cdef extern from "ws.h" nogil:
    enum:
        VM_WS_CONTINUATION
        VM_WS_TEXT
        VM_WS_BINARY
        VM_WS_CLOSE
        VM_WS_PING
        VM_WS_PONG
        VM_WS_CONTROL
        VM_WS_HEAD
        VM_WS_CONTROL_PAYLOAD
    ctypedef struct vm_ws_head:
        uint64_t n_payload
        uint8_t key[4]
        uint8_t n_head
        uint8_t opcode
        uint8_t rsv
        c_bool fin
        c_bool is_masked
    c_bool vm_ws_read_head(vm_ws_head* head, const uint8_t* src, size_t n) noexcept
    c_bool vm_ws_is_valid(const vm_ws_head* head) noexcept
    void vm_ws_mask(uint8_t* payload, size_t n, const uint8_t* key) noexcept
    size_t vm_ws_head_size(size_t n_payload, c_bool is_masked) noexcept
    size_t vm_ws_write_head(uint8_t* dst, uint8_t opcode, size_t n_payload, const uint8_t* key) noexcept
    void vm_ws_new_key(uint8_t* key, uint64_t* state) noexcept
    c_bool vm_ws_is_close_code(unsigned code) noexcept


cdef enum:
    OUT_BYTES = 3072    # room of `out`: what a peer that does not read may be owed at once


cdef enum End:
    END_OF_STREAM = 0    # the peer sends no more
    END_RESET = 1
    END_BROKEN = 2    # not WebSocket: 1002
    END_TOO_BIG = 3    # 1009

# What a lane calls, with its taker. None raises. After `part` neither is called.
ctypedef void (*take_frame)(PyObject* taker, const vm_ws_head* head, char* payload, int64_t now_ns) noexcept
ctypedef void (*take_end)(PyObject* taker, End why) noexcept


@cython.final
cdef class Lane:
    cdef int _fd    # -1 where it is not the reactor that reads
    cdef bint _is_over    # parted
    cdef size_t _max_frame
    cdef bint _wants_mask
    cdef bint _is_deaf    # what came was no WebSocket frame
    cdef PyObject* _taker    # borrowed: it parts before it goes
    cdef take_frame _on_frame
    cdef take_end _on_end
    cdef Reactor _reactor
    # the beginning of a frame whose end has not come
    cdef uint8_t* _rest
    cdef size_t _n_rest
    cdef size_t _rest_size

    cdef void aim(self, PyObject* taker, take_frame on_frame, take_end on_end, size_t max_frame, bint wants_mask)
    cdef bint take(self, bytes early) noexcept
    cdef void part(self)
    cdef void _read(self) noexcept
    cdef void _took(self, uint8_t* bytes, size_t n) noexcept
    cdef size_t _parse(self, uint8_t* bytes, size_t n, size_t* need) noexcept
    cdef void _refuse(self, End why) noexcept
    cdef void _keep(self, const uint8_t* bytes, size_t n, size_t need) noexcept
    cdef bint _make_room(self, size_t need) noexcept


@cython.final
cdef class Intake:
    cdef object _before
    cdef Lane _lane


@cython.final
cdef class Reactor:
    cdef object _loop
    cdef int _epoll    # -1 where there is none
    cdef dict _lanes    # by descriptor
    cdef list _parted    # while events that name them may still be under way
    cdef bint _is_watched
    cdef public int coalesce_us
    cdef bint _is_crowded
    cdef int _n_read
    cdef int _n_last
    cdef uint8_t* _buffer    # what was read, and after it what `out` gives

    cdef bint join(self, Lane lane, int fd)
    cdef void poll(self)
    cdef void adapt(self, int64_t over_ns) noexcept
    cdef uint8_t* out(self) noexcept
