# cython: freethreading_compatible=True
"""Twilio's words on a media stream, those that a load needs, without an object per message."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy


cdef extern from "base64.h":
    size_t vm_base64_encode(char* dst, const uint8_t* src, size_t n) noexcept nogil

cdef extern from "string.h":
    void* memmem(const void* haystack, size_t n, const void* needle, size_t n_needle) noexcept nogil

__all__ = ["media_message", "read_message"]

cdef enum:
    FRAME_BYTES = 160
    FRAME_MS = 20


cdef char* put(char* dst, const char* text, size_t n) noexcept nogil:
    memcpy(dst, text, n)
    return dst + n


cdef char* put_number(char* dst, uint32_t number) noexcept nogil:
    cdef char digits[10]
    cdef int n = 0
    while True:
        digits[n] = <char>(48 + number % 10)
        number //= 10
        n += 1
        if number == 0:
            break
    while n:
        n -= 1
        dst[0] = digits[n]
        dst += 1
    return dst


cdef size_t phone_media(
    char* dst, const char* sid, uint32_t sequence, uint32_t chunk, const uint8_t* mulaw
) noexcept nogil:
    """Write the message of one frame, every documented key in it; return its length."""
    cdef char* at = put(dst, b'{"event":"media","sequenceNumber":"', 35)
    at = put_number(at, sequence)
    at = put(at, b'","media":{"track":"inbound","chunk":"', 38)
    at = put_number(at, chunk)
    at = put(at, b'","timestamp":"', 15)
    at = put_number(at, (chunk - 1) * FRAME_MS)
    at = put(at, b'","payload":"', 13)
    at += vm_base64_encode(at, mulaw, FRAME_BYTES)
    at = put(at, b'"},"streamSid":"', 16)
    at = put(at, sid, SID)
    at = put(at, b'"}', 2)
    return <size_t>(at - dst)


cdef size_t phone_mark(char* dst, const char* sid, uint32_t sequence, const char* name, size_t n) noexcept nogil:
    """Write a mark that is given back."""
    cdef char* at = put(dst, b'{"event":"mark","sequenceNumber":"', 34)
    at = put_number(at, sequence)
    at = put(at, b'","streamSid":"', 15)
    at = put(at, sid, SID)
    at = put(at, b'","mark":{"name":"', 18)
    at = put(at, name, n)
    at = put(at, b'"}}', 3)
    return <size_t>(at - dst)


cdef const char* value_of(const char* message, size_t n, const char* key, size_t n_key, size_t* length) noexcept nogil:
    """Find the text at *key*, wherever it stands; ``NULL`` if there is none."""
    cdef const char* end = message + n
    cdef const char* at = <const char*>memmem(message, n, key, n_key)
    cdef const char* close
    if at == NULL:
        return NULL
    at += n_key
    while at < end and at[0] in b" \t\r\n:":
        at += 1
    if at == end or at[0] != c'"':
        return NULL
    at += 1
    close = <const char*>memchr(at, c'"', <size_t>(end - at))
    if close == NULL:
        return NULL
    length[0] = <size_t>(close - at)
    return at


cdef void phone_read(const char* message, size_t n, const char* sid, PhoneEvent* event) noexcept nogil:
    """Say what a bridge's message is. Media without a payload, like all unknown, is ``PHONE_OTHER``."""
    cdef size_t length = 0
    cdef const char* word = value_of(message, n, b'"event"', 7, &length)
    event.word = PHONE_OTHER
    event.text = NULL
    event.n = 0
    event.is_ours = memmem(message, n, sid, SID) != NULL
    if word == NULL:
        return
    if length == 5 and memcmp(word, b"media", 5) == 0:
        event.text = value_of(message, n, b'"payload"', 9, &event.n)
        event.word = PHONE_MEDIA if event.text != NULL else PHONE_OTHER
    elif length == 4 and memcmp(word, b"mark", 4) == 0:
        event.text = value_of(message, n, b'"name"', 6, &event.n)
        event.word = PHONE_MARK if event.text != NULL and event.n <= LONGEST_NAME else PHONE_OTHER
    elif length == 5 and memcmp(word, b"clear", 5) == 0:
        event.word = PHONE_CLEAR


def media_message(bytes sid not None, uint32_t sequence, uint32_t chunk, bytes mulaw not None):
    """Return one frame's message, for tests."""
    cdef char message[LONGEST_MESSAGE]
    if len(sid) != SID or len(mulaw) != FRAME_BYTES:
        raise ValueError("a stream's name has 34 characters and a frame 160 bytes")
    cdef size_t n = phone_media(message, sid, sequence, chunk, <const uint8_t*><const char*>mulaw)
    return message[:n]


def read_message(bytes message not None, bytes sid not None):
    """Return ``(event, text, is_ours)`` as the generator sees a message, for tests."""
    cdef PhoneEvent event
    phone_read(message, <size_t>len(message), sid, &event)
    name = {PHONE_MEDIA: "media", PHONE_MARK: "mark", PHONE_CLEAR: "clear"}.get(event.word, "")
    return name, event.text[:event.n] if event.text != NULL else b"", bool(event.is_ours)
