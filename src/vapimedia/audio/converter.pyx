# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""One leg's bytes to another's: decode, resample, encode in one call."""

from libc.stdint cimport uint8_t, uintptr_t

from vapimedia.audio.dispatch cimport vm_dispatch
from vapimedia.audio.stream cimport (
    Stream, encoding_code, push_chunk, push_chunk_into, vm_converter_count, vm_converter_push)

from vapimedia.audio.dispatch import adopt
from vapimedia.formats import AudioFormat

__all__ = ["Converter"]

adopt(<uintptr_t>&vm_dispatch, __name__)


cdef class Converter(Stream):
    """Converter(source, target, *, quality='balanced')
--

    Convert one stream from *source* to *target*, two ``AudioFormat``.

    Any chunking gives the same bytes: a 16-bit sample split between chunks is carried. The delay is the
    ``Resampler``'s; equal rates have none, equal formats are copied. One stream is for one thread at a time.
    Raises ``ConfigError`` for an unknown quality, ``TypeError`` for other formats. The first stream of a pair of rates
    and a quality designs its filter, as the first ``Resampler`` of that pair does.
    """

    def __cinit__(self, source, target, *, quality="balanced"):
        if not isinstance(source, AudioFormat) or not isinstance(target, AudioFormat):
            raise TypeError("source and target must be AudioFormat; AudioFormat.parse reads 'mulaw/8000'")
        self.open(
            encoding_code(source.encoding),
            source.sample_rate,
            encoding_code(target.encoding),
            target.sample_rate,
            quality,
        )
        self.source = source
        self.target = target
        self.quality = quality

    def __repr__(self):
        return f"Converter({self.source}, {self.target}, quality={self.quality!r})"

    def push(self, chunk):
        """Take the next bytes of the stream; return the bytes they become.

        Half a 16-bit sample at the end is carried to the next call. Raises ``StateError`` after ``flush``.
        """
        return push_chunk(self, chunk)

    def push_into(self, chunk, out):
        """Do as ``push`` does, into the writable buffer *out*; return the bytes written.

        The buffers must not overlap. Raises ``ValueError`` when *out* is too small (see ``max_output``),
        ``BufferError`` when it is read-only; nothing was taken then.
        """
        return push_chunk_into(self, chunk, out)

    def max_output(self, n_bytes):
        """Return the most bytes that a push of *n_bytes* can return."""
        return self.bound(n_bytes, 1)

    cdef size_t count_output(self, size_t n_bytes) noexcept nogil:
        return vm_converter_count(self.converter, n_bytes)

    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil:
        return vm_converter_push(self.converter, out, chunk, n_bytes)
