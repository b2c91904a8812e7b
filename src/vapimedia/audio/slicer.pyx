# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""Chunks of any size in, whole frames out."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t

from vapimedia.audio.buffer cimport Chunk, close_chunk, open_chunk

from vapimedia.formats import AudioFormat

__all__ = ["FrameSlicer"]

cdef extern from "Python.h":
    Py_buffer *PyMemoryView_GET_BUFFER(object view)

cdef enum:
    PCM = 2  # bytes of a sample: the widest item that is taken


cdef inline bytes copied(const uint8_t *frame, size_t n_bytes):
    return PyBytes_FromStringAndSize(<const char *>frame, <Py_ssize_t>n_bytes)


cdef inline bint is_bytes(const Py_buffer *view) noexcept:
    return view.ndim == 1 and view.format[0] == b"B" and view.format[1] == 0


cdef class FrameSlicer:
    """FrameSlicer(fmt, *, ptime_ms=20)
--

    Cut a stream of *fmt* into frames of *ptime_ms*; the remainder waits for the next chunk.

    No byte is lost, added or moved, whatever the chunks. Raises ``ConfigError`` when *ptime_ms* is not a
    whole number of samples.
    """

    def __cinit__(self, fmt, *, ptime_ms=20):
        if not isinstance(fmt, AudioFormat):
            raise TypeError("fmt must be an AudioFormat; AudioFormat.parse reads 'mulaw/8000'")
        self.frame_bytes = fmt.frame_bytes(ptime_ms)
        self.silence = fmt.silence
        room = <uint8_t *>PyMem_Malloc(2 * <size_t>self.frame_bytes)
        if room is NULL:
            raise MemoryError
        vm_slicer_init(&self.slicer, room, <size_t>self.frame_bytes)

    def __dealloc__(self):
        PyMem_Free(self.slicer.room)

    def __sizeof__(self):
        """Return the bytes of this slicer, its room included."""
        return object.__sizeof__(self) + 2 * self.frame_bytes

    cdef size_t count_frames(self, size_t n_bytes) noexcept nogil:
        return vm_slicer_count(&self.slicer, n_bytes)

    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil:
        return vm_slicer_push(&self.slicer, out, chunk, n_bytes)

    cdef void view_frames(self, vm_slicer_frames *frames, const uint8_t *chunk, size_t n_bytes) noexcept nogil:
        vm_slicer_views(&self.slicer, frames, chunk, n_bytes)

    def push(self, chunk):
        """Take any bytes; return the whole frames that are complete now, each its own memory."""
        cdef Chunk given
        cdef vm_slicer_frames found
        cdef size_t i, n_frame = self.slicer.frame_bytes
        frames = []
        with cython.critical_section(self):
            open_chunk(&given, chunk, PCM)
            try:
                vm_slicer_views(&self.slicer, &found, given.data, given.n_bytes)
                if found.straddling is not NULL:
                    frames.append(copied(found.straddling, n_frame))
                for i in range(found.n_whole):
                    frames.append(copied(found.whole + i * n_frame, n_frame))
            finally:
                close_chunk(&given)
        return frames

    def push_views(self, chunk):
        """Do as ``push`` does without copying: return views of *chunk*, valid while it is not modified.

        The views keep *chunk* alive. A frame that straddles two chunks is a view of fresh bytes.
        """
        cdef Chunk given
        cdef vm_slicer_frames found
        cdef size_t i, first, n_frame = self.slicer.frame_bytes
        frames = []
        with cython.critical_section(self):
            open_chunk(&given, chunk, PCM)
            try:
                view = memoryview(chunk)
                if given.n_bytes > 0 and not is_bytes(PyMemoryView_GET_BUFFER(view)):
                    view = view.cast("B")
                vm_slicer_views(&self.slicer, &found, given.data, given.n_bytes)
                if found.straddling is not NULL:
                    # Before a new view may set off Python's collector: what that runs may push, too.
                    straddling = copied(found.straddling, n_frame)
                    frames.append(memoryview(straddling))
                first = <size_t>(found.whole - given.data)
                for i in range(found.n_whole):
                    frames.append(view[first + i * n_frame:first + (i + 1) * n_frame])
            finally:
                close_chunk(&given)
        return frames

    def flush(self):
        """Return the last frame, padded with silence, or ``None`` when nothing is pending; then start anew.

        Half a sample at the end is replaced by silence.
        """
        with cython.critical_section(self):
            if self.slicer.n_pending == 0:
                return None
            frame = PyBytes_FromStringAndSize(NULL, self.frame_bytes)
            vm_slicer_flush(
                &self.slicer,
                <uint8_t *>PyBytes_AS_STRING(frame),
                <const uint8_t *>PyBytes_AS_STRING(self.silence),
                <size_t>len(self.silence),
            )
            return frame

    @property
    def pending_bytes(self):
        """Bytes that wait for the rest of their frame."""
        return self.slicer.n_pending
