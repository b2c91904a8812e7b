from libc.stdint cimport int64_t, uint8_t, uint32_t

from vapimedia.bench.load.wire cimport Inbox, Kept

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint32_t u32
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLHUP
        EPOLLERR

cdef enum Kind:
    FREE
    LISTENING
    HEAD  # HTTP so far: Python's
    PHONE
    VAPI

cdef enum End:
    OPEN
    CLOSED  # a close frame came
    CUT  # the connection ended without one

cdef struct Conn:
    int fd
    Kind kind
    int call
    End end
    bint said_close
    uint32_t interest  # what epoll watches
    int64_t own_left  # bytes that were in our receive buffer when a stalled reader went on
    Inbox inbox
    Kept out  # bytes the kernel would not take yet

cdef struct Net:
    int epoll
    int n  # places in `conns`
    Conn* conns

cdef int64_t clock_ns() noexcept nogil
cdef bint net_open(Net* net, int n) noexcept nogil
cdef void net_close(Net* net) noexcept nogil
cdef int net_add(Net* net, int fd, Kind kind) noexcept nogil
cdef int net_accept(Net* net, int listener) noexcept nogil
cdef int net_wait(Net* net, epoll_event* events, int n, int64_t timeout_ns) noexcept nogil
cdef void conn_watch(Net* net, Conn* conn, uint32_t interest) noexcept nogil
cdef bint conn_send(Net* net, Conn* conn, const uint8_t* data, size_t n) noexcept nogil
cdef bint conn_flush(Net* net, Conn* conn) noexcept nogil
cdef void conn_close(Net* net, Conn* conn) noexcept nogil
cdef ssize_t conn_receive(Conn* conn, uint8_t* dst, size_t n) noexcept nogil
cdef int conn_unread(const Conn* conn) noexcept nogil
cdef void conn_say_no_more(Conn* conn) noexcept nogil
cdef void conn_reset(Conn* conn) noexcept nogil
