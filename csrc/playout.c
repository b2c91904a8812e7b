#include "playout.h"

#include <string.h>

enum {
    MARK_ROUNDING_NS = 1000 * 1000,
    GUARD_NS = 10 * 1000 * 1000,       /* a timer on a busy machine may be this late */
    MAX_PERIOD_NS = 100 * 1000 * 1000, /* Vapi's messages come at most this far apart (103 ms were seen) */
    MIN_GAP_NS = 1000 * 1000,          /* less cannot be heard, nor told from a late clock */
    MAX_GAP_NS = 1000 * 1000 * 1000,   /* more is a pause, whether or not the assistant said so */
    PACE_BAND_NS = 200 * 1000 * 1000,  /* two of those: how uneven real time may be */
    LONG_NS = 300 * 1000 * 1000,       /* a queue longer than this may stand */
    SHORT_NS = 100 * 1000 * 1000       /* and is worked off to this */
};

/* A queue stands if it was long all this time, and audio came at the pace of real time. */
static const int64_t STANDING_NS = INT64_C(5) * 1000 * 1000 * 1000;

void vm_playout_init(vm_playout *playout, int64_t lead_ns, int64_t prebuffer_ns, int64_t step_ns,
                     bool exact_frames, int64_t max_late_ns) {
    memset(playout, 0, sizeof *playout);
    playout->lead_ns = lead_ns;
    /* Of exact frames up to one stays behind as a remainder: what has not left is no cushion. */
    playout->prebuffer_ns = prebuffer_ns > 0 && exact_frames ? prebuffer_ns + step_ns : prebuffer_ns;
    playout->guard_ns = GUARD_NS;
    playout->step_ns = step_ns;
    playout->frame_ns = exact_frames ? step_ns : 0;
    playout->max_late_ns = max_late_ns;
    playout->waiting_since_ns = INT64_MAX;
    playout->is_new = true;
    playout->long_since_ns = INT64_MAX;
}

/* Time as the ledger knows it: it never runs backwards. */
static int64_t clock_ns(const vm_playout *playout, int64_t now_ns) {
    return now_ns > playout->latest_ns ? now_ns : playout->latest_ns;
}

static int64_t advance(vm_playout *playout, int64_t now_ns) {
    playout->latest_ns = clock_ns(playout, now_ns);
    return playout->latest_ns;
}

void vm_playout_open(vm_playout *playout, int64_t now_ns) {
    now_ns = advance(playout, now_ns);
    playout->is_open = true;
    playout->dry_ns = playout->last_arrival_ns = now_ns;
    if (playout->waiting_since_ns < now_ns) playout->waiting_since_ns = now_ns;
}

static bool is_paced(const vm_playout *playout, int64_t now_ns) {
    return now_ns - playout->paced_since_ns >= STANDING_NS;
}

static int64_t shortest(const vm_playout *playout) {
    return playout->prebuffer_ns > SHORT_NS ? playout->prebuffer_ns : SHORT_NS;
}

/* Before a message the queue is at its shortest: `low_ns`. */
static void watch_queue(vm_playout *playout, int64_t low_ns, int64_t now_ns) {
    const int64_t pace_ns = now_ns - playout->arrived_ns;
    if (pace_ns - playout->pace_ns > PACE_BAND_NS || playout->pace_ns - pace_ns > PACE_BAND_NS) {
        playout->pace_ns = pace_ns;
        playout->paced_since_ns = now_ns;
    }
    if (low_ns <= LONG_NS || !playout->is_open || playout->lead_ns == INT64_MAX) {
        playout->long_since_ns = INT64_MAX;
    } else if (playout->long_since_ns == INT64_MAX) {
        playout->long_since_ns = now_ns;
        playout->least_ns = low_ns;
    } else if (now_ns - playout->paced_since_ns < PACE_BAND_NS) {
        /* What a burst began with says nothing of how long the queue stands after it. */
        playout->least_ns = low_ns;
    } else {
        if (low_ns < playout->least_ns) playout->least_ns = low_ns;
        if (now_ns - playout->long_since_ns >= STANDING_NS && is_paced(playout, now_ns)) {
            /* Not again before it has stood anew: a figure that does not fall as silence is left out, because
             * marks are slow to come back, must not cost all of it. */
            playout->excess_ns = playout->least_ns - shortest(playout);
            playout->long_since_ns = INT64_MAX;
        }
    }
    const int64_t most_ns = low_ns - shortest(playout);
    if (playout->was_late || most_ns < playout->excess_ns) {
        /* What a stall has left need not stand first to be known. */
        playout->excess_ns = most_ns > 0 ? most_ns : 0;
        playout->was_late = false;
    }
}

