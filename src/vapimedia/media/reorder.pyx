# cython: language_level=3, freethreading_compatible=True, cdivision=True
"""Caller to Vapi, where the provider's messages may come out of order."""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint8_t

import msgspec

from vapimedia.media.envelope cimport (
    VM_ENVELOPE_FOREIGN, VM_ENVELOPE_MEDIA, vm_envelope_kind, vm_envelope_scan_numbered)
from vapimedia.media.live cimport LivePath, vm_live_next_ns
from vapimedia.media.path cimport (
    NOT_TAKEN, PIECE, PIECE_TEXT, TAKEN, Taken, vm_queue, vm_queue_clear, vm_queue_pop, vm_queue_push)

cdef extern from "base64.h" nogil:
    ptrdiff_t vm_base64_decode(uint8_t* dst, const char* src, size_t n) noexcept

__all__ = ["ReorderPath"]


cdef class ReorderPath(LivePath):
    """A live path whose provider's messages may come out of order or twice, and are numbered (``Envelope(number=)``).

    Up to three messages wait for one that is missing, until a fourth comes or silence would have to stand in. What has
    no number goes on as it comes.
    """

    def __cinit__(self, *_args, **_settings):
        vm_reorder_init(&self._order, self._queue.pool)

    def __dealloc__(self):
        vm_reorder_free(&self._order)

    cdef Taken receive(self, const char* message, size_t n, bint is_text, int64_t now_ns) noexcept:
        cdef const char* text = NULL
        cdef size_t n_text = 0
        cdef int64_t number = -1
        cdef vm_envelope_kind kind
        if not is_text or self._unwrap is None or not self._unwrap.c.is_text:
            return LivePath.receive(self, message, n, is_text, now_ns)
        kind = vm_envelope_scan_numbered(&self._unwrap.c, message, n, &text, &n_text, &number)
        if kind == VM_ENVELOPE_FOREIGN:
            self._counters.foreign += 1
            return TAKEN
        if kind != VM_ENVELOPE_MEDIA:
            return NOT_TAKEN
        if number < 0 or self._is_closed:
            return TAKEN if self._push_base64(text, n_text, now_ns) else NOT_TAKEN
        return TAKEN if self._push_numbered(number, text, n_text, now_ns) else NOT_TAKEN

    cdef bint _push_numbered(self, int64_t number, const char* text, size_t n, int64_t now_ns) noexcept:
        """Take all of *text* in its turn, or nothing and return False if it is not base64."""
        cdef uint8_t piece[PIECE]
        cdef vm_queue* audio = NULL
        cdef ptrdiff_t n_audio = self._measure_base64(text, n, piece)
        cdef vm_reorder_verdict verdict
        if n_audio < 0:
            return False
        verdict = vm_reorder_judge(&self._order, number, &audio)
        if verdict == VM_REORDER_FULL:
            vm_reorder_skip(&self._order)
            self._release(now_ns)
            verdict = vm_reorder_judge(&self._order, number, &audio)
        elif verdict == VM_REORDER_ANEW:
            self._release_all(now_ns)
            vm_reorder_restart(&self._order)
            verdict = vm_reorder_judge(&self._order, number, &audio)
            self._newest = number
        if verdict == VM_REORDER_NEXT or verdict == VM_REORDER_WAIT:
            self._reordered += number < self._newest
            self._newest = max(self._newest, number)
        if verdict == VM_REORDER_NEXT:
            self._push_base64(text, n, now_ns)
            self._release(now_ns)
        elif verdict == VM_REORDER_WAIT:
            self._hold(audio, text, n, now_ns)
            self._arrived(<size_t>n_audio, now_ns)
        elif verdict == VM_REORDER_DUPLICATE:
            self._duplicates += 1
        elif self._accept(<size_t>n_audio, now_ns):
            self._disordered_source_bytes += <size_t>n_audio
        return True

    cdef void _hold(self, vm_queue* audio, const char* text, size_t n, int64_t now_ns) noexcept:
        cdef uint8_t piece[PIECE]
        cdef size_t n_piece, n_audio
        while n > 0:
            n_piece = min(n, <size_t>PIECE_TEXT)
            n_audio = <size_t>vm_base64_decode(piece, text, n_piece)
            if not vm_queue_push(audio, piece, n_audio, now_ns):
                self._counters.source_bytes += n_audio
                self._disordered_source_bytes += n_audio
            text += n_piece
            n -= n_piece

    cdef void _release(self, int64_t now_ns) noexcept:
        """Let those go on whose turn it is."""
        cdef uint8_t piece[PIECE]
        cdef int64_t received_ns = 0
        cdef size_t n
        cdef vm_queue* audio = vm_reorder_pop(&self._order)
        while audio != NULL:
            if self._accept(audio.n_bytes, now_ns):
                n = vm_queue_pop(audio, piece, PIECE, &received_ns)
                while n > 0:
                    self._convert(piece, n, now_ns)
                    n = vm_queue_pop(audio, piece, PIECE, &received_ns)
            vm_queue_clear(audio)
            audio = vm_reorder_pop(&self._order)

    cdef void _release_all(self, int64_t now_ns) noexcept:
        while self._order.n_waiting > 0:
            vm_reorder_skip(&self._order)
            self._release(now_ns)

    cdef size_t _take(self, uint8_t* dst, int64_t now_ns) noexcept:
        # Silence must not stand where there is audio: whoever is still missing has been waited for long enough.
        if self._order.n_waiting > 0 and self._live.is_open and now_ns >= vm_live_next_ns(&self._live):
            self._release_all(now_ns)
        return LivePath._take(self, dst, now_ns)

    def clear(self, int64_t now_ns=0):
        self._release_all(now_ns)
        return LivePath.clear(self, now_ns)

    def flush(self, int64_t now_ns=0):
        if not self._is_closed:
            self._release_all(now_ns)
        return LivePath.flush(self, now_ns)

    def close(self):
        LivePath.close(self)
        self._release_all(0)    # closed, it counts them and no more

    cdef object _stats(self, int64_t queued_ns, int64_t heard_ns):
        return msgspec.structs.replace(
            LivePath._stats(self, queued_ns, heard_ns), duplicates=self._duplicates, reordered=self._reordered,
            dropped_disorder_ms=self._disordered_source_bytes * 1e3 / self._source_bytes_per_s)
