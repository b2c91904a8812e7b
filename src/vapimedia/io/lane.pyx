# cython: language_level=3
"""Frames read in C, and plain TCP connections many in one turn of the event loop."""

from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.ref cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove
from libc.time cimport timespec

from vapimedia.io.clock cimport monotonic_ns

__all__ = ["Intake", "Lane", "Reactor"]

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>
    #ifdef __linux__
    #include <sys/epoll.h>
    #else
    /* No epoll: the event loop reads. */
    typedef union { void *ptr; } epoll_data_t;
    struct epoll_event { uint32_t events; epoll_data_t data; };
    enum { EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CLOEXEC };
    static int epoll_create1(int flags) { (void)flags; return -1; }
    #define epoll_ctl(epoll, operation, fd, event) ((void)(event), -1)
    #define epoll_wait(epoll, events, n, timeout_ms) ((void)(events), -1)
    #endif
    """
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int n, int timeout_ms)
    int nanosleep(const timespec* pause, timespec* left)
    ssize_t recv(int fd, void* buffer, size_t n, int flags)
    int close(int fd)

cdef enum:
    BATCH = 128    # events of one turn: then timers and everything else get theirs
    CROWDED = 8000    # reads in a second from which on they are collected before they are read
    LESS_CROWDED = 6000    # and below which they are not any more
    FEW = 6    # reads of one wake-up that are worth waiting for more
    BUFFER = 65536    # bytes read at once
    REST = 2048    # bytes kept for a frame at least
    ROOM = 4096    # bytes that the event loop reads at once, unless a frame is larger


cdef class Lane:
    def __dealloc__(self):
        free(self._rest)

    cdef void aim(self, PyObject* taker, take_frame on_frame, take_end on_end, size_t max_frame, bint wants_mask):
        """Say whose the frames are; call it before there are any."""
        self._fd = -1
        self._taker = taker
        self._on_frame = on_frame
        self._on_end = on_end
        self._max_frame = max_frame
        self._wants_mask = wants_mask

    cdef void part(self):
        """Read no more. The descriptor stays whose it is; call it before that is closed."""
        cdef epoll_event ignored
        self._is_over = True
        if self._fd < 0:
            return
        epoll_ctl(self._reactor._epoll, EPOLL_CTL_DEL, self._fd, &ignored)
        self._reactor._parted.append(self)
        self._reactor._lanes.pop(self._fd, None)
        self._fd = -1

    cdef void _read(self) noexcept:
        cdef uint8_t* bytes = self._reactor._buffer
        cdef size_t room = BUFFER
        cdef ssize_t n
        if self._n_rest > 0:
            bytes = self._rest
            room = self._rest_size
        n = recv(self._fd, bytes + self._n_rest, room - self._n_rest, 0)
        if n <= 0:
            if n == 0 or errno not in (EAGAIN, EINTR):
                self._on_end(self._taker, END_OF_STREAM if n == 0 else END_RESET)
            return
        self._took(bytes, self._n_rest + <size_t>n)

    cdef bint take(self, bytes early) noexcept:
        """Take what was read before; False where there is no memory for it."""
        cdef size_t n = <size_t>len(early)
        if not self._make_room(n):
            return False
        memcpy(self._rest, <const char*>early, n)
        self._took(self._rest, n)
        return True

    cdef void _took(self, uint8_t* bytes, size_t n) noexcept:
        """Take the *n* bytes that are there now; the rest of before, if any, is their beginning."""
        cdef size_t need = 0
        cdef size_t n_parsed
        if self._is_deaf or self._is_over:
            return
        n_parsed = self._parse(bytes, n, &need)
        if not self._is_over:
            self._keep(bytes + n_parsed, n - n_parsed, need)

    cdef size_t _parse(self, uint8_t* bytes, size_t n, size_t* need) noexcept:
        """Hand over whole frames; return how many bytes they are, and what the next one needs as far as is known."""
        cdef int64_t now_ns = monotonic_ns()
        cdef vm_ws_head head
        cdef size_t at = 0
        cdef size_t size
        need[0] = VM_WS_HEAD
        while not self._is_over and vm_ws_read_head(&head, bytes + at, n - at):
            if not vm_ws_is_valid(&head) or head.is_masked != self._wants_mask:
                self._refuse(END_BROKEN)
                break
            if head.n_payload > self._max_frame and not head.opcode & VM_WS_CONTROL:
                self._refuse(END_TOO_BIG)
                break
            size = head.n_head + <size_t>head.n_payload
            if n - at < size:
                need[0] = size
                break
            if head.is_masked:
                vm_ws_mask(bytes + at + head.n_head, <size_t>head.n_payload, head.key)
            self._on_frame(self._taker, &head, <char*>bytes + at + head.n_head, now_ns)
            at += size
        return at

    cdef void _refuse(self, End why) noexcept:
        # What comes now is read only to be dropped: unread bytes would reset the connection, and our CLOSE with it.
        self._is_deaf = True
        self._on_end(self._taker, why)

    cdef void _keep(self, const uint8_t* bytes, size_t n, size_t need) noexcept:
        cdef bint is_ours = self._rest != NULL and self._rest <= bytes <= self._rest + self._rest_size
        if n == 0 or self._is_deaf:
            free(self._rest)
            self._rest = NULL
            self._n_rest = self._rest_size = 0
            return
        if is_ours:
            memmove(self._rest, bytes, n)
        if not self._make_room(max(need, n + 1, <size_t>REST)):
            self._refuse(END_TOO_BIG)
            return
        if not is_ours:
            memcpy(self._rest, bytes, n)
        self._n_rest = n

    cdef bint _make_room(self, size_t need) noexcept:
        cdef uint8_t* rest
        if need > self._rest_size:
            rest = <uint8_t*>realloc(self._rest, need)
            if rest == NULL:
                return False
            self._rest = rest
            self._rest_size = need
        return True


cdef class Intake:
    """The protocol (asyncio's word) of a connection that the event loop reads, decrypted if need be.

    All but its bytes is *before*'s, which was its protocol so far; that keeps the lane's taker alive too.
    """

    def __cinit__(self, before, Lane lane not None):
        self._before = before
        self._lane = lane

    def is_buffered_protocol(self):
        return True

    def get_buffer(self, Py_ssize_t hint):
        cdef Lane lane = self._lane
        if lane._rest_size <= lane._n_rest and not lane._make_room(lane._n_rest + ROOM):
            raise MemoryError
        return PyMemoryView_FromMemory(
            <char*>lane._rest + lane._n_rest, <Py_ssize_t>(lane._rest_size - lane._n_rest), PyBUF_WRITE)

    def buffer_updated(self, Py_ssize_t n):
        self._lane._took(self._lane._rest, self._lane._n_rest + <size_t>n)

    def eof_received(self):
        if not self._lane._is_over:
            self._lane._on_end(self._lane._taker, END_OF_STREAM)
        return self._before.eof_received()

    def connection_lost(self, error):
        self._before.connection_lost(error)

    def pause_writing(self):
        self._before.pause_writing()

    def resume_writing(self):
        self._before.resume_writing()


cdef class Reactor:
    def __cinit__(self, loop):
        self._loop = loop
        self._lanes = {}
        self._parted = []
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        self._buffer = <uint8_t*>malloc(BUFFER + OUT_BYTES)
        if self._buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._epoll >= 0:
            close(self._epoll)
        free(self._buffer)

    @property
    def n_lanes(self):
        return len(self._lanes)

    cdef bint join(self, Lane lane, int fd):
        """Read *fd* from now on; False if it is the loop that must go on reading it."""
        cdef epoll_event event
        if self._epoll < 0:
            return False
        if not self._is_watched:
            try:
                self._loop.add_reader(self._epoll, self._ready)
            except (NotImplementedError, OSError):
                return False
            self._is_watched = True
        event.events = EPOLLIN
        event.data.ptr = <void*>lane
        if epoll_ctl(self._epoll, EPOLL_CTL_ADD, fd, &event) != 0:
            return False
        lane._fd = fd
        lane._reactor = self
        self._lanes[fd] = lane
        return True

    def _ready(self):
        cdef timespec pause
        if self._is_crowded and self._n_last < FEW:
            pause.tv_sec = 0
            pause.tv_nsec = self.coalesce_us * 1000
            with nogil:
                nanosleep(&pause, NULL)
        self.poll()

    cdef void poll(self):
        """Read what is there, once each: what is left keeps the epoll ready, and others get their turn first."""
        cdef epoll_event events[BATCH]
        cdef Lane lane
        cdef int i, n
        if self._epoll < 0:
            return
        n = epoll_wait(self._epoll, events, BATCH, 0)
        for i in range(n):
            lane = <Lane>events[i].data.ptr
            if lane._fd >= 0:    # not parted by one before it
                lane._read()
        if self._parted:
            self._parted.clear()
        self._n_last = max(n, 0)
        self._n_read += self._n_last

    cdef void adapt(self, int64_t over_ns) noexcept:
        """Judge whether it is crowded, by what was read in the *over_ns* since the last call."""
        cdef int64_t per_s = self._n_read * <int64_t>1000000000 // max(over_ns, <int64_t>1)
        self._n_read = 0
        self._is_crowded = self.coalesce_us > 0 and per_s >= (LESS_CROWDED if self._is_crowded else CROWDED)

    cdef uint8_t* out(self) noexcept:
        """Room for ``OUT_BYTES`` that are about to be written; whose it is ends with the turn."""
        return self._buffer + BUFFER

    def close(self):
        for lane in list(self._lanes.values()):
            (<Lane>lane).part()
        self._parted.clear()
        if self._is_watched:
            self._loop.remove_reader(self._epoll)
            self._is_watched = False
        if self._epoll >= 0:
            close(self._epoll)
            self._epoll = -1
