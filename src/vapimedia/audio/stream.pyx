# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""What all streams of audio have in common: one user at a time, chunks in any size, an end and a new start."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint64_t, uintptr_t

from vapimedia.audio.dispatch cimport vm_dispatch

from vapimedia.audio.dispatch import adopt
from vapimedia.errors import ConfigError, StateError

__all__ = ["Stream"]

adopt(<uintptr_t>&vm_dispatch, __name__)

_LONGEST_CHUNK = 2**40  # far above any memory, and its products with rates fit in 64 bits

# In multiply-adds, of which AVX2 makes 20 to 50 in a nanosecond.
cdef enum:
    BULK_WORK = 300_000  # what is worth giving up Python's lock
    SAMPLE_WORK = 16  # for a sample beside its filter: decoding, copying


cdef vm_encoding encoding_code(object encoding) except *:
    if encoding == "mulaw":
        return VM_MULAW
    if encoding == "alaw":
        return VM_ALAW
    if encoding == "pcm_s16le":
        return VM_PCM_S16LE
    raise ConfigError(f"unknown encoding {encoding!r}; known are mulaw, alaw, pcm_s16le")


cdef vm_fir_quality quality_code(object quality) except *:
    if quality == "balanced":
        return VM_FIR_BALANCED
    if quality == "telephone":
        return VM_FIR_TELEPHONE
    if quality == "high":
        return VM_FIR_HIGH
    raise ConfigError(f"unknown quality {quality!r}; known are telephone, balanced, high")


cdef class Stream:
    """Hold the state of one stream; ``Converter`` and ``Resampler`` take chunks, each in its own units.

    One stream is for one thread at a time. By itself it is of no use.
    """

    def __dealloc__(self):
        vm_converter_free(self.converter)

    def __sizeof__(self):
        """Return the bytes of this stream, all of its state included; coefficients are shared."""
        return object.__sizeof__(self) + vm_converter_state_bytes(self.opened())

    cdef int open(
        self, vm_encoding source, uint32_t source_hz, vm_encoding target, uint32_t target_hz, object quality
    ) except -1:
        """Begin, once; all streams are made and freed by this module's copy of the kernels."""
        cdef vm_fir_quality code = quality_code(quality)
        cdef uint64_t n_bytes, latency
        self.source_bytes = 2 if source == VM_PCM_S16LE else 1
        self.target_bytes = 2 if target == VM_PCM_S16LE else 1
        n_bytes = <uint64_t>self.source_bytes
        with nogil:  # the first stream of a pair of rates designs its filter
            self.converter = vm_converter_new(source, source_hz, target, target_hz, code)
        if self.converter is NULL:
            raise MemoryError
        latency = vm_converter_latency(self.converter)
        # The window of an output reaches as far back as forth: an input is in the windows of 2 * latency outputs.
        self.n_bulk = <size_t>(n_bytes * max(<uint64_t>1, BULK_WORK // (SAMPLE_WORK + 2 * latency)))
        self.has_long_tail = n_bytes * latency * source_hz >= self.n_bulk * <uint64_t>target_hz
        self.target_hz = target_hz
        self.state = READY
        return 0

    cdef int refuse(self) except -1:
        """Say why the state is not READY."""
        name = type(self).__name__.lower()
        if self.state == EMPTY:
            raise StateError("this stream converts nothing; make a Converter or a Resampler")
        if self.state == BUSY:
            raise StateError(f"the {name} is in use by another thread; give each stream its own")
        raise StateError(f"the {name} was flushed; call reset() before the next stream")

    cdef vm_converter *opened(self) except NULL:
        if self.state == EMPTY:
            self.refuse()
        return self.converter

    cdef size_t bound(self, object n_items, size_t n_bytes) except? <size_t>-1:
        """Return the most items of *n_bytes* each that a push of *n_items* can return."""
        n_items = PyNumber_Index(n_items)
        if not 0 <= n_items <= _LONGEST_CHUNK:
            raise ValueError(f"{n_items} is no length of a chunk; expected 0..{_LONGEST_CHUNK}")
        return vm_converter_max_output(self.opened(), n_items * n_bytes) // n_bytes

    def flush(self):
        """End the stream: return the tail, as long as the delay. Only ``reset`` may follow.

        Half a sample is dropped.
        """
        with cython.critical_section(self):
            if self.state != READY:
                self.refuse()
            out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>vm_converter_max_flush(self.converter))
            tail = <uint8_t *>PyBytes_AS_STRING(out)
            if self.has_long_tail:
                self.state = BUSY
                with nogil:
                    vm_converter_flush(self.converter, tail)
            else:
                vm_converter_flush(self.converter, tail)
            self.state = FLUSHED
            return out

    def reset(self):
        """Start a new stream: the state is that of a new object, half a sample is forgotten."""
        with cython.critical_section(self):
            if self.state != READY and self.state != FLUSHED:
                self.refuse()
            vm_converter_reset(self.converter)
            self.state = READY

    @property
    def latency_ms(self):
        """Constant delay in milliseconds."""
        return 1000 * vm_converter_latency(self.opened()) / self.target_hz
