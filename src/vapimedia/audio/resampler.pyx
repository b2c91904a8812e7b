# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""Polyphase FIR resampler with a small constant delay: one stream, or whole signals."""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.number cimport PyNumber_Index
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int16_t, uint8_t, uint32_t, uintptr_t

from vapimedia.audio.buffer cimport item_code
from vapimedia.audio.dispatch cimport vm_dispatch
from vapimedia.audio.stream cimport (
    VM_PCM_S16LE, Stream, push_chunk, push_chunk_into, quality_code, vm_converter_count, vm_converter_latency,
    vm_converter_push, vm_fir_quality)

from vapimedia.audio.dispatch import adopt
from vapimedia.errors import ConfigError

cdef extern from "fir.h":
    ctypedef struct vm_fir:
        pass
    vm_fir *vm_fir_new(uint32_t from_hz, uint32_t to_hz, vm_fir_quality quality) noexcept nogil
    void vm_fir_free(vm_fir *fir) noexcept nogil
    size_t vm_fir_count(const vm_fir *fir, size_t n) noexcept nogil

cdef extern from "line.h":
    ctypedef struct vm_line:
        void *at
        ptrdiff_t step
    int vm_line_resample(vm_fir *fir, vm_line dst, vm_line src, size_t n) noexcept nogil
    int vm_line_resample_f32(vm_fir *fir, vm_line dst, vm_line src, size_t n) noexcept nogil

__all__ = ["Resampler", "output_length", "resample_lines"]

adopt(<uintptr_t>&vm_dispatch, __name__)

cdef enum:
    PCM = 2  # bytes of a sample


cdef uint32_t checked_rate(object name, object rate_hz) except 0:
    try:
        whole = PyNumber_Index(rate_hz)
    except TypeError:
        whole = 0
    if not 1000 <= whole <= 192_000:
        raise ConfigError(f"{name} {rate_hz!r} is not a whole number of Hz in 1000..192000")
    return whole


cdef class Resampler(Stream):
    """Resampler(from_hz, to_hz, *, quality='balanced')
--

    Convert one stream of pcm_s16le from *from_hz* to *to_hz*.

    After n input samples in all, exactly ``ceil(n * to_hz / from_hz)`` output samples have been returned,
    from the first call on, and any chunking gives the same bits: a sample split between chunks is carried. Full
    scale saturates. One stream is for one thread at a time. Raises ``ConfigError`` for rates outside 1000..192000
    Hz and unknown qualities. The first stream of a pair of rates and a quality designs its filter, which takes up to
    30 ms; the others share it and take a fraction of a microsecond.

    The delay is ``latency_samples``: ``telephone`` 19, ``balanced`` 32, ``high`` 71 periods of the lower rate
    (2.4, 4, 8.9 ms at 8 kHz); equal rates have none.
    """

    def __cinit__(self, from_hz, to_hz, *, quality="balanced"):
        self.from_hz = checked_rate("from_hz", from_hz)
        self.to_hz = checked_rate("to_hz", to_hz)
        self.open(VM_PCM_S16LE, self.from_hz, VM_PCM_S16LE, self.to_hz, quality)
        self.quality = quality

    def __repr__(self):
        return f"Resampler({self.from_hz}, {self.to_hz}, quality={self.quality!r})"

    def push(self, pcm):
        """Take the next bytes of the stream; return the samples they become.

        Half a sample at the end is carried to the next call. Raises ``StateError`` after ``flush``.
        """
        return push_chunk(self, pcm)

    def push_into(self, pcm, out):
        """Do as ``push`` does, into the writable buffer *out*; return the samples written.

        The buffers must not overlap. Raises ``ValueError`` when *out* is too small (see ``max_output``),
        ``BufferError`` when it is read-only; nothing was taken then.
        """
        return push_chunk_into(self, pcm, out) // PCM

    def max_output(self, n_samples):
        """Return the most samples that a push of *n_samples* can return."""
        return self.bound(n_samples, PCM)

    cdef size_t count_output(self, size_t n_samples) noexcept nogil:
        return vm_converter_count(self.converter, PCM * n_samples) // PCM

    cdef size_t push_samples(self, int16_t *out, const int16_t *pcm, size_t n_samples) noexcept nogil:
        return vm_converter_push(self.converter, <uint8_t *>out, <const uint8_t *>pcm, PCM * n_samples) // PCM

    @property
    def latency_samples(self):
        """Constant delay in output samples."""
        return vm_converter_latency(self.converter)


