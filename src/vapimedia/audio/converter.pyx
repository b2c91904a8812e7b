# cython: freethreading_compatible=True
"""One leg's bytes to another's: decode, resample, encode in one call."""

from libc.stdint cimport uint8_t, uintptr_t

from vapimedia.audio.dispatch cimport vm_dispatch_init
from vapimedia.audio.resampler cimport quality_code
from vapimedia.audio.stream cimport Stream

from vapimedia.audio.dispatch import adopt
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = ["Converter"]

adopt(<uintptr_t>&vm_dispatch_init)  # this module has its own copy of the kernels


cdef vm_encoding encoding_code(object encoding) except *:
    if encoding == "mulaw":
        return VM_MULAW
    if encoding == "alaw":
        return VM_ALAW
    if encoding == "pcm_s16le":
        return VM_PCM_S16LE
    raise ConfigError(f"unknown encoding {encoding!r}; known are mulaw, alaw, pcm_s16le")


cdef class Converter(Stream):
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

    cdef size_t push_items(self, void *out, const void *chunk, size_t n_bytes) noexcept nogil:
        return vm_converter_push(self.converter, <uint8_t *>out, <const uint8_t *>chunk, n_bytes)

    cdef size_t count_tail(self) noexcept nogil:
        return vm_converter_max_flush(self.converter)

    cdef void flush_items(self, void *out) noexcept nogil:
        vm_converter_flush(self.converter, <uint8_t *>out)

    cdef void restart(self) noexcept nogil:
        vm_converter_reset(self.converter)

    @property
    def latency_ms(self):
        """Constant delay in milliseconds."""
        return 1000 * vm_converter_latency(self.converter) / self.target.sample_rate
