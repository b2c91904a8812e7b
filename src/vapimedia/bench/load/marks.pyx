# cython: freethreading_compatible=True
"""Marks: 20 ms of audio that say whose they are, and still say so after mu-law and any resampler.

A frame is 40 symbols of 0.5 ms, each a level: 10 bits of call number, 14 of frame number, 16 of checksum, which also
tells the direction, all xor a fixed pattern. The highest frequency that matters is 1 kHz. A reader adds up the samples
of each symbol; it finds where frames begin by trying, and stays there until checksums fail.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport abs
from libc.string cimport memmove, memset

from vapimedia.audio.g711 import mulaw_decode, mulaw_encode

__all__ = ["MarkDecoder", "mark_frame"]

cdef enum:
    WANTED_LEVEL = 8000
    SHIFT = 2  # symbols: how far around its due place a mark is looked for
    QUIET_SYMBOLS = 3  # sound is never quiet that long

cdef uint64_t PATTERN = 0x5A3C96E1B7
cdef uint16_t DOWN = 0xA5C3
cdef uint16_t crc_table[256]
cdef uint8_t LOUD_CODE[2]
cdef int16_t LEVEL
cdef int QUIET


cdef void prepare() noexcept:
    """CRC-16/CCITT, 0x1021."""
    cdef unsigned value, crc, _bit
    for value in range(256):
        crc = value << 8
        for _bit in range(8):
            crc = ((crc << 1) ^ 0x1021) if crc & 0x8000 else crc << 1
        crc_table[value] = <uint16_t>(crc & 0xFFFF)

prepare()
for sign in (0, 1):
    LOUD_CODE[sign] = mulaw_encode((WANTED_LEVEL if sign else -WANTED_LEVEL).to_bytes(2, "little", signed=True))[0]
LEVEL = int.from_bytes(mulaw_decode(bytes([LOUD_CODE[1]])), "little", signed=True)
QUIET = LEVEL // 8


cdef inline uint16_t checksum(uint32_t payload) noexcept nogil:
    cdef uint16_t crc = 0xFFFF
    crc = <uint16_t>((crc << 8) ^ crc_table[((crc >> 8) ^ (payload >> 16)) & 0xFF])
    crc = <uint16_t>((crc << 8) ^ crc_table[((crc >> 8) ^ (payload >> 8)) & 0xFF])
    return <uint16_t>((crc << 8) ^ crc_table[((crc >> 8) ^ payload) & 0xFF])


cdef uint64_t mark_word(int call, int direction, int number) noexcept nogil:
    cdef uint32_t payload = (<uint32_t>call << 14) | <uint32_t>(number & (FRAME_NUMBERS - 1))
    cdef uint16_t crc = checksum(payload) ^ (DOWN if direction else 0)
    return ((<uint64_t>payload << 16) | crc) ^ PATTERN


cdef void mark_write_mulaw(uint8_t* frame, uint64_t word) noexcept nogil:
    cdef int i
    for i in range(SYMBOLS):
        memset(&frame[4 * i], LOUD_CODE[(word >> (SYMBOLS - 1 - i)) & 1], 4)


cdef void mark_write_pcm(int16_t* frame, uint64_t word, int n_symbol) noexcept nogil:
    cdef int i, j
    cdef int16_t level
    for i in range(SYMBOLS):
        level = LEVEL if (word >> (SYMBOLS - 1 - i)) & 1 else -LEVEL
        for j in range(n_symbol):
            frame[n_symbol * i + j] = level


cdef void mark_reader_open(MarkReader* reader, int n_symbol, int call, int direction) noexcept nogil:
    memset(reader, 0, sizeof(MarkReader))
    reader.n_symbol = n_symbol
    reader.n_frame = SYMBOLS * n_symbol
    reader.call = call
    reader.direction = direction
    reader.silent = True


cdef bint has_quiet(const MarkReader* reader, const int16_t* pcm, int n) noexcept nogil:
    """Whether silence may begin or go on here; looks at one sample of each symbol's length."""
    cdef int i
    cdef int step = reader.n_symbol
    if reader.silent or reader.quiet or abs(pcm[n - 1]) < QUIET:
        return True
    for i in range(n // step - 1):
        if abs(pcm[i * step]) < QUIET and abs(pcm[(i + 1) * step]) < QUIET:
            return True
    return False


cdef void mark_push(MarkReader* reader, const int16_t* pcm, int n, int64_t now_ns) noexcept nogil:
    """Take *n* samples, at most a frame's. ``mark_next`` is called until it finds nothing before the next ones."""
    cdef int history = SHIFT * reader.n_symbol
    cdef int spare = reader.at - history
    cdef int limit = QUIET_SYMBOLS * reader.n_symbol
    cdef int i, taken_back
    if n <= 0:
        return
    if spare > 0:
        memmove(reader.held, &reader.held[spare], <size_t>(reader.n - spare) * sizeof(int16_t))
        reader.n -= spare
        reader.at -= spare
        reader.base += spare
    place(reader.arrivals, ARRIVALS, &reader.n_arrivals, reader.heard, now_ns)
    if not has_quiet(reader, pcm, n):
        for i in range(n):
            reader.held[reader.n + i] = pcm[i]
        reader.n += n
        reader.heard += n
        reader.kept += n
        return
    for i in range(n):
        if abs(pcm[i]) >= QUIET:
            if reader.silent:
                reader.silent = False
                place(reader.cuts, CUTS, &reader.n_cuts, reader.kept, reader.heard)
            reader.quiet = 0
        elif not reader.silent:
            reader.quiet += 1
            if reader.quiet == limit:
                reader.silent = True
                # What is quiet at the end was silence already, unless a mark was read from it.
                taken_back = min(limit - 1, reader.n - reader.at)
                reader.n -= taken_back
                reader.kept -= taken_back
                reader.quiet = 0
        reader.heard += 1
        if not reader.silent:
            reader.held[reader.n] = pcm[i]
            reader.n += 1
            reader.kept += 1


cdef void place(Place* places, unsigned size, unsigned* n, int64_t at, int64_t value) noexcept nogil:
    """Note one more; the oldest of more than *size* is forgotten."""
    places[n[0] % size].at = at
    places[n[0] % size].value = value
    n[0] += 1


cdef const Place* place_of(const Place* places, unsigned size, unsigned n, int64_t at) noexcept nogil:
    """Return the newest one that begins at or before *at*, or the oldest that is known."""
    cdef unsigned i = n
    while i > 0 and n - i < size:
        i -= 1
        if places[i % size].at <= at:
            break
    return &places[i % size]


cdef uint64_t word_at(const int16_t* pcm, int n_symbol, int64_t* strength) noexcept nogil:
    cdef uint64_t word = 0
    cdef int i, j
    cdef int level
    cdef int64_t sum_of_levels = 0
    for i in range(SYMBOLS):
        level = 0
        if n_symbol == 8:
            for j in range(8):
                level += pcm[8 * i + j]
        else:
            for j in range(4):
                level += pcm[4 * i + j]
        word = (word << 1) | (level > 0)
        sum_of_levels += abs(level)
    strength[0] = sum_of_levels
    return word


cdef bint read_at(const MarkReader* reader, int at, Heard* heard, int64_t* strength) noexcept nogil:
    """Whether a mark, of whatever call and direction, is at *at*."""
    cdef uint64_t word = word_at(&reader.held[at], reader.n_symbol, strength) ^ PATTERN
    cdef uint32_t payload = <uint32_t>(word >> 16)
    cdef uint16_t crc = <uint16_t>(word & 0xFFFF) ^ checksum(payload)
    if crc != 0 and crc != DOWN:
        return False
    heard.call = <int>(payload >> 14)
    heard.number = <int>(payload & (FRAME_NUMBERS - 1))
    heard.direction = 1 if crc else 0
    return True


cdef void tell(const MarkReader* reader, Finding what, Heard* heard) noexcept nogil:
    cdef int64_t kept_at = reader.base + reader.at
    cdef const Place* cut = place_of(reader.cuts, CUTS, reader.n_cuts, kept_at)
    heard.what = what
    heard.at = cut.value + (kept_at - cut.at)
    heard.arrived_ns = place_of(reader.arrivals, ARRIVALS, reader.n_arrivals, heard.at).value


cdef bint shift(MarkReader* reader) noexcept nogil:
    """Look for the mark that is due a little to the left and right; only this call's next ones count."""
    cdef int reach = SHIFT * reader.n_symbol
    cdef int at, best = -1
    cdef int64_t strength, most = 0
    cdef Heard found
    for at in range(max(reader.at - reach, 0), reader.at + reach + 1):
        if (read_at(reader, at, &found, &strength) and found.call == reader.call
                and found.direction == reader.direction and strength > most):
            best = at
            most = strength
    if best < 0:
        return False
    reader.at = best
    reader.slips += 1
    return True


cdef int search(MarkReader* reader) noexcept nogil:
    """Look for two marks in a row that begin within a frame from here; the clearest place wins, -1: there is none."""
    cdef int best = -1
    cdef int at = reader.at
    cdef int end = reader.at + reader.n_frame + reader.n_symbol
    cdef int64_t strength, second, most = 0
    cdef Heard found
    while at < end:
        if read_at(reader, at, &found, &strength) and strength > most:
            if read_at(reader, at + reader.n_frame, &found, &second):
                if best < 0:
                    end = min(end, at + 2 * reader.n_symbol)  # more would be the next ones
                best = at
                most = strength
        at += 1
    return best


cdef Finding mark_next(MarkReader* reader, Heard* heard) noexcept nogil:
    """Find the next mark or damage in what was pushed. ``NOTHING``: more samples are needed."""
    cdef int64_t strength
    cdef int waiting = reader.n - reader.at
    cdef int place
    if reader.locked:
        if waiting < reader.n_frame:
            return NOTHING
        if not read_at(reader, reader.at, heard, &strength):
            if waiting < reader.n_frame + SHIFT * reader.n_symbol:
                return NOTHING
            reader.locked = shift(reader)
    if not reader.locked:
        if waiting < 3 * reader.n_frame + reader.n_symbol:
            return NOTHING
        place = search(reader)
        reader.locked = place >= 0
        if reader.locked:
            reader.slips += reader.was_locked and (place - reader.at) % reader.n_frame != 0
            reader.was_locked = True
        if place < 0 or place > reader.at + reader.n_frame - SHIFT * reader.n_symbol:
            tell(reader, DAMAGE, heard)
            reader.at = place if place >= 0 else reader.at + reader.n_frame
            return DAMAGE
        reader.at = place
    read_at(reader, reader.at, heard, &strength)
    tell(reader, MARK, heard)
    reader.at += reader.n_frame
    return MARK


def mark_frame(int call, int direction, int number, *, int sample_rate, bint mulaw=False):
    """Return 20 ms of audio that carry a mark: pcm_s16le at 8 or 16 kHz, or mulaw at 8 kHz.

    *direction* is 0 from the phone to Vapi, 1 back.
    """
    cdef uint8_t codes[160]
    cdef int16_t pcm[LONGEST_FRAME]
    cdef uint64_t word = mark_word(call, direction, number)
    cdef int n_symbol = sample_rate // 2000
    if mulaw:
        mark_write_mulaw(codes, word)
        return (<const char*>codes)[:160]
    mark_write_pcm(pcm, word, n_symbol)
    return (<const char*>pcm)[:2 * SYMBOLS * n_symbol]


cdef class MarkDecoder:
    """What the generator reads marks with, one stream at 8 or 16 kHz. For tests."""

    cdef MarkReader reader

    def __cinit__(self, *, int call, int direction, int sample_rate):
        mark_reader_open(&self.reader, sample_rate // 2000, call, direction)

    @property
    def slips(self):
        return self.reader.slips

    def push(self, bytes pcm not None, int64_t now_ns=0):
        """Return what whole samples of pcm_s16le hold.

        A mark is ``(call, direction, number, arrived_ns, at)``, damage is ``None``.
        """
        cdef list found = []
        cdef Heard heard
        cdef const int16_t* samples = <const int16_t*><const char*>pcm
        cdef int n = <int>(len(pcm) // 2)
        cdef int piece
        while n > 0:
            piece = min(n, self.reader.n_frame)
            mark_push(&self.reader, samples, piece, now_ns)
            samples += piece
            n -= piece
            while mark_next(&self.reader, &heard) != NOTHING:
                if heard.what == MARK:
                    found.append((heard.call, heard.direction, heard.number, heard.arrived_ns, heard.at))
                else:
                    found.append(None)
        return found
