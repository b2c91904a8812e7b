# cython: language_level=3, freethreading_compatible=True, cdivision=True
"""One direction of a call's media: unwrap, convert, slice, wrap."""

from libc.stdint cimport INT64_MAX, INT64_MIN, uintptr_t
from libc.math cimport log10
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from vapimedia.audio.dispatch import adopt
from vapimedia.errors import StateError
from vapimedia.formats import AudioFormat
from vapimedia.media._types import PathStats

from vapimedia.audio.dispatch cimport vm_dispatch
from vapimedia.audio.stream cimport encoding_code, quality_code
from vapimedia.media.envelope cimport (
    VM_ENVELOPE_FOREIGN, VM_ENVELOPE_MEDIA, Envelope, vm_envelope_kind, vm_envelope_scan, vm_envelope_size,
    vm_envelope_write)
from vapimedia.media.tally cimport Tally, hop_stats, vm_histogram, vm_histogram_add, vm_histogram_reset

cdef extern from "base64.h" nogil:
    ptrdiff_t vm_base64_decode(uint8_t* dst, const char* src, size_t n) noexcept

adopt(<uintptr_t>&vm_dispatch, __name__)

__all__ = ["MediaPath"]

cdef enum:
    CONVERTED = 3200    # room for what comes of it: enough from 8 kHz mulaw to 16 kHz PCM; else less is taken

cdef vm_queue_pool _pages    # of the process