def output_length(n_samples, from_hz, to_hz):
    """Return how many samples *n_samples* become. Raises ``ConfigError`` as ``Resampler`` does."""
    cdef object given = checked_rate("from_hz", from_hz), wanted = checked_rate("to_hz", to_hz)
    return -(-n_samples * wanted // given)


def resample_lines(source, target, from_hz, to_hz, quality):
    """Resample every line of *source*, an int16 or float32 array ``(n,)`` or ``(n, lines)``, into *target*.

    *target* has the same type and number of lines, and ``output_length`` rows. Other threads run meanwhile.
    """
    cdef Py_buffer given, out
    cdef vm_fir *fir
    cdef uint32_t given_hz = checked_rate("from_hz", from_hz), wanted_hz = checked_rate("to_hz", to_hz)
    cdef vm_fir_quality code = quality_code(quality)
    with nogil:
        fir = vm_fir_new(given_hz, wanted_hz, code)
    if fir is NULL:
        raise MemoryError
    try:
        PyObject_GetBuffer(source, &given, PyBUF_STRIDES | PyBUF_FORMAT)
        try:
            PyObject_GetBuffer(target, &out, PyBUF_STRIDES | PyBUF_FORMAT | PyBUF_WRITABLE)
            try:
                check_shapes(fir, &given, &out)
                if run_lines(fir, &given, &out) < 0:
                    raise MemoryError
            finally:
                PyBuffer_Release(&out)
        finally:
            PyBuffer_Release(&given)
    finally:
        vm_fir_free(fir)


cdef int check_shapes(const vm_fir *fir, const Py_buffer *given, const Py_buffer *out) except -1:
    cdef char code = item_code(given)
    if code != item_code(out) or (code != b"h" and code != b"f"):
        raise TypeError(
            f"format {given.format.decode()!r} cannot become {out.format.decode()!r}; expected 'h' (int16) or 'f'"
            " (float32) of both"
        )
    if given.ndim not in (1, 2) or given.ndim != out.ndim:
        raise ValueError(f"{given.ndim} dimensions cannot become {out.ndim}; expected 1 or 2 of each")
    if out.shape[0] != <Py_ssize_t>vm_fir_count(fir, <size_t>given.shape[0]):
        raise ValueError(f"{given.shape[0]} samples do not become {out.shape[0]}")
    if given.ndim == 2 and given.shape[1] != out.shape[1]:
        raise ValueError(f"{given.shape[1]} lines do not become {out.shape[1]}")
    return 0


cdef int run_lines(vm_fir *fir, const Py_buffer *given, const Py_buffer *out) noexcept:
    cdef Py_ssize_t i, n_lines = given.shape[1] if given.ndim == 2 else 1
    cdef size_t n = <size_t>given.shape[0]
    cdef int failed = 0
    cdef vm_line dst, src
    dst.step = out.strides[0]
    src.step = given.strides[0]
    with nogil:
        for i in range(n_lines):
            dst.at = <char *>out.buf + (i * out.strides[1] if out.ndim == 2 else 0)
            src.at = <char *>given.buf + (i * given.strides[1] if given.ndim == 2 else 0)
            if given.itemsize == 4:
                failed |= vm_line_resample_f32(fir, dst, src, n)
            else:
                failed |= vm_line_resample(fir, dst, src, n)
    return failed
