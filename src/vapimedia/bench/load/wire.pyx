# cython: freethreading_compatible=True
"""WebSocket frames (RFC 6455 s. 5) in memory that is the caller's. Both sides of a connection, no extensions.

Written apart from the kernels' own: who judges a bridge shares no code with it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

__all__ = ["FrameReader", "frame"]


cdef void mask(uint8_t* data, size_t n, uint32_t key) noexcept nogil:
    """Xor with the key's bytes in memory order; the same again takes it off."""
    cdef uint64_t wide = (<uint64_t>key << 32) | key
    cdef uint64_t word
    cdef size_t i = 0
    cdef const uint8_t* bytes = <const uint8_t*>&key
    while i + 8 <= n:
        memcpy(&word, &data[i], 8)
        word ^= wide
        memcpy(&data[i], &word, 8)
        i += 8
    while i < n:
        data[i] ^= bytes[i & 3]
        i += 1


cdef int frame_read(uint8_t* data, size_t n, Frame* frame) noexcept nogil:
    """Read one frame and unmask it in place. Return its bytes, 0 if it is not whole yet, -1 if it breaks the rules."""
    cdef size_t head = 2
    cdef size_t length
    cdef uint32_t key
    cdef int i
    if n < 2:
        return 0
    length = data[1] & 0x7F
    if data[0] & 0x70 or (data[0] & 8 and (length > 125 or not data[0] & 0x80)):
        return -1  # an extension nobody asked for, or a control frame that is long or in parts
    if length == 126:
        head = 4
        if n < head:
            return 0
        length = (<size_t>data[2] << 8) | data[3]
    elif length == 127:
        head = 10
        if n < head:
            return 0
        length = 0
        for i in range(8):
            length = (length << 8) | data[2 + i]
    if length > SCRATCH - HEAD_ROOM:
        return -1
    if data[1] & 0x80:
        if n < head + 4:
            return 0
        memcpy(&key, &data[head], 4)
        head += 4
    if n < head + length:
        return 0
    if data[1] & 0x80:
        mask(&data[head], length, key)
    frame.opcode = <Opcode>(data[0] & 0x0F)
    frame.fin = data[0] >> 7
    frame.payload = &data[head]
    frame.n = length
    return <int>(head + length)


cdef uint8_t* frame_wrap(uint8_t* payload, size_t n, Opcode opcode, bint masked, uint32_t key) noexcept nogil:
    """Write a frame's head before *payload*, which has ``HEAD_ROOM`` bytes there; return where the frame begins."""
    cdef size_t head = 2 + (4 if masked else 0) + (0 if n < 126 else 2 if n < 65536 else 8)
    cdef uint8_t* start = payload - head
    cdef uint8_t flag = 0x80 if masked else 0
    cdef int i
    start[0] = <uint8_t>(0x80 | opcode)
    if n < 126:
        start[1] = flag | <uint8_t>n
    elif n < 65536:
        start[1] = flag | 126
        start[2] = <uint8_t>(n >> 8)
        start[3] = <uint8_t>(n & 0xFF)
    else:
        start[1] = flag | 127
        for i in range(8):
            start[2 + i] = <uint8_t>(n >> (56 - 8 * i) & 0xFF)
    if masked:
        memcpy(payload - 4, &key, 4)
        mask(payload, n, key)
    return start


cdef bint keep(Kept* kept, const uint8_t* data, size_t n) noexcept nogil:
    """Append; false when it is more than any frame may have, or memory is out."""
    cdef size_t room = kept.room
    cdef void* grown
    if n == 0:
        return True  # there may be no memory yet to copy nothing to
    if kept.n + n > room:
        room = max(2 * room, kept.n + n)
        if room > 4 * SCRATCH:
            return False
        grown = realloc(kept.bytes, room)
        if grown == NULL:
            return False
        kept.bytes = <uint8_t*>grown
        kept.room = room
    memcpy(&kept.bytes[kept.n], data, n)
    kept.n += n
    return True


cdef size_t inbox_unpack(Inbox* inbox, uint8_t* scratch) noexcept nogil:
    """Put what waits at the front of *scratch*; new bytes go behind. Return how much that is."""
    cdef size_t n = inbox.part.n
    if n:
        memcpy(scratch, inbox.part.bytes, n)
        inbox.part.n = 0
    return n


cdef int inbox_next(Inbox* inbox, uint8_t** data, size_t* n, Frame* frame) noexcept nogil:
    """Take the next message or control frame off *data*. Return 1, 0 (the rest was kept for later) or -1 (broken).

    Its payload is valid until the next call.
    """
    cdef int taken
    if inbox.opcode == CONTINUATION:
        inbox.message.n = 0
    while True:
        taken = frame_read(data[0], n[0], frame)
        if taken == 0:
            return 0 if keep(&inbox.part, data[0], n[0]) else -1
        if taken < 0:
            return -1
        data[0] += taken
        n[0] -= <size_t>taken
        if frame.opcode >= CLOSE:
            return 1
        if (frame.opcode == CONTINUATION) != (inbox.opcode != CONTINUATION):
            return -1
        if frame.fin and frame.opcode != CONTINUATION:
            return 1
        if not keep(&inbox.message, frame.payload, frame.n):
            return -1
        if frame.opcode != CONTINUATION:
            inbox.opcode = frame.opcode
        elif frame.fin:
            frame.opcode = inbox.opcode
            frame.payload = inbox.message.bytes
            frame.n = inbox.message.n
            inbox.opcode = CONTINUATION
            return 1


cdef void inbox_free(Inbox* inbox) noexcept nogil:
    free(inbox.part.bytes)
    free(inbox.message.bytes)
    memset(inbox, 0, sizeof(Inbox))


def frame(bytes payload not None, int opcode, *, key=None):
    """Return one whole frame; with *key*, a number of 32 bits, as a client masks it."""
    cdef bytearray room = bytearray(HEAD_ROOM) + payload
    cdef size_t n = <size_t>len(payload)
    cdef uint8_t* body = <uint8_t*><char*>room + HEAD_ROOM
    cdef uint8_t* start = frame_wrap(body, n, <Opcode>opcode, key is not None, key or 0)
    return (<const char*>start)[:n + <size_t>(body - start)]


cdef class FrameReader:
    """Messages and control frames out of a stream of bytes, as the generator reads them."""

    cdef Inbox inbox
    cdef bytearray scratch

    def __cinit__(self):
        self.scratch = bytearray(2 * SCRATCH)

    def push(self, bytes data not None):
        """Return ``(opcode, payload)`` of each that is whole now. Raises ``ValueError`` for broken frames."""
        cdef list found = []
        cdef Frame one
        cdef int code
        cdef uint8_t* at = <uint8_t*><char*>self.scratch
        cdef size_t n = inbox_unpack(&self.inbox, at)
        if n + <size_t>len(data) > 2 * SCRATCH:
            raise ValueError("too much at once")
        memcpy(at + n, <const char*>data, <size_t>len(data))
        n += <size_t>len(data)
        while True:
            code = inbox_next(&self.inbox, &at, &n, &one)
            if code < 0:
                raise ValueError("these are no frames of RFC 6455")
            if code == 0:
                return found
            found.append((<int>one.opcode, (<const char*>one.payload)[:one.n]))

    def __dealloc__(self):
        inbox_free(&self.inbox)
