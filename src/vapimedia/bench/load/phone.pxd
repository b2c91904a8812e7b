from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    SID = 34
    LONGEST_NAME = 64
    LONGEST_MESSAGE = 640

cdef enum PhoneWord:
    PHONE_OTHER
    PHONE_MEDIA
    PHONE_MARK
    PHONE_CLEAR

# Points into the message.
cdef struct PhoneEvent:
    PhoneWord word
    bint is_ours  # the message names our stream
    const char* text  # base64 of media, a mark's name
    size_t n

cdef size_t phone_media(
    char* dst, const char* sid, uint32_t sequence, uint32_t chunk, const uint8_t* mulaw) noexcept nogil
cdef size_t phone_mark(char* dst, const char* sid, uint32_t sequence, const char* name, size_t n) noexcept nogil
cdef void phone_read(const char* message, size_t n, const char* sid, PhoneEvent* event) noexcept nogil
