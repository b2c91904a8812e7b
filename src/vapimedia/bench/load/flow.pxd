from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from vapimedia.bench.load.marks cimport FRAME_NUMBERS, MarkReader

cdef enum:
    SUB_BITS = 7  # 128 buckets an octave: a figure is off by 0.4 % at most
    BUCKETS = 34 << SUB_BITS
    FORGIVEN_FRAMES = 1024  # how far back frames are that may still be under way

cdef struct Histogram:
    uint64_t count
    uint64_t max
    uint32_t buckets[BUCKETS]

cdef enum State:  # of one frame number, or-ed
    COUNTED = 1
    SEEN = 2
    SENT = 4

# What became of one direction of one call. Counts are about frames sent while figures were taken.
cdef struct Flow:
    MarkReader reader
    Histogram* latency
    Histogram* held_age  # of frames that waited while their reader did not read
    Histogram* after_age  # of those sent since it reads again
    bint is_mulaw
    bint has_odd_byte
    uint8_t odd_byte
    bint measures  # false: a stalled reader's, whose latencies are reported apart
    int64_t held_until_ns  # when a stalled reader had read its own bytes: what was sent before was held; 0: never
    int64_t last_ns  # when something was sent or came last
    int excused_until  # damage counts again from this frame number on; -1: it counts
    int due  # the number after the last one that was heard
    uint32_t n_sent
    uint32_t n_over  # frames that came back beyond what was sent
    uint32_t hold  # frames that the bridge keeps, as seen: on top of the window
    int64_t sent
    int64_t received
    int64_t duplicated
    int64_t corrupted
    int64_t crossed
    int64_t cleared
    int64_t reordered
    int64_t arrived  # marks of this flow that came while figures were taken, each once
    int64_t newest
    double delay_sum  # of marks' places in their messages' grid, samples
    int64_t* sent_ns
    uint8_t* states

cdef void histogram_add(Histogram* histogram, int64_t value) noexcept nogil
cdef void histogram_merge(Histogram* histogram, const Histogram* other) noexcept nogil
cdef dict histogram_figures(Histogram* histogram, double scale)
cdef bint flow_open(
    Flow* flow, int call, int direction, bint is_mulaw, Histogram* latency, Histogram* held_age,
    Histogram* after_age) noexcept nogil
cdef void flow_free(Flow* flow) noexcept nogil
cdef uint64_t flow_send(Flow* flow, bint counted, int64_t now_ns) noexcept nogil
cdef void flow_hear(Flow* flow, const uint8_t* audio, size_t n, int64_t now_ns, bint counting) noexcept nogil
cdef int flow_in_flight(Flow* flow) noexcept nogil
cdef void flow_forgive(Flow* flow, int n_frames) noexcept nogil
cdef dict flow_counts(Flow* flow)
