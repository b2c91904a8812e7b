# cython: freethreading_compatible=True
"""The account of one direction of one call: which frames were sent, and what was heard of them."""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from vapimedia.audio.g711 import mulaw_decode
from vapimedia.bench.load.marks cimport (
    FRAME_NUMBERS, LONGEST_FRAME, MARK, NOTHING, Heard, mark_next, mark_push, mark_reader_open, mark_word)

__all__ = ["Account"]

cdef int16_t linear[256]
cdef bytes _decoded = mulaw_decode(bytes(range(256)))
memcpy(linear, <const char*>_decoded, sizeof(linear))


cdef size_t bucket_of(uint64_t value) noexcept nogil:
    """Values below 128 have a bucket each; above, an octave is cut into 128 equal ones."""
    cdef unsigned octave = 0
    cdef size_t index
    while value >> octave >= 2 << SUB_BITS:
        octave += 1
    if value < 1 << SUB_BITS:
        return <size_t>value
    index = (<size_t>(octave + 1) << SUB_BITS) + <size_t>((value >> octave) & ((1 << SUB_BITS) - 1))
    return min(index, <size_t>BUCKETS - 1)


cdef uint64_t bucket_middle(size_t index) noexcept nogil:
    cdef unsigned octave
    if index < 1 << SUB_BITS:
        return index
    octave = <unsigned>(index >> SUB_BITS) - 1
    return (<uint64_t>((1 << SUB_BITS) + (index & ((1 << SUB_BITS) - 1))) << octave) + ((<uint64_t>1 << octave) >> 1)


cdef void histogram_add(Histogram* histogram, int64_t value) noexcept nogil:
    cdef uint64_t positive = <uint64_t>max(value, 0)
    histogram.count += 1
    histogram.max = max(histogram.max, positive)
    histogram.buckets[bucket_of(positive)] += 1


cdef void histogram_merge(Histogram* histogram, const Histogram* other) noexcept nogil:
    cdef size_t i
    histogram.count += other.count
    histogram.max = max(histogram.max, other.max)
    for i in range(BUCKETS):
        histogram.buckets[i] += other.buckets[i]


cdef dict histogram_figures(Histogram* histogram, double scale):
    """Return p50, p99, p999 and max, times *scale*; ``None`` without any value."""
    cdef dict figures = {"p50": None, "p99": None, "p999": None, "max": None}
    cdef uint64_t seen = 0
    cdef size_t i
    cdef list wanted = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)]
    if histogram.count == 0:
        return figures
    figures["max"] = round(histogram.max * scale, 1)
    for i in range(BUCKETS):
        seen += histogram.buckets[i]
        while wanted and seen >= wanted[0][1] * histogram.count:
            figures[wanted.pop(0)[0]] = round(min(bucket_middle(i), histogram.max) * scale, 1)
    return figures


cdef bint flow_open(
    Flow* flow, int call, int direction, bint is_mulaw, Histogram* latency, Histogram* held_age, Histogram* after_age
) noexcept nogil:
    """Begin; false when memory is out."""
    memset(flow, 0, sizeof(Flow))
    mark_reader_open(&flow.reader, 4 if is_mulaw else 8, call, direction)
    flow.is_mulaw = is_mulaw
    flow.measures = True
    flow.excused_until = -1
    flow.newest = -1
    flow.latency = latency
    flow.held_age = held_age
    flow.after_age = after_age
    flow.sent_ns = <int64_t*>calloc(FRAME_NUMBERS, sizeof(int64_t))
    flow.states = <uint8_t*>calloc(FRAME_NUMBERS, 1)
    return flow.sent_ns != NULL and flow.states != NULL


cdef void flow_free(Flow* flow) noexcept nogil:
    free(flow.sent_ns)
    free(flow.states)
    flow.sent_ns = NULL
    flow.states = NULL


cdef uint64_t flow_send(Flow* flow, bint counted, int64_t now_ns) noexcept nogil:
    """Note one more frame and return its mark."""
    cdef uint32_t number = flow.n_sent & (FRAME_NUMBERS - 1)
    flow.sent_ns[number] = now_ns
    flow.states[number] = SENT | (COUNTED if counted else 0)
    flow.sent += counted
    flow.n_sent += 1
    flow.last_ns = now_ns
    return mark_word(flow.reader.call, flow.reader.direction, <int>number)


cdef void on_damage(Flow* flow) noexcept nogil:
    """A frame is damaged, by all appearances the one after the last that was heard."""
    if flow.excused_until < 0:
        flow.corrupted += (flow.states[flow.due] & COUNTED) != 0
    flow.due = (flow.due + 1) & (FRAME_NUMBERS - 1)


cdef void on_mark(Flow* flow, const Heard* heard, bint counting) noexcept nogil:
    cdef uint8_t* state = &flow.states[heard.number]
    cdef int64_t age
    if heard.call != flow.reader.call or heard.direction != flow.reader.direction:
        flow.crossed += counting
        return
    if not state[0] & SENT:
        on_damage(flow)  # the checksum holds by chance
        return
    flow.due = (heard.number + 1) & (FRAME_NUMBERS - 1)
    if state[0] & SEEN:
        flow.duplicated += (state[0] & COUNTED) != 0
        return
    state[0] |= SEEN
    flow.arrived += counting
    if flow.excused_until >= 0 and in_order(flow.excused_until, heard.number):
        flow.excused_until = -1
    age = heard.arrived_ns - flow.sent_ns[heard.number]
    if 0 < flow.held_until_ns < heard.arrived_ns:
        histogram_add(flow.held_age if flow.sent_ns[heard.number] < flow.held_until_ns else flow.after_age, age)
    if not state[0] & COUNTED:
        return
    flow.received += 1
    flow.reordered += flow.newest >= 0 and not in_order(<int>flow.newest, heard.number)
    flow.newest = heard.number
    # A little before the grid is a small negative delay, not one of nearly a frame.
    flow.delay_sum += <double>((heard.at + flow.reader.n_symbol) % flow.reader.n_frame - flow.reader.n_symbol)
    if flow.measures:
        histogram_add(flow.latency, age)


