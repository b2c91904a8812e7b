from libc.stdint cimport int16_t, int64_t, uint8_t, uint64_t

cdef enum:
    SYMBOLS = 40
    CALL_NUMBERS = 1024
    FRAME_NUMBERS = 16384
    LONGEST_FRAME = 320  # samples at 16 kHz
    HELD = 5 * LONGEST_FRAME + 64
    CUTS = 32
    ARRIVALS = 256

cdef enum Finding:
    NOTHING
    MARK
    DAMAGE  # a frame's worth of sound that is no mark

cdef struct Heard:
    Finding what
    int call
    int direction
    int number
    int64_t arrived_ns  # of the message that held the first sample
    int64_t at  # position of the first sample in the stream, silence counted

# A position (`kept` or `heard`, below) and what begins there.
cdef struct Place:
    int64_t at
    int64_t value

# held: [ decoded already, kept for small shifts | `at`: due next ... | `n`: free ]
cdef struct MarkReader:
    int n_symbol  # samples of one symbol: 4 at 8 kHz, 8 at 16 kHz
    int n_frame
    int call
    int direction
    bint locked
    bint was_locked
    int64_t slips  # how often marks came a few samples sooner or later than due
    int n
    int at
    int quiet  # quiet samples at the end of `held`
    bint silent
    int64_t base  # how many samples were kept before held[0]
    int64_t heard  # samples so far, silence included
    int64_t kept  # those that were no silence
    unsigned n_cuts
    unsigned n_arrivals
    Place cuts[CUTS]  # from `kept` position to `heard` position: sound after silence
    Place arrivals[ARRIVALS]  # from `heard` position to the time when the message came
    int16_t held[HELD]

cdef uint64_t mark_word(int call, int direction, int number) noexcept nogil
cdef void mark_write_mulaw(uint8_t* frame, uint64_t word) noexcept nogil
cdef void mark_write_pcm(int16_t* frame, uint64_t word, int n_symbol) noexcept nogil
cdef void mark_reader_open(MarkReader* reader, int n_symbol, int call, int direction) noexcept nogil
cdef void mark_push(MarkReader* reader, const int16_t* pcm, int n, int64_t now_ns) noexcept nogil
cdef Finding mark_next(MarkReader* reader, Heard* heard) noexcept nogil
