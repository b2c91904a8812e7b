from vapimedia.audio.buffer cimport Chunk


cdef class Stream:
    cdef bint flushed
    cdef bint busy  # another thread is inside, without Python's lock
    cdef size_t item_bytes  # an item is what the stream counts: a byte, or a 16-bit sample

    # What streams differ in. Nothing but open_source can fail.
    cdef size_t open_source(self, Chunk *chunk, object source) except? <size_t>-1  # returns items
    cdef size_t count_output(self, size_t n_items) noexcept nogil
    cdef size_t push_items(self, void *out, const void *items, size_t n_items) noexcept nogil
    cdef size_t count_tail(self) noexcept nogil
    cdef void flush_items(self, void *out) noexcept nogil
    cdef void restart(self) noexcept nogil

    cdef int check_idle(self) except -1
    cdef int check_usable(self) except -1
    cdef void run(self, void *out, const void *items, size_t n_items) noexcept
