# cython: freethreading_compatible=True
"""Sockets and epoll by direct system calls (Linux)."""

from libc.errno cimport EAGAIN, EINTR, ENOSYS, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close

from vapimedia.bench.load.wire cimport SCRATCH, inbox_free, keep

cdef extern from "<sys/epoll.h>" nogil:
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int op, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int n, int timeout_ms)
    enum:
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLL_CLOEXEC

cdef extern from "<sys/socket.h>" nogil:
    int accept4(int fd, void* address, void* length, int flags)
    ssize_t send(int fd, const void* data, size_t n, int flags)
    ssize_t recv(int fd, void* data, size_t n, int flags)
    int setsockopt(int fd, int level, int name, const void* value, unsigned length)
    int shutdown(int fd, int how)
    ctypedef struct linger_t "struct linger":
        int l_onoff
        int l_linger
    enum:
        SOL_SOCKET
        SO_LINGER
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        MSG_NOSIGNAL
        MSG_DONTWAIT
        SHUT_WR

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, void* value)
    enum:
        FIONREAD

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)

cdef enum:
    EPOLL_PWAIT2 = 441  # Linux 5.11, on every processor; no C library of older wheels has it
    NS_PER_S = 1000000000
    NS_PER_MS = 1000000
    MOST_UNSENT = 2 * SCRATCH  # more than this the bridge will never read


cdef int64_t clock_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * NS_PER_S + t.tv_nsec


cdef bint net_open(Net* net, int n) noexcept nogil:
    net.n = n
    net.conns = <Conn*>calloc(<size_t>n, sizeof(Conn))
    net.epoll = epoll_create1(EPOLL_CLOEXEC)
    return net.conns != NULL and net.epoll >= 0


cdef void net_close(Net* net) noexcept nogil:
    cdef int i
    for i in range(net.n):
        if net.conns[i].kind != FREE:
            conn_close(net, &net.conns[i])
    if net.epoll >= 0:
        close(net.epoll)
    free(net.conns)
    net.conns = NULL
    net.n = 0


cdef int net_add(Net* net, int fd, Kind kind) noexcept nogil:
    """Watch *fd*, which is ours from now on; return its place, or -1 when there is none left."""
    cdef epoll_event event
    cdef int one = 1
    cdef int i
    for i in range(net.n):
        if net.conns[i].kind == FREE:
            break
    else:
        return -1
    memset(&net.conns[i], 0, sizeof(Conn))
    net.conns[i].fd = fd
    net.conns[i].kind = kind
    net.conns[i].call = -1
    net.conns[i].interest = EPOLLIN
    event.events = EPOLLIN
    event.data.u32 = <uint32_t>i
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if epoll_ctl(net.epoll, EPOLL_CTL_ADD, fd, &event) != 0:
        net.conns[i].kind = FREE
        return -1
    return i


cdef int net_accept(Net* net, int listener) noexcept nogil:
    """Take one connection; return its place, or -1."""
    cdef int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
    cdef int place
    if fd < 0:
        return -1
    place = net_add(net, fd, HEAD)
    if place < 0:
        close(fd)
    return place


cdef int net_wait(Net* net, epoll_event* events, int n, int64_t timeout_ns) noexcept nogil:
    """Return how many are ready; 0 also after a signal."""
    cdef timespec timeout
    cdef long ready
    timeout.tv_sec = timeout_ns // NS_PER_S
    timeout.tv_nsec = timeout_ns % NS_PER_S
    ready = syscall(EPOLL_PWAIT2, net.epoll, events, n, &timeout, NULL, <size_t>0)
    if ready < 0 and errno == ENOSYS:  # without it the last part of a millisecond is waited for in turns
        ready = epoll_wait(net.epoll, events, n, <int>(timeout_ns // NS_PER_MS))
    return max(<int>ready, 0)


cdef void conn_watch(Net* net, Conn* conn, uint32_t interest) noexcept nogil:
    cdef epoll_event event
    if conn.interest == interest:
        return
    conn.interest = interest
    event.events = interest
    event.data.u32 = <uint32_t>(conn - net.conns)
    epoll_ctl(net.epoll, EPOLL_CTL_MOD, conn.fd, &event)


cdef bint conn_send(Net* net, Conn* conn, const uint8_t* data, size_t n) noexcept nogil:
    """Send, or keep what the kernel does not take; false when the connection is gone or far behind."""
    cdef ssize_t taken = 0
    if conn.out.n == 0:
        taken = send(conn.fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT)
        if taken == <ssize_t>n:
            return True
        if taken < 0:
            if errno != EAGAIN and errno != EINTR:
                return False
            taken = 0
    if conn.out.n > MOST_UNSENT or not keep(&conn.out, data + taken, n - <size_t>taken):
        return False
    conn_watch(net, conn, conn.interest | EPOLLOUT)
    return True


cdef bint conn_flush(Net* net, Conn* conn) noexcept nogil:
    """Send what is kept; false when the connection is gone."""
    cdef ssize_t taken = send(conn.fd, conn.out.bytes, conn.out.n, MSG_NOSIGNAL | MSG_DONTWAIT)
    if taken < 0:
        return errno == EAGAIN or errno == EINTR
    conn.out.n -= <size_t>taken
    if conn.out.n:
        memmove(conn.out.bytes, conn.out.bytes + taken, conn.out.n)
    else:
        conn_watch(net, conn, conn.interest & ~<uint32_t>EPOLLOUT)
    return True


cdef void conn_close(Net* net, Conn* conn) noexcept nogil:
    """Close the socket and free its place."""
    epoll_ctl(net.epoll, EPOLL_CTL_DEL, conn.fd, NULL)
    close(conn.fd)
    inbox_free(&conn.inbox)
    free(conn.out.bytes)
    memset(conn, 0, sizeof(Conn))


cdef ssize_t conn_receive(Conn* conn, uint8_t* dst, size_t n) noexcept nogil:
    """Return bytes read, -1 when there are none now, 0 at the end or after an error."""
    cdef ssize_t taken = recv(conn.fd, dst, n, MSG_DONTWAIT)
    if taken < 0:
        return -1 if errno == EAGAIN or errno == EINTR else 0
    return taken


cdef int conn_unread(const Conn* conn) noexcept nogil:
    """Return how many bytes wait in our own receive buffer."""
    cdef int n = 0
    ioctl(conn.fd, FIONREAD, &n)
    return n


cdef void conn_say_no_more(Conn* conn) noexcept nogil:
    shutdown(conn.fd, SHUT_WR)


cdef void conn_reset(Conn* conn) noexcept nogil:
    """Its close will be a reset, not a FIN."""
    cdef linger_t now
    now.l_onoff = 1
    now.l_linger = 0
    setsockopt(conn.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now))
