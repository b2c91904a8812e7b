# cython: freethreading_compatible=True
"""Chunks of any size in, whole frames out."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t

from vapimedia.audio.buffer cimport Chunk, close_chunk, open_chunk

from vapimedia.formats import AudioFormat

__all__ = ["FrameSlicer"]


cdef class FrameSlicer:
    """Cut a stream of *fmt* into frames of *ptime_ms*; the remainder waits for the next chunk.

    No byte is lost, added or moved, whatever the chunks. Raises ``ConfigError`` when *ptime_ms* is not a
    whole number of samples.
    """

    def __cinit__(self, fmt, *, ptime_ms=20):
        if not isinstance(fmt, AudioFormat):
            raise TypeError("fmt must be an AudioFormat; AudioFormat.parse reads 'mulaw/8000'")
        self.frame_bytes = fmt.frame_bytes(ptime_ms)
        self.silence = fmt.silence
        room = <uint8_t *>PyMem_Malloc(<size_t>self.frame_bytes)
        if room is NULL:
            raise MemoryError
        vm_slicer_init(&self.slicer, room, <size_t>self.frame_bytes)

    def __dealloc__(self):
        PyMem_Free(self.slicer.pending)

    cdef size_t count_frames(self, size_t n_bytes) noexcept nogil:
        return vm_slicer_count(&self.slicer, n_bytes)

    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil:
        return vm_slicer_push(&self.slicer, out, chunk, n_bytes)

    cdef bytes take_straddling(self, const uint8_t *data, size_t n_bytes, size_t *n_taken):
        """Complete a pending frame, or ``None``; *n_taken* bytes of the chunk are used up."""
        if vm_slicer_count(&self.slicer, n_bytes) == 0 or self.slicer.n_pending == 0:
            n_taken[0] = vm_slicer_fill(&self.slicer, NULL, data, n_bytes)
            return None
        frame = PyBytes_FromStringAndSize(NULL, self.frame_bytes)
        n_taken[0] = vm_slicer_fill(&self.slicer, <uint8_t *>PyBytes_AS_STRING(frame), data, n_bytes)
        return frame

    def push(self, chunk):
        """Take any bytes; return the whole frames that are complete now, each its own memory."""
        cdef Chunk given
        cdef size_t at
        cdef size_t n_frame = self.slicer.frame_bytes
        frames = []
        with cython.critical_section(self):
            open_chunk(&given, chunk, 2)
            try:
                first = self.take_straddling(given.data, given.n_bytes, &at)
                if first is not None:
                    frames.append(first)
                while given.n_bytes - at >= n_frame:
                    frames.append(PyBytes_FromStringAndSize(<char *>given.data + at, <Py_ssize_t>n_frame))
                    at += n_frame
                if at < given.n_bytes:
                    vm_slicer_keep(&self.slicer, given.data + at, given.n_bytes - at)
            finally:
                close_chunk(&given)
        return frames

    def push_views(self, chunk):
        """Do as ``push`` does without copying: return views of *chunk*, valid while it is not modified.

        The views keep *chunk* alive. A frame that straddles two chunks is a view of fresh bytes.
        """
        cdef Chunk given
        cdef size_t at
        cdef size_t n_frame = self.slicer.frame_bytes
        frames = []
        view = memoryview(chunk)
        if view.nbytes == 0:
            return frames
        if view.ndim != 1 or view.format != "B":
            view = view.cast("B")
        with cython.critical_section(self):
            open_chunk(&given, chunk, 2)
            try:
                first = self.take_straddling(given.data, given.n_bytes, &at)
                if first is not None:
                    frames.append(memoryview(first))
                while given.n_bytes - at >= n_frame:
                    frames.append(view[at:at + n_frame])
                    at += n_frame
                if at < given.n_bytes:
                    vm_slicer_keep(&self.slicer, given.data + at, given.n_bytes - at)
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
