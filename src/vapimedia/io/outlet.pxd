cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t


@cython.final
cdef class Outlet:
    cdef object _transport    # aiofastnet's
    cdef int _fd    # written directly; -1 where the transport encrypts
    cdef int _raw_fd    # whether encrypted or not: valid while the connection is open
    cdef bint _masks
    cdef bint _has_backlog    # the transport holds bytes that the kernel has not taken
    cdef bint _is_lost    # nothing written arrives any more; that the connection is lost is told in the next turn
    cdef uint8_t* _batch    # whose room is anybody's between two turns of the loop; NULL: none
    cdef size_t _n_batch
    cdef int64_t _looked_ns
    cdef bint _is_full

    cdef void send(self, uint8_t opcode, bytes payload)
    cdef bint put(self, uint8_t opcode, char* payload, size_t n, bint more)
    cdef void flush(self)
    cdef Py_ssize_t backlog(self)
    cdef Py_ssize_t kernel_unsent(self)
    cdef bint is_full(self, int64_t now_ns)
    cdef Py_ssize_t unsent(self)
    cdef void _write(self, const char* frames, size_t n)
