from libc.stdint cimport int64_t, uint8_t, uint32_t

from vapimedia.bench.load.flow cimport Flow, Histogram
from vapimedia.bench.load.net cimport Conn, End, Net
from vapimedia.bench.load.phone cimport LONGEST_NAME, SID
from vapimedia.bench.load.wire cimport Frame

cdef enum:
    UP = 0  # phone to Vapi
    DOWN = 1
    MARKS = 64

# A playout mark that the phone has not played yet.
cdef struct Pending:
    int64_t due_ns
    size_t n
    char name[LONGEST_NAME]

cdef struct Call:
    int number
    int phone  # places of the legs' sockets, -1 before and after
    int vapi
    End phone_end
    End vapi_end
    bint is_mulaw  # what the Vapi leg speaks; pcm_s16le at 16 kHz otherwise
    Flow up  # phone to Vapi
    Flow down
    char sid[SID]
    uint32_t sequence
    uint32_t chunk
    int64_t played_until_ns
    unsigned n_marks
    unsigned marks_back
    Pending marks[MARKS]
    bint is_bursting
    bint is_ending  # its legs may end now, and its frames are no more sent
    int64_t counts_from_ns  # frames of before do not count
    int64_t interrupted_ns

cdef struct Figures:
    int64_t died  # legs that ended before they should
    int64_t wrong_stream  # messages to a phone that do not name its stream
    int64_t clears_unasked
    int64_t interruptions
    Histogram up
    Histogram down
    Histogram held_age
    Histogram after_age
    Histogram late  # of sends against their due time
    Histogram barge_in

cdef class Generator:
    cdef Net net
    cdef int n_calls
    cdef Call* calls
    cdef uint8_t* scratch
    cdef uint32_t random
    cdef object trouble
    # the schedule: 2 * n_calls slots go round once in 20 ms
    cdef int64_t started_ns
    cdef int64_t cycle
    cdef int slot
    cdef int64_t due_ns
    cdef bint changed
    cdef public bint sending
    cdef public bint counting
    cdef public bint is_ending
    cdef public int window  # 0: real time
    cdef public int every  # cycles from one frame of a call to its next
    cdef public int64_t stall_ns
    cdef public bint interrupts
    cdef Figures figures

    cdef free_calls(self)
    cdef void run_for(self, int64_t until_ns) noexcept nogil
    cdef void send_due(self, int64_t now_ns) noexcept nogil
    cdef void on_slot(self, Call* call, int direction, int64_t now_ns) noexcept nogil
    cdef void burst(self, Call* call, int64_t now_ns) noexcept nogil
    cdef void interrupt(self, Call* call) noexcept nogil
    cdef void refill(self, Call* call, int direction, int64_t now_ns) noexcept nogil
    cdef void send_frame(self, Call* call, int direction) noexcept nogil
    cdef void send_message(self, Conn* conn, uint8_t* payload, size_t n, int opcode) noexcept nogil
    cdef void give_marks_back(self, Call* call, int64_t now_ns) noexcept nogil
    cdef void on_ready(self, int place, uint32_t events) noexcept nogil
    cdef void receive(self, Conn* conn) noexcept nogil
    cdef void on_frame(self, Conn* conn, Frame* frame, int64_t now_ns) noexcept nogil
    cdef void on_phone_text(self, Call* call, const char* message, size_t n, int64_t now_ns) noexcept nogil
    cdef void leg_ended(self, Conn* conn) noexcept nogil
    cdef void give_head(self, int place) noexcept nogil
