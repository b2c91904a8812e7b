from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from vapimedia.audio.stream cimport (
    vm_converter, vm_converter_flush, vm_converter_free, vm_converter_latency, vm_converter_max_flush,
    vm_converter_max_output, vm_converter_new, vm_converter_push, vm_converter_reset, vm_encoding, vm_fir_quality)
from vapimedia.media.envelope cimport Envelope
from vapimedia.media.tally cimport vm_histogram
from vapimedia.media.tap cimport VM_TAP_GOES_ON, Tap

cdef extern from "<stdbool.h>" nogil:
    ctypedef unsigned char c_bool "bool"

cdef extern from "queue.h" nogil:
    ctypedef struct vm_queue_pool:
        unsigned int n
    ctypedef struct vm_queue:
        size_t n_bytes
        uint64_t popped
        vm_queue_pool* pool
    void vm_queue_init(vm_queue* queue, vm_queue_pool* pool) noexcept
    void vm_queue_free(vm_queue* queue) noexcept
    bint vm_queue_push(vm_queue* queue, const uint8_t* src, size_t n, int64_t received_ns) noexcept
    size_t vm_queue_pop(vm_queue* queue, uint8_t* dst, size_t n, int64_t* received_ns) noexcept
    int64_t vm_queue_oldest_ns(const vm_queue* queue) noexcept
    void vm_queue_clear(vm_queue* queue) noexcept

cdef extern from "shed.h" nogil:
    ctypedef struct vm_shed:
        size_t at
        size_t n
    vm_shed vm_shed_frame(vm_queue* queue, vm_encoding encoding, size_t n_frame, size_t n_kept,
                          size_t n_window) noexcept
    size_t vm_shed_before_silence(const vm_queue* queue, vm_encoding encoding, size_t n_frame, size_t n) noexcept

cdef extern from "level.h" nogil:
    ctypedef struct vm_level:
        pass
    void vm_level_add(vm_level* level, vm_encoding encoding, const uint8_t* audio, size_t n,
                      int64_t now_ns) noexcept
    int64_t vm_level_power(const vm_level* level, int64_t now_ns) noexcept

cdef enum Taken:
    TAKEN = 0    # media of this stream, or foreign media: dealt with
    NOT_TAKEN = 1    # not media, or media that only a full parser can read: the caller's

cdef enum Hop:
    HOP_CONVERT = 0    # received -> converted
    HOP_QUEUE = 1    # received -> due for sending
    HOP_SEND = 2    # received -> handed to the socket
    HOPS = 3

cdef enum:
    PIECE = 768    # audio bytes handled at a time, at most
    PIECE_TEXT = 1024    # the same as base64

cdef enum:
    NS_PER_MS = 1000000
    NS_PER_S = 1000000000


cdef inline double to_ms(int64_t ns) noexcept:
    return <double>ns / <double>NS_PER_MS


# Head-room in front of every message: the longest WebSocket header, RFC 6455 s. 5.2.
cdef enum:
    HEAD_ROOM = 14


# What happened to the audio, in bytes of the target format unless the name says otherwise.
cdef struct Counters:
    uint64_t messages_in
    uint64_t messages_out
    uint64_t source_bytes
    uint64_t sent
    uint64_t inserted
    uint64_t repaid
    uint64_t flooded
    uint64_t overflowed
    uint64_t unsent
    uint64_t cleared
    uint64_t clears
    uint64_t foreign
    uint64_t invalid
    uint64_t wrong_size    # messages
    uint64_t misfit    # the audio in them
    uint64_t late    # due for too long while the far side took nothing
    uint64_t caught_up    # silence left out of a queue that stood
    uint64_t late_source_bytes    # came in after close
    int64_t cleared_unplayed_ns    # dropped by the far side
    uint64_t gaps
    int64_t gap_ns


cdef class MediaPath:
    cdef readonly object source
    cdef readonly object target
    cdef Envelope _unwrap
    cdef Envelope _wrap
    cdef vm_converter* _converter
    cdef vm_queue _queue
    cdef vm_histogram* _hops
    cdef vm_level _level    # of the converted audio
    cdef Counters _counters
    cdef size_t _n_piece    # bytes converted at a time
    cdef uint8_t* _audio    # payload of the next message
    cdef char* _message    # head-room and next message
    cdef size_t _n_message    # most payload bytes of one message
    cdef size_t _frame_bytes    # one frame of the target format
    cdef size_t _sample_bytes
    cdef uint8_t _silence_byte
    cdef int64_t _source_bytes_per_s
    cdef int64_t _target_bytes_per_s
    cdef int64_t _oldest_ns    # arrival of the audio in the last message; INT64_MIN: it is silence of our own
    cdef vm_encoding _encoding    # of the target
    cdef int64_t _held_ns    # of what was sent, what our socket still holds
    cdef Tap _source_tap    # gets what comes in; None, as a rule: nobody records it
    cdef bint _is_closed
    cdef bint _is_stalled
    cdef bint _source_is_wide    # 16-bit samples
    cdef bint _is_split    # the source's last sample has only its first half yet

    # For other Cython code: no Python object is made, nothing is raised.
    cdef Taken receive(self, const char* message, size_t n, bint is_text, int64_t now_ns) noexcept
    cdef char* next_message(self, size_t* n, int64_t now_ns) noexcept
    cdef int64_t next_due(self) noexcept
    cdef bint sends_text(self) noexcept

    cdef void note(self, Hop hop, int64_t since_ns, int64_t now_ns) noexcept

    # A clock costs more than all else that is recorded: one conversion in four is timed.
    cdef inline bint times_conversion(self) noexcept:
        return self._counters.messages_in & 3 == 1

    # What the kinds of path do differently.
    cdef size_t _take(self, uint8_t* dst, int64_t now_ns) noexcept
    cdef size_t _admit(self, size_t n_converted) noexcept
    cdef void _bound(self, int64_t now_ns) noexcept
    cdef void _arrived(self, size_t n_source, int64_t now_ns) noexcept
    cdef bint _leaves(self, size_t n, int64_t now_ns) noexcept
    cpdef set_stalled(self, bint stalled)
    cpdef set_backlog(self, size_t n_bytes)

    cdef void _push(self, const uint8_t* audio, size_t n, int64_t now_ns) noexcept
    cdef bint _accept(self, size_t n, int64_t now_ns) noexcept
    cdef void _convert(self, const uint8_t* audio, size_t n, int64_t now_ns) noexcept
    cdef ptrdiff_t _measure_base64(self, const char* text, size_t n, uint8_t* piece) noexcept
    cdef bint _push_base64(self, const char* text, size_t n, int64_t now_ns) noexcept
    cdef int64_t _ns(self, size_t n_bytes) noexcept
    cdef void _realign(self) noexcept
    cdef int _size_messages(self, size_t n_frames) except -1
    cdef list _collect(self, int64_t now_ns)
    cdef object _stats(self, int64_t queued_ns, int64_t heard_ns)
