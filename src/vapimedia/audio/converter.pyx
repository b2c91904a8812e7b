# cython: freethreading_compatible=True
"""One leg's bytes to another's: decode, resample, encode in one call."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from vapimedia.audio.buffer cimport BULK_SAMPLES, Chunk, close_chunk, open_chunk
from vapimedia.audio.dispatch cimport vm_dispatch_init
from vapimedia.audio.resampler cimport quality_code

from vapimedia.audio.dispatch import simd
from vapimedia.errors import ConfigError, StateError
from vapimedia.formats import AudioFormat

__all__ = ["Converter"]

vm_dispatch_init(simd.encode())


cdef vm_encoding encoding_code(object encoding) except *:
    if encoding == "mulaw":
        return VM_MULAW
    if encoding == "alaw":
        return VM_ALAW
    if encoding == "pcm_s16le":
        return VM_PCM_S16LE
    raise ConfigError(f"unknown encoding {encoding!r}; known are mulaw, alaw, pcm_s16le")


cdef class Converter:
    """Convert one stream from *source* to *target*, two ``AudioFormat``.

    Any chunking gives the same bytes: a 16-bit sample split between chunks is carried. The delay is the
    ``Resampler``'s; equal rates have none, equal formats are copied. One stream is for one thread at a time.
    Raises ``ConfigError`` for an unknown quality, ``TypeError`` for other formats.
    """

    def __cinit__(self, source, target, *, quality="balanced"):
        if not isinstance(source, AudioFormat) or not isinstance(target, AudioFormat):
            raise TypeError("source and target must be AudioFormat; AudioFormat.parse reads 'mulaw/8000'")
        self.converter = vm_converter_new(
            encoding_code(source.encoding),
            source.sample_rate,
            encoding_code(target.encoding),
            target.sample_rate,
            quality_code(quality),
        )
        if self.converter is NULL:
            raise MemoryError
        self.source = source
        self.target = target
        self.quality = quality

    def __dealloc__(self):
        vm_converter_free(self.converter)

    def __repr__(self):
        return f"Converter({self.source}, {self.target}, quality={self.quality!r})"

    cdef size_t count_output(self, size_t n_bytes) noexcept nogil:
        return vm_converter_count(self.converter, n_bytes)

    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil:
        return vm_converter_push(self.converter, out, chunk, n_bytes)

    cdef int check_idle(self) except -1:
        if self.busy:
            raise StateError("the converter is in use by another thread; give each stream its own")
        return 0

    cdef int check_usable(self) except -1:
        self.check_idle()
        if self.flushed:
            raise StateError("the converter was flushed; call reset() before the next stream")
        return 0

    def push(self, chunk):
        """Take any bytes of *source*; return those of *target*. Raises ``StateError`` after ``flush``."""
        cdef Chunk given
        cdef uint8_t *to
        cdef size_t n_out
        with cython.critical_section(self):
            self.check_usable()
            open_chunk(&given, chunk, 2)
            try:
                n_out = vm_converter_count(self.converter, given.n_bytes)
                out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>n_out)
                to = <uint8_t *>PyBytes_AS_STRING(out)
                if given.n_bytes < BULK_SAMPLES:
                    vm_converter_push(self.converter, to, given.data, given.n_bytes)
                else:
                    self.busy = True
                    with nogil:
                        vm_converter_push(self.converter, to, given.data, given.n_bytes)
                    self.busy = False
            finally:
                close_chunk(&given)
            return out

    def flush(self):
        """End the stream: return the tail. Half a sample is dropped. Only ``reset`` may follow."""
        with cython.critical_section(self):
            self.check_usable()
            out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>vm_converter_max_flush(self.converter))
            vm_converter_flush(self.converter, <uint8_t *>PyBytes_AS_STRING(out))
            self.flushed = True
            return out

    def reset(self):
        """Start a new stream: the state is that of a new object."""
        with cython.critical_section(self):
            self.check_idle()
            self.flushed = False
            vm_converter_reset(self.converter)

    @property
    def latency_ms(self):
        """Constant delay in milliseconds."""
        return 1000 * vm_converter_latency(self.converter) / self.target.sample_rate
