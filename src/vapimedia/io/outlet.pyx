# cython: language_level=3
"""The way out of one connection: frames, straight to the kernel where nothing waits before them."""

import os

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EAGAIN, EINTR, ENOBUFS, errno
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from vapimedia.io.lane cimport OUT_BYTES, VM_WS_HEAD, vm_ws_head_size, vm_ws_mask, vm_ws_new_key, vm_ws_write_head

__all__ = ["Outlet"]

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    /* An end of a record keeps Linux from adding to what it holds unsent: without it TCP_NOTSENT_LOWAT is looked at
     * only when half the peer's window is full, and two seconds of audio may wait for a peer that does not read. */
    #if defined(__linux__)
    enum { SEND_FLAGS = MSG_EOR | MSG_NOSIGNAL };
    #else
    enum { SEND_FLAGS = 0 };
    #endif
    """
    int SEND_FLAGS
    ssize_t c_send "send"(int fd, const void* bytes, size_t n, int flags)

cdef extern from * nogil:
    """
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #ifdef __linux__
    #include <linux/sockios.h>
    #endif
    static int vm_kernel_unsent(int fd) {
        int n = 0;
    #if defined(SIOCOUTQNSD)
        if (ioctl(fd, SIOCOUTQNSD, &n) != 0) return -1;
        return n;
    #elif defined(SO_NWRITE)
        socklen_t size = sizeof n;
        if (getsockopt(fd, SOL_SOCKET, SO_NWRITE, &n, &size) != 0) return -1;
        return n;
    #else
        (void)fd;
        return n - 1;
    #endif
    }
    """
    int vm_kernel_unsent(int fd)

cdef enum:
    LOOK_NS = 50000000
    FULL = 4096    # bytes that the kernel may hold unsent of what is encrypted: 120 ms of 16-bit samples at 16 kHz

cdef uint64_t _keys = int.from_bytes(os.urandom(8), "little")


cdef size_t frame_in_place(char* payload, size_t n, uint8_t opcode, bint masks) noexcept nogil:
    """Make a frame of *payload*, in front of which a head has room; return the size of that head."""
    cdef uint8_t key[4]
    if masks:
        vm_ws_new_key(key, &_keys)
        vm_ws_mask(<uint8_t*>payload, n, key)
    return vm_ws_write_head(<uint8_t*>payload - vm_ws_head_size(n, masks), opcode, n, key if masks else NULL)


cdef class Outlet:
    cdef void send(self, uint8_t opcode, bytes payload):
        """Send a whole message of which a copy must be made."""
        cdef bytes frame = bytes(VM_WS_HEAD) + payload
        cdef char* start = <char*>frame + <size_t>VM_WS_HEAD
        cdef size_t n = <size_t>len(payload)
        cdef size_t n_head = frame_in_place(start, n, opcode, self._masks)
        self._write(start - n_head, n_head + n)

    cdef bint put(self, uint8_t opcode, char* payload, size_t n, bint more):
        """Send a message in front of which there is room for a head. Return whether all so far is written.

        *more*: another may follow; then it may wait for that, until ``flush``.
        """
        cdef size_t n_head = frame_in_place(payload, n, opcode, self._masks)
        n += n_head
        if self._n_batch + n > OUT_BYTES:
            self.flush()
        if self._batch == NULL or n > OUT_BYTES or (self._n_batch == 0 and not more):
            self._write(payload - n_head, n)
            return True
        memcpy(self._batch + self._n_batch, payload - n_head, n)
        self._n_batch += n
        if more:
            return False
        self.flush()
        return True

    cdef void flush(self):
        cdef size_t n = self._n_batch
        self._n_batch = 0
        if n > 0:
            self._write(<char*>self._batch, n)

    cdef Py_ssize_t backlog(self):
        """Return how many bytes the kernel has not taken."""
        return self._transport.get_write_buffer_size()

    cdef Py_ssize_t kernel_unsent(self):
        """Return how many bytes the kernel has taken and not sent, -1 where it does not tell."""
        return vm_kernel_unsent(self._raw_fd)

    cdef bint is_full(self, int64_t now_ns):
        """Return whether the kernel holds more than it should. Looks every 50 ms."""
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            self._is_full = self.kernel_unsent() > FULL
        return self._is_full

    cdef Py_ssize_t unsent(self):
        """Return how many bytes have not left this machine, as far as the kernel tells."""
        return self.backlog() + max(self.kernel_unsent(), <Py_ssize_t>0)

    cdef void _write(self, const char* frames, size_t n):
        cdef ssize_t sent = 0
        if self._is_lost:
            return
        if self._has_backlog:
            self._has_backlog = self.backlog() > 0
        if self._fd >= 0 and not self._has_backlog:
            sent = c_send(self._fd, frames, n, SEND_FLAGS)
            if sent == <ssize_t>n:
                return
            self._is_lost = sent < 0 and errno not in (EAGAIN, EINTR, ENOBUFS)
            sent = max(sent, <ssize_t>0)    # what is wrong with the socket the transport finds out
        if self._transport.is_closing():    # it would log every write that comes after
            self._is_lost = True
            return
        # It copies what it cannot write now.
        self._transport.write(PyMemoryView_FromMemory(<char*>frames + sent, <ssize_t>n - sent, PyBUF_READ))
        self._has_backlog = self.backlog() > 0