cdef bint in_order(int number, int later) noexcept nogil:
    """Whether *later* is *number* or within half the circle after it."""
    return ((later - number) & (FRAME_NUMBERS - 1)) < FRAME_NUMBERS // 2


cdef void drain(Flow* flow, bint counting) noexcept nogil:
    cdef Heard heard
    while mark_next(&flow.reader, &heard) != NOTHING:
        if heard.what == MARK:
            on_mark(flow, &heard, counting)
        else:
            on_damage(flow)


cdef void hear_mulaw(Flow* flow, const uint8_t* audio, size_t n, int64_t now_ns, bint counting) noexcept nogil:
    cdef int16_t pcm[LONGEST_FRAME]
    cdef size_t piece, i
    while n:
        piece = min(n, <size_t>flow.reader.n_frame)
        for i in range(piece):
            pcm[i] = linear[audio[i]]
        mark_push(&flow.reader, pcm, <int>piece, now_ns)
        audio += piece
        n -= piece
        drain(flow, counting)


cdef void hear_pcm(Flow* flow, const uint8_t* audio, size_t n, int64_t now_ns, bint counting) noexcept nogil:
    cdef int16_t pcm[LONGEST_FRAME]
    cdef uint8_t* bytes = <uint8_t*>pcm
    cdef size_t odd, piece
    while n:
        odd = 1 if flow.has_odd_byte else 0
        piece = min(n, 2 * <size_t>flow.reader.n_frame - odd)
        bytes[0] = flow.odd_byte
        memcpy(&bytes[odd], audio, piece)
        flow.has_odd_byte = (odd + piece) & 1
        flow.odd_byte = bytes[odd + piece - 1]
        mark_push(&flow.reader, pcm, <int>((odd + piece) // 2), now_ns)
        audio += piece
        n -= piece
        drain(flow, counting)


cdef void flow_hear(Flow* flow, const uint8_t* audio, size_t n, int64_t now_ns, bint counting) noexcept nogil:
    """Take audio as it came. *counting*: what is of others counts."""
    cdef int64_t before = flow.reader.kept
    if flow.is_mulaw:
        hear_mulaw(flow, audio, n, now_ns, counting)
    else:
        hear_pcm(flow, audio, n, now_ns, counting)
    if flow.reader.kept != before:
        flow.last_ns = now_ns


cdef int flow_in_flight(Flow* flow) noexcept nogil:
    """Return how many frames are under way, by the amount of sound that came.

    Not by marks: what a codec still holds of a frame would keep its mark from being whole, for good.
    """
    cdef int frame = flow.reader.n_frame
    cdef int64_t came = (flow.reader.kept + frame * 3 // 4) // frame
    cdef int64_t n = <int64_t>flow.n_sent - came + flow.n_over
    if n < 0:
        flow.n_over += <uint32_t>-n
        return 0
    return <int>n


cdef void flow_forgive(Flow* flow, int n_frames) noexcept nogil:
    """What was sent last and not heard yet may be lost from now on, and a frame cut in two is no damage."""
    cdef uint32_t back, number
    for back in range(1, min(flow.n_sent, <uint32_t>n_frames) + 1):
        number = (flow.n_sent - back) & (FRAME_NUMBERS - 1)
        if flow.states[number] & COUNTED and not flow.states[number] & SEEN:
            flow.states[number] &= <uint8_t>~COUNTED
            flow.sent -= 1
            flow.cleared += 1
    flow.excused_until = <int>(flow.n_sent & (FRAME_NUMBERS - 1))


cdef dict flow_counts(Flow* flow):
    missing = flow.sent - flow.received
    return {
        "sent": flow.sent,
        "received": flow.received,
        "lost": max(0, missing - flow.corrupted),
        "duplicated": flow.duplicated,
        "corrupted": flow.corrupted,
        "crossed": flow.crossed,
        "reordered": flow.reordered,
        "cleared": flow.cleared,
        "silence_ms": round((flow.reader.heard - flow.reader.kept) * 20 / flow.reader.n_frame, 1),
        "slips": flow.reader.slips,
        "arrived": flow.arrived,
        "hold": flow.hold,
        "delay_ms": round(flow.delay_sum / flow.received * 20 / flow.reader.n_frame, 2) if flow.received else None,
    }


cdef class Account:
    """One direction of one call by itself, for tests of what is counted."""

    cdef Flow flow
    cdef Histogram latency
    cdef Histogram held_age
    cdef Histogram after_age

    def __cinit__(self, *, int call, int direction, bint mulaw):
        if not flow_open(&self.flow, call, direction, mulaw, &self.latency, &self.held_age, &self.after_age):
            raise MemoryError

    def send(self, int64_t now_ns, *, bint counted=True):
        """Note one more frame; return its number."""
        number = self.flow.n_sent & (FRAME_NUMBERS - 1)
        flow_send(&self.flow, counted, now_ns)
        return number

    def hear(self, bytes audio not None, int64_t now_ns):
        flow_hear(&self.flow, <const uint8_t*><const char*>audio, <size_t>len(audio), now_ns, True)

    def forgive(self):
        flow_forgive(&self.flow, FORGIVEN_FRAMES)

    def counts(self):
        return flow_counts(&self.flow)

    def latency_ns(self):
        return histogram_figures(&self.latency, 1)

    @property
    def in_flight(self):
        return flow_in_flight(&self.flow)

    def __dealloc__(self):
        flow_free(&self.flow)
