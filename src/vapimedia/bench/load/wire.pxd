from libc.stdint cimport uint8_t, uint32_t

cdef enum Opcode:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

cdef enum:
    HEAD_ROOM = 14  # a frame's head at most: 2 + 8 + 4 bytes
    SCRATCH = 1 << 18  # a frame must fit in here

cdef struct Frame:
    Opcode opcode
    bint fin
    uint8_t* payload
    size_t n

# Bytes that wait for more: a frame's beginning, or a message's.
cdef struct Kept:
    uint8_t* bytes
    size_t n
    size_t room

# One WebSocket's incoming side.
cdef struct Inbox:
    Kept part  # a frame that is not whole yet
    Kept message  # fragments so far
    Opcode opcode  # of those

cdef int frame_read(uint8_t* data, size_t n, Frame* frame) noexcept nogil
cdef uint8_t* frame_wrap(uint8_t* payload, size_t n, Opcode opcode, bint masked, uint32_t key) noexcept nogil
cdef bint keep(Kept* kept, const uint8_t* data, size_t n) noexcept nogil
cdef size_t inbox_unpack(Inbox* inbox, uint8_t* scratch) noexcept nogil
cdef int inbox_next(Inbox* inbox, uint8_t** data, size_t* n, Frame* frame) noexcept nogil
cdef void inbox_free(Inbox* inbox) noexcept nogil
