# cython: freethreading_compatible=True
"""What all streams of audio have in common: one user at a time, chunks in any size, an end and a new start."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from vapimedia.audio.buffer cimport BULK_SAMPLES, Chunk, close_chunk, open_chunk

from vapimedia.errors import StateError

__all__ = ["Stream"]


cdef class Stream:
    """Take one stream chunk by chunk; ``Converter`` and ``Resampler`` say what becomes of it.

    One stream is for one thread at a time. By itself it is empty.
    """

    def __cinit__(self, *_args, **_options):
        self.item_bytes = 1

    cdef size_t open_source(self, Chunk *chunk, object source) except? <size_t>-1:
        """Borrow *source* until ``close_chunk``; return its items."""
        open_chunk(chunk, source, 2)
        return chunk.n_bytes

    cdef size_t count_output(self, size_t n_items) noexcept nogil:
        return 0

    cdef size_t push_items(self, void *out, const void *items, size_t n_items) noexcept nogil:
        return 0

    cdef size_t count_tail(self) noexcept nogil:
        return 0

    cdef void flush_items(self, void *out) noexcept nogil:
        pass

    cdef void restart(self) noexcept nogil:
        pass

    cdef int check_idle(self) except -1:
        if self.busy:
            raise StateError(
                f"the {type(self).__name__.lower()} is in use by another thread; give each stream its own"
            )
        return 0

    cdef int check_usable(self) except -1:
        if self.busy:
            self.check_idle()
        if self.flushed:
            raise StateError(
                f"the {type(self).__name__.lower()} was flushed; call reset() before the next stream"
            )
        return 0

    cdef void run(self, void *out, const void *items, size_t n_items) noexcept:
        if n_items < BULK_SAMPLES:
            self.push_items(out, items, n_items)
        else:
            self.busy = True
            with nogil:
                self.push_items(out, items, n_items)
            self.busy = False

    def push(self, chunk):
        """Take the next bytes of the stream; return what they become.

        Raises ``StateError`` after ``flush``. A ``Converter`` carries half a sample, a ``Resampler`` raises
        ``ValueError``.
        """
        cdef Chunk given
        cdef size_t n_items
        with cython.critical_section(self):
            self.check_usable()
            n_items = self.open_source(&given, chunk)
            try:
                out = PyBytes_FromStringAndSize(
                    NULL, <Py_ssize_t>(self.count_output(n_items) * self.item_bytes)
                )
                self.run(PyBytes_AS_STRING(out), given.data, n_items)
            finally:
                close_chunk(&given)
            return out

    def flush(self):
        """End the stream: return the tail, as long as the delay. Only ``reset`` may follow.

        Half a sample is dropped.
        """
        with cython.critical_section(self):
            self.check_usable()
            out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(self.count_tail() * self.item_bytes))
            self.flush_items(PyBytes_AS_STRING(out))
            self.flushed = True
            return out

    def reset(self):
        """Start a new stream: the state is that of a new object."""
        with cython.critical_section(self):
            self.check_idle()
            self.flushed = False
            self.restart()