void vm_playout_arrived(vm_playout *playout, int64_t chunk_ns, int64_t queued_ns, int64_t now_ns) {
    now_ns = advance(playout, now_ns);
    if (queued_ns == 0) {
        playout->fresh_ns = now_ns;
        playout->waiting_since_ns = INT64_MAX;
    }
    watch_queue(playout, vm_playout_ahead_ns(playout, now_ns) + queued_ns, now_ns);
    /* Word of a beginning that comes after its first audio does not cut that in two. */
    const bool begins =
        playout->ending || (playout->beginning && now_ns - playout->last_arrival_ns > MAX_PERIOD_NS);
    if (begins) playout->is_new = true;
    /* A new utterance, or one that has had its gap, gets a cushion, unless it follows what must go on. */
    if (playout->waiting_since_ns == INT64_MAX && (begins || playout->dry_ns <= now_ns) &&
        (queued_ns == 0 || queued_ns < playout->frame_ns)) {
        playout->waiting_since_ns = now_ns;
    }
    playout->ending = playout->beginning = false;
    playout->period_ns = chunk_ns < MAX_PERIOD_NS ? chunk_ns : MAX_PERIOD_NS;
    playout->last_arrival_ns = now_ns;
    playout->arrived_ns += chunk_ns;
}

/* When an utterance that waits may start whatever is queued. What is ahead of it is a cushion too. */
static int64_t cushion_ends(const vm_playout *playout, int64_t queued_ns) {
    if (playout->ending || playout->waiting_since_ns == INT64_MAX) return INT64_MIN;
    const int64_t ahead_ns = playout->dry_ns - playout->last_arrival_ns;
    const int64_t cushion_ns = queued_ns - playout->period_ns + (ahead_ns > 0 ? ahead_ns : 0);
    return cushion_ns >= playout->prebuffer_ns ? INT64_MIN
                                               : playout->waiting_since_ns + playout->prebuffer_ns;
}

int64_t vm_playout_allow(const vm_playout *playout, int64_t queued_ns, int64_t max_ns, int64_t now_ns,
                         bool *pad) {
    *pad = false;
    if (!playout->is_open || queued_ns == 0) return 0;
    now_ns = clock_ns(playout, now_ns);
    if (now_ns < cushion_ends(playout, queued_ns)) return 0;
    int64_t room = max_ns;
    if (playout->lead_ns != INT64_MAX) {
        /* At the lead exactly a message is due, or the next one would always be due now. */
        const int64_t credit = playout->lead_ns - (playout->dry_ns > now_ns ? playout->dry_ns - now_ns : 0);
        if (credit < 0) return 0;
        if (credit < room) room = credit < playout->step_ns ? playout->step_ns : credit;
    }
    if (playout->frame_ns == 0) return queued_ns < room ? queued_ns : room;
    const int64_t whole = queued_ns / playout->frame_ns * playout->frame_ns;
    if (whole > 0) {
        const int64_t frames = room / playout->frame_ns * playout->frame_ns;
        return whole < frames ? whole : frames;
    }
    *pad = playout->ending || playout->dry_ns - now_ns <= playout->guard_ns;
    return *pad ? queued_ns : 0;
}

void vm_playout_sent(vm_playout *playout, int64_t duration_ns, int64_t now_ns) {
    now_ns = advance(playout, now_ns);
    const int64_t gap_ns = now_ns - playout->dry_ns;
    if (!playout->is_new && gap_ns >= MIN_GAP_NS && gap_ns <= MAX_GAP_NS) {
        playout->gaps++;
        playout->gap_ns += gap_ns;
    }
    playout->is_new = false;
    playout->waiting_since_ns = INT64_MAX;
    playout->sent_ns += duration_ns;
    const int64_t earliest_ns = now_ns + playout->held_ns;
    if (playout->dry_ns < earliest_ns) playout->dry_ns = earliest_ns;
    playout->dry_ns += duration_ns;
}