cdef class MediaPath:
    """One direction of a call's media: unwrap, convert, slice, wrap. No socket, no clock.

    Times are ns of one monotonic clock. A path belongs to one thread at a time. The first of a pair of rates designs
    its filter, which takes up to 30 ms.
    """

    def __cinit__(self, source, target, *, Envelope unwrap=None, Envelope wrap=None, int ptime_ms=20,
                  str quality="balanced", **_policy):
        cdef int hop
        cdef vm_encoding encoding
        cdef vm_fir_quality preset
        if not isinstance(source, AudioFormat) or not isinstance(target, AudioFormat):
            raise TypeError("source and target must be AudioFormat; AudioFormat.parse reads 'mulaw/8000'")
        self.source = source
        self.target = target
        vm_queue_init(&self._queue, &_pages)
        self._frame_bytes = target.frame_bytes(ptime_ms)
        self._sample_bytes = target.bytes_per_sample
        self._silence_byte = target.silence[0]
        self._source_is_wide = source.bytes_per_sample > 1
        self._source_bytes_per_s = source.sample_rate * source.bytes_per_sample
        self._target_bytes_per_s = target.sample_rate * target.bytes_per_sample
        self._encoding = <vm_encoding>encoding_code(target.encoding)
        encoding = <vm_encoding>encoding_code(source.encoding)
        preset = <vm_fir_quality>quality_code(quality)
        cdef uint32_t source_hz = source.sample_rate, target_hz = target.sample_rate
        with nogil:    # the first path of a pair of rates designs its filter
            self._converter = vm_converter_new(encoding, source_hz, self._encoding, target_hz, preset)
        self._hops = <vm_histogram*>malloc(HOPS * sizeof(vm_histogram))
        if self._converter == NULL or self._hops == NULL:
            raise MemoryError
        for hop in range(<int>HOPS):
            vm_histogram_reset(self._hops + hop)
        self._n_piece = PIECE
        while vm_converter_max_output(self._converter, self._n_piece) > CONVERTED:
            self._n_piece -= 2
        if unwrap is not None:
            self.set_unwrap(unwrap)
        self._wrap = wrap if wrap is not None else Envelope(text=False)
        self._size_messages(1)

    def __init__(self, source, target, *, Envelope unwrap=None, Envelope wrap=None, int ptime_ms=20,
                 str quality="balanced"):
        """Refuse what ``__cinit__`` must let pass for its subclasses."""

    def __dealloc__(self):
        vm_queue_free(&self._queue)
        vm_converter_free(self._converter)
        free(self._hops)
        free(self._audio)
        free(self._message)

    # --- for other Cython code -------------------------------------------------------------------

    cdef Taken receive(self, const char* message, size_t n, bint is_text, int64_t now_ns) noexcept:
        cdef const char* text = NULL
        cdef size_t n_text = 0
        cdef vm_envelope_kind kind
        if is_text != (self._unwrap is not None and self._unwrap.c.is_text):
            return NOT_TAKEN
        if not is_text:
            self._push(<const uint8_t*>message, n, now_ns)
            return TAKEN
        kind = vm_envelope_scan(&self._unwrap.c, message, n, &text, &n_text)
        if kind == VM_ENVELOPE_FOREIGN:
            self._counters.foreign += 1
            return TAKEN
        # Text that is not base64 goes to the caller too: what becomes of it is a policy.
        if kind != VM_ENVELOPE_MEDIA or not self._push_base64(text, n_text, now_ns):
            return NOT_TAKEN
        return TAKEN

    cdef char* next_message(self, size_t* n, int64_t now_ns) noexcept:
        cdef size_t n_audio
        if self._is_closed:
            return NULL
        if self._is_stalled:
            self._bound(now_ns)
            return NULL
        self._oldest_ns = now_ns
        n_audio = self._take(self._audio, now_ns)
        if n_audio == 0:
            return NULL
        self.note(HOP_QUEUE, self._oldest_ns, now_ns)
        self._counters.messages_out += 1
        self._counters.sent += n_audio
        n[0] = vm_envelope_write(&self._wrap.c, self._message + HEAD_ROOM, self._audio, n_audio)
        return self._message + HEAD_ROOM

    cdef int64_t next_due(self) noexcept:
        return INT64_MAX

    cdef void note(self, Hop hop, int64_t since_ns, int64_t now_ns) noexcept:
        if since_ns != INT64_MIN:    # silence of our own came from nowhere
            vm_histogram_add(&self._hops[<int>hop], <uint64_t>(now_ns - since_ns) if now_ns > since_ns else 0)

    cdef bint sends_text(self) noexcept:
        return self._wrap.c.is_text

    cdef size_t _take(self, uint8_t* dst, int64_t now_ns) noexcept:
        if self._queue.n_bytes < self._frame_bytes:
            return 0
        return vm_queue_pop(&self._queue, dst, self._frame_bytes, &self._oldest_ns)

    cdef size_t _admit(self, size_t n_converted) noexcept:
        """Return how much of the newest audio may be queued."""
        return n_converted

    cdef void _bound(self, int64_t now_ns) noexcept:
        """Drop what is too old, after audio was queued and as time passes in a stall."""

    cdef void _arrived(self, size_t n_source, int64_t now_ns) noexcept:
        """Note a message before its audio is queued."""

    cdef bint _leaves(self, size_t n, int64_t now_ns) noexcept:
        """Note a message with *n* bytes of audio before it leaves. False: it must not, and is accounted for."""
        return True

    # --- audio in --------------------------------------------------------------------------------

    cdef void _push(self, const uint8_t* audio, size_t n, int64_t now_ns) noexcept:
        if self._accept(n, now_ns):
            self._convert(audio, n, now_ns)

    cdef bint _accept(self, size_t n, int64_t now_ns) noexcept:
        """Count a message of *n* bytes of audio. Return whether it is to be converted."""
        if n == 0:
            self._counters.invalid += 1
            return False
        self._counters.messages_in += 1
        self._counters.source_bytes += n
        if self._is_closed:
            self._counters.late_source_bytes += n
            return False
        self._arrived(n, now_ns)
        return True

    cdef void _convert(self, const uint8_t* audio, size_t n, int64_t now_ns) noexcept:
        cdef uint8_t converted[CONVERTED]    # not the path's: one for all is in a cache
        cdef size_t n_piece, n_converted, n_admitted
        if self._source_tap is not None:
            self._source_tap.put(VM_TAP_GOES_ON, audio, n, now_ns)
        self._is_split = self._is_split != (self._source_is_wide and n & 1 == 1)
        while n > 0:
            n_piece = min(n, self._n_piece)
            n_converted = vm_converter_push(self._converter, converted, audio, n_piece)
            vm_level_add(&self._level, self._encoding, converted, n_converted, now_ns)
            n_admitted = self._admit(n_converted)
            if not vm_queue_push(&self._queue, converted, n_admitted, now_ns):
                n_admitted = 0
            self._counters.overflowed += n_converted - n_admitted
            self._bound(now_ns)
            audio += n_piece
            n -= n_piece

    cdef ptrdiff_t _measure_base64(self, const char* text, size_t n, uint8_t* piece) noexcept:
        """Return how many bytes *text* is, or -1 if it is not base64. *piece* becomes the last piece of it."""
        cdef ptrdiff_t n_decoded, n_audio = 0
        cdef size_t n_piece
        while n > 0:
            n_piece = min(n, <size_t>PIECE_TEXT)
            n_decoded = vm_base64_decode(piece, text, n_piece)
            text += n_piece
            n -= n_piece
            if n_decoded < 0 or (n > 0 and n_decoded < PIECE):    # padding stands at the end only
                return -1
            n_audio += n_decoded
        return n_audio

    cdef bint _push_base64(self, const char* text, size_t n, int64_t now_ns) noexcept:
        """Take all of *text*, or nothing and return False if it is not base64."""
        cdef uint8_t piece[PIECE]
        cdef ptrdiff_t n_audio = self._measure_base64(text, n, piece)
        cdef size_t n_piece
        if n_audio < 0:
            return False
        if not self._accept(<size_t>n_audio, now_ns):
            return True
        if n <= PIECE_TEXT:
            self._convert(piece, <size_t>n_audio, now_ns)
            return True
        while n > 0:
            n_piece = min(n, <size_t>PIECE_TEXT)
            n_audio = vm_base64_decode(piece, text, n_piece)
            self._convert(piece, <size_t>n_audio, now_ns)
            text += n_piece
            n -= n_piece
        return True

    cdef int64_t _ns(self, size_t n_bytes) noexcept:
        return <int64_t>n_bytes * NS_PER_S // self._target_bytes_per_s

    cdef list _collect(self, int64_t now_ns):
        cdef list messages = []
        cdef size_t n = 0
        cdef char* message = self.next_message(&n, now_ns)
        while message != NULL:
            messages.append(message[:n])
            message = self.next_message(&n, now_ns)
        return messages

    # --- for Python ------------------------------------------------------------------------------

    @property
    def sends(self):
        return "text" if self._wrap.c.is_text else "binary"

    @property
    def codec_delay_ms(self):
        return vm_converter_latency(self._converter) * 1e3 / self.target.sample_rate

    def set_unwrap(self, Envelope unwrap not None):
        self._unwrap = unwrap

    def set_wrap(self, Envelope wrap not None):
        self._wrap = wrap
        self._size_messages(self._n_message // self._frame_bytes)

    cdef int _size_messages(self, size_t n_frames) except -1:
        cdef size_t n_audio = n_frames * self._frame_bytes
        cdef uint8_t* audio = <uint8_t*>realloc(self._audio, n_audio)
        cdef char* message
        if audio == NULL:
            raise MemoryError
        self._audio = audio
        message = <char*>realloc(self._message, HEAD_ROOM + vm_envelope_size(&self._wrap.c, n_audio))
        if message == NULL:
            raise MemoryError
        self._message = message
        self._n_message = n_audio
        return 0

    def is_media(self, bytes message not None):
        """Whether *message* would be taken by ``feed`` (media of this stream, or foreign media it drops)."""
        cdef const char* text = NULL
        cdef size_t n_text = 0
        if self._unwrap is None or not self._unwrap.c.is_text:
            return True
        return vm_envelope_scan(&self._unwrap.c, <const char*>message, <size_t>len(message), &text,
                                &n_text) in (VM_ENVELOPE_MEDIA, VM_ENVELOPE_FOREIGN)

    def take(self, bytes message not None, int64_t now_ns):
        """Do the same, but leave the path alone and return ``None`` for what the dialect must judge."""
        cdef bint is_text = self._unwrap is not None and self._unwrap.c.is_text
        if self.receive(<const char*>message, <size_t>len(message), is_text, now_ns) == NOT_TAKEN:
            return None
        return self._collect(now_ns)

    def feed(self, bytes message not None, int64_t now_ns):
        """Take one media message; return what is due for sending, ready to send, each its own memory.

        A message that is none, or cannot be read, is counted as invalid.
        """
        cdef list messages = self.take(message, now_ns)
        if messages is not None:
            return messages
        self._counters.invalid += 1
        return self._collect(now_ns)

    def feed_payload(self, bytes payload not None, int64_t now_ns):
        """Take audio in the source format that was unwrapped elsewhere."""
        self._push(<const uint8_t*><const char*>payload, <size_t>len(payload), now_ns)
        return self._collect(now_ns)

    def due(self, int64_t now_ns):
        """Return what has become due by *now_ns* (pacing, inserted silence)."""
        return self._collect(now_ns)

    @property
    def next_due_ns(self):
        """When ``due`` should be called next, which may have passed; ``None`` if only new media changes anything."""
        cdef int64_t due_ns = self.next_due()
        return None if due_ns == INT64_MAX else due_ns

    def clear(self, int64_t now_ns=0):
        """Drop everything not yet heard; return how many ms that was. No time means the latest that was seen."""
        cdef size_t n_dropped = self._queue.n_bytes
        cdef uint8_t half = 0
        cdef uint8_t converted[CONVERTED]
        vm_queue_clear(&self._queue)
        vm_converter_reset(self._converter)
        if self._is_split:
            # The other half is still to come; without its place kept, every later sample would be torn.
            vm_converter_push(self._converter, converted, &half, 1)
        self._counters.clears += 1
        self._counters.cleared += n_dropped
        return to_ms(self._ns(n_dropped))

    cdef void _realign(self) noexcept:
        """Give up half a sample whose other half will not come. The filter starts anew with it."""
        if self._is_split:
            vm_converter_reset(self._converter)
            self._is_split = False

    def flush(self, int64_t now_ns=0):
        """End the stream: return what is left, the last frame padded with silence."""
        cdef list messages = []
        cdef bytearray tail = bytearray(vm_converter_max_flush(self._converter))
        cdef uint8_t* converted = <uint8_t*><char*>tail
        cdef size_t n
        if self._is_closed:
            raise StateError("the path is closed; nothing is left to flush")
        # The converter's delay stood in front as silence; now the same amount follows.
        n = vm_converter_flush(self._converter, converted)
        self._is_split = False
        self._counters.inserted += n
        if not vm_queue_push(&self._queue, converted, n, now_ns):
            self._counters.overflowed += n
        while self._queue.n_bytes > 0:
            n = vm_queue_pop(&self._queue, self._audio, self._n_message, &self._oldest_ns)
            if self._n_message == self._frame_bytes and n < self._frame_bytes:
                memset(self._audio + n, self._silence_byte, self._frame_bytes - n)
                self._counters.inserted += self._frame_bytes - n
                n = self._frame_bytes
            if not self._leaves(n, now_ns):
                continue
            self._counters.messages_out += 1
            self._counters.sent += n
            n = vm_envelope_write(&self._wrap.c, self._message, self._audio, n)
            messages.append(self._message[:n])
        return messages

    cpdef set_stalled(self, bint stalled):
        self._is_stalled = stalled

    cpdef set_backlog(self, size_t n_bytes):
        self._held_ns = (<int64_t>n_bytes * self._ns(self._n_message)
                         // <int64_t>vm_envelope_size(&self._wrap.c, self._n_message))

    def close(self):
        """Drop what is queued (counted) and take no more."""
        self._counters.unsent += self._queue.n_bytes
        vm_queue_clear(&self._queue)
        self._is_closed = True

    cdef object _stats(self, int64_t queued_ns, int64_t heard_ns):
        cdef Counters* c = &self._counters
        cdef double source_ms = 1e3 / self._source_bytes_per_s
        cdef double target_ms = 1e3 / self._target_bytes_per_s
        return PathStats(
            messages_in=c.messages_in, messages_out=c.messages_out,
            audio_in_ms=c.source_bytes * source_ms, audio_out_ms=c.sent * target_ms,
            queued_ms=to_ms(queued_ns), heard_ms=to_ms(heard_ns),
            inserted_silence_ms=c.inserted * target_ms, repaid_silence_ms=c.repaid * target_ms,
            dropped_flood_ms=c.flooded * target_ms, dropped_overflow_ms=c.overflowed * target_ms,
            dropped_closed_ms=c.unsent * target_ms + c.late_source_bytes * source_ms,
            caught_up_ms=c.caught_up * target_ms,
            dropped_late_ms=c.late * target_ms, dropped_wrong_size_ms=c.misfit * target_ms,
            cleared_ms=c.cleared * target_ms + to_ms(c.cleared_unplayed_ns), clears=c.clears,
            gaps=c.gaps, gap_ms=to_ms(c.gap_ns), foreign=c.foreign, invalid=c.invalid, wrong_size=c.wrong_size,
            codec_delay_ms=self.codec_delay_ms,
            convert=hop_stats(&self._hops[<int>HOP_CONVERT]), queue=hop_stats(&self._hops[<int>HOP_QUEUE]),
            send=hop_stats(&self._hops[<int>HOP_SEND]))

    def stats(self, int64_t now_ns=0):
        return self._stats(self._ns(self._queue.n_bytes), 0)

    def level_dbfs(self, int64_t now_ns):
        cdef int64_t power = vm_level_power(&self._level, now_ns)
        return None if power < 0 else 10 * log10(max(power, <int64_t>1) / 32768.0 ** 2)

    def add_hops(self, Tally convert not None, Tally queue not None, Tally send not None):
        convert.merge(&self._hops[<int>HOP_CONVERT])
        queue.merge(&self._hops[<int>HOP_QUEUE])
        send.merge(&self._hops[<int>HOP_SEND])
