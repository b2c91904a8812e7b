# cython: freethreading_compatible=True
"""Streaming polyphase FIR resampler with a small constant delay."""

import cython

from libc.stdint cimport int16_t, uintptr_t

from vapimedia.audio.buffer cimport Chunk, close_chunk, open_chunk, open_output, open_samples
from vapimedia.audio.dispatch cimport vm_dispatch_init
from vapimedia.audio.stream cimport Stream

from vapimedia.audio.dispatch import adopt
from vapimedia.errors import ConfigError

__all__ = ["Resampler", "resample_line"]

adopt(<uintptr_t>&vm_dispatch_init)  # this module has its own copy of the kernels

cdef enum:
    PCM = 2  # bytes of a sample


cdef vm_fir_quality quality_code(object quality) except *:
    if quality == "balanced":
        return VM_FIR_BALANCED
    if quality == "telephone":
        return VM_FIR_TELEPHONE
    if quality == "high":
        return VM_FIR_HIGH
    raise ConfigError(f"unknown quality {quality!r}; known are telephone, balanced, high")


cdef int check_rate(object name, object rate_hz) except -1:
    if not isinstance(rate_hz, int) or not 1000 <= rate_hz <= 192_000:
        raise ConfigError(f"{name} {rate_hz!r} is not a whole number of Hz in 1000..192000")
    return 0


cdef class Resampler(Stream):
    """Convert one stream of pcm_s16le from *from_hz* to *to_hz*.

    After n input samples in all, exactly ``ceil(n * to_hz / from_hz)`` output samples have been returned,
    from the first call on, and any chunking gives the same bits. Full scale saturates. One stream is for
    one thread at a time. Raises ``ConfigError`` for rates outside 1000..192000 Hz and unknown qualities.

    The delay is ``latency_samples``: ``telephone`` 19, ``balanced`` 32, ``high`` 71 periods of the lower rate
    (2.4, 4, 8.9 ms at 8 kHz); equal rates have none.
    """

    def __cinit__(self, from_hz, to_hz, *, quality="balanced"):
        check_rate("from_hz", from_hz)
        check_rate("to_hz", to_hz)
        self.fir = vm_fir_new(from_hz, to_hz, quality_code(quality))
        if self.fir is NULL:
            raise MemoryError
        self.item_bytes = PCM
        self.from_hz = from_hz
        self.to_hz = to_hz
        self.quality = quality

    def __dealloc__(self):
        vm_fir_free(self.fir)

    def __repr__(self):
        return f"Resampler({self.from_hz}, {self.to_hz}, quality={self.quality!r})"

    cdef size_t count_output(self, size_t n_samples) noexcept nogil:
        return vm_fir_count(self.fir, n_samples)

    cdef size_t push_samples(self, int16_t *out, const int16_t *pcm, size_t n_samples) noexcept nogil:
        return vm_fir_push(self.fir, out, pcm, n_samples)

    cdef size_t open_source(self, Chunk *chunk, object pcm) except? <size_t>-1:
        return open_samples(chunk, pcm, PCM)

    cdef size_t push_items(self, void *out, const void *pcm, size_t n_samples) noexcept nogil:
        return vm_fir_push(self.fir, <int16_t *>out, <const int16_t *>pcm, n_samples)

    cdef size_t count_tail(self) noexcept nogil:
        return vm_fir_latency(self.fir)

    cdef void flush_items(self, void *out) noexcept nogil:
        vm_fir_flush(self.fir, <int16_t *>out)

    cdef void restart(self) noexcept nogil:
        vm_fir_reset(self.fir)

    def push_into(self, pcm, out):
        """Do as ``push`` does, into the writable buffer *out*; return the samples written.

        The buffers must not overlap. Raises ``ValueError`` when *out* is too small (see ``max_output``);
        nothing was taken then.
        """
        cdef Chunk chunk, target
        cdef size_t n_samples, n_out
        with cython.critical_section(self):
            self.check_usable()
            n_samples = self.open_source(&chunk, pcm)
            try:
                open_output(&target, out)
                try:
                    n_out = vm_fir_count(self.fir, n_samples)
                    if target.n_bytes < PCM * n_out:
                        raise ValueError(f"the output holds {target.n_bytes} bytes, {PCM * n_out} are needed")
                    self.run(target.data, chunk.data, n_samples)
                finally:
                    close_chunk(&target)
            finally:
                close_chunk(&chunk)
            return n_out

    def max_output(self, n_samples):
        """Return the most samples that a push of *n_samples* can return."""
        if n_samples < 0:
            raise ValueError(f"n_samples is {n_samples}; it must not be negative")
        return vm_fir_max_output(self.fir, n_samples)

    @property
    def latency_samples(self):
        """Constant delay in output samples."""
        return vm_fir_latency(self.fir)

    @property
    def latency_ms(self):
        """Constant delay in milliseconds."""
        return 1000 * vm_fir_latency(self.fir) / self.to_hz


def resample_line(source, target, from_hz, to_hz, quality, is_float):
    """Resample a whole contiguous signal into *target*: all outputs, then the tail.

    Both hold int16 samples, or float32 with *is_float*. *target* has room for ``ceil(n * to / from)``
    samples and the tail. Returns the delay in samples.
    """
    cdef Resampler resampler = Resampler(from_hz, to_hz, quality=quality)
    cdef vm_fir *fir = resampler.fir
    cdef Chunk chunk, out
    cdef bint in_float = is_float
    cdef size_t n_bytes = 4 if is_float else 2
    cdef size_t n_out
    open_chunk(&chunk, source, <Py_ssize_t>n_bytes)
    try:
        open_output(&out, target)
        try:
            n_out = vm_fir_count(fir, chunk.n_bytes // n_bytes)
            if out.n_bytes < (n_out + vm_fir_latency(fir)) * n_bytes:
                raise ValueError(f"the output holds {out.n_bytes // n_bytes} samples, too few")
            with nogil:
                if in_float:
                    vm_fir_push_f32(fir, <float *>out.data, <const float *>chunk.data, chunk.n_bytes // 4)
                    vm_fir_flush_f32(fir, <float *>out.data + n_out)
                else:
                    vm_fir_push(fir, <int16_t *>out.data, <const int16_t *>chunk.data, chunk.n_bytes // 2)
                    vm_fir_flush(fir, <int16_t *>out.data + n_out)
        finally:
            close_chunk(&out)
    finally:
        close_chunk(&chunk)
    return vm_fir_latency(fir)