int64_t vm_playout_next_ns(const vm_playout *playout, int64_t queued_ns) {
    if (!playout->is_open || queued_ns == 0) return INT64_MAX;
    int64_t due = cushion_ends(playout, queued_ns);
    if (playout->lead_ns != INT64_MAX && playout->dry_ns - playout->lead_ns > due) {
        due = playout->dry_ns - playout->lead_ns;
    }
    if (queued_ns < playout->frame_ns && !playout->ending) {
        const int64_t padding = playout->dry_ns - playout->guard_ns;
        if (padding > due) due = padding;
    }
    return due;
}

int64_t vm_playout_due_ns(const vm_playout *playout) {
    return playout->dry_ns > playout->fresh_ns ? playout->dry_ns : playout->fresh_ns;
}

int64_t vm_playout_expires_ns(const vm_playout *playout) {
    if (!playout->is_open || playout->max_late_ns == INT64_MAX) return INT64_MAX;
    /* What our socket holds goes first: it is part of how late the queue will be. */
    const int64_t left_ns = playout->max_late_ns - playout->held_ns;
    return vm_playout_due_ns(playout) + (left_ns > 0 ? left_ns : 0);
}

void vm_playout_skipped(vm_playout *playout, int64_t duration_ns) {
    playout->dry_ns = vm_playout_due_ns(playout) + duration_ns;
    playout->was_late = true;
}

bool vm_playout_is_catching_up(const vm_playout *playout, int64_t now_ns) {
    if (playout->excess_ns <= 0) return false;
    /* When nothing comes any more the queue runs dry by itself. */
    now_ns = clock_ns(playout, now_ns);
    return is_paced(playout, now_ns) && now_ns - playout->last_arrival_ns <= PACE_BAND_NS;
}

void vm_playout_left_out(vm_playout *playout, int64_t duration_ns) {
    playout->excess_ns -= duration_ns;
}

int64_t vm_playout_ahead_ns(const vm_playout *playout, int64_t now_ns) {
    const int64_t playing_ns = playout->dry_ns - clock_ns(playout, now_ns);
    const int64_t ahead_ns = playing_ns > playout->held_ns ? playing_ns : playout->held_ns;
    /* What our socket holds is an estimate, and may be from before the clear. */
    const int64_t most_ns = playout->sent_ns - playout->cleared_at_ns;
    return ahead_ns < most_ns ? ahead_ns : most_ns;
}

int64_t vm_playout_heard_ns(const vm_playout *playout, int64_t now_ns) {
    return playout->sent_ns - playout->lost_ns - vm_playout_ahead_ns(playout, now_ns);
}

int64_t vm_playout_clear(vm_playout *playout, int64_t now_ns) {
    now_ns = advance(playout, now_ns);
    const int64_t dropped = vm_playout_ahead_ns(playout, now_ns);
    playout->lost_ns += dropped;
    playout->cleared_at_ns = playout->sent_ns;
    playout->dry_ns = now_ns;
    playout->waiting_since_ns = INT64_MAX;
    playout->long_since_ns = INT64_MAX;
    playout->excess_ns = 0;
    playout->was_late = false;
    playout->ending = false;
    playout->is_new = true;
    playout->generation++;
    return dropped;
}

bool vm_playout_mark(vm_playout *playout, uint64_t generation, int64_t position_ns, int64_t now_ns) {
    if (generation != playout->generation) return false;
    /* A name that rounds its position by a fraction of a millisecond is not a lie. */
    if (position_ns < playout->cleared_at_ns - MARK_ROUNDING_NS ||
        position_ns > playout->sent_ns + MARK_ROUNDING_NS) {
        return false;
    }
    if (position_ns < playout->cleared_at_ns) position_ns = playout->cleared_at_ns;
    if (position_ns > playout->sent_ns) position_ns = playout->sent_ns;
    playout->dry_ns = advance(playout, now_ns) + (playout->sent_ns - position_ns);
    return true;
}
