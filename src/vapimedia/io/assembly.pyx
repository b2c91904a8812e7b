# cython: language_level=3, freethreading_compatible=True
"""A message that comes in fragments."""

from libc.stddef cimport size_t

__all__ = ["Assembly"]

cdef enum:
    MAX_FRAGMENTS = 64


cdef class Assembly:
    cdef void begin(self, bint is_text):
        self.is_text = is_text
        self._bytes = bytearray()
        self._n_fragments = 0

    cdef bint add(self, const char* fragment, size_t n, Py_ssize_t max_bytes):
        """Append a fragment. False: the message has become too big."""
        self._n_fragments += 1
        if self._n_fragments > MAX_FRAGMENTS or len(self._bytes) + <Py_ssize_t>n > max_bytes:
            return False
        self._bytes += fragment[:n]
        return True

    cdef bytearray end(self):
        """Return what was collected, and be empty again."""
        whole, self._bytes = self._bytes, None
        return whole
