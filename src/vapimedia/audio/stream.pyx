# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""What all streams of audio have in common: one user at a time, chunks in any size, an end and a new start."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uintptr_t

from vapimedia.audio.dispatch cimport vm_dispatch

from vapimedia.audio.dispatch import adopt
from vapimedia.errors import ConfigError, StateError

__all__ = ["Stream"]

adopt(<uintptr_t>&vm_dispatch)

_LONGEST_CHUNK = 2**40  # far above any memory, and its products with rates fit in 64 bits


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
        self.converter = vm_converter_new(source, source_hz, target, target_hz, quality_code(quality))
        if self.converter is NULL:
            raise MemoryError
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
            vm_converter_flush(self.converter, <uint8_t *>PyBytes_AS_STRING(out))
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
