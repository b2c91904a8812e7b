/* The playout ledger: what the provider holds, what the caller has heard, and when more may be sent.
 *
 *   0 ........ heard ........ sent ........ sent + queued          positions in the stream, ns of audio
 *              |<- ahead ->|
 *              now          dry_ns                                  `dry_ns`: when the provider will have
 * played all
 *
 * The provider plays in real time and without a gap while it holds audio. A mark that comes back corrects
 * `dry_ns`. What is queued is due to be heard from there on; while the far side takes nothing that moment
 * passes, and what is too late is dropped.
 *
 * A queue that stands for seconds, while audio comes in as fast as it is played, is of no use to anybody: it
 * is the mark that a stall or a drift of clocks has left. It is worked off by leaving out silent frames. What
 * is sent ahead of time is no such queue. */
#ifndef VM_PLAYOUT_H
#define VM_PLAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vm_playout {
    int64_t lead_ns;      /* how far ahead of playout to send; INT64_MAX: no pacing */
    int64_t prebuffer_ns; /* cushion that starts an utterance: how late a message may be without a gap */
    int64_t guard_ns;     /* a partial frame is padded this long before the provider runs dry */
    int64_t step_ns;      /* one frame: what is sent at least when the lead allows anything */
    int64_t frame_ns;     /* the same where only whole frames may be sent; 0: any size */
    int64_t max_late_ns;  /* what is due for longer than this is dropped while the far side takes nothing */
    int64_t held_ns;      /* sent, but still in our socket: nobody has played it */
    int64_t sent_ns;
    int64_t lost_ns;       /* sent, but dropped by a clear before it was heard */
    int64_t cleared_at_ns; /* position of the last clear: the provider holds nothing from before */
    int64_t dry_ns;
    int64_t latest_ns; /* newest time seen; an older `now_ns` counts as this */
    int64_t period_ns; /* what the newest message lasts: it covers the time until the next and is no cushion
                          itself */
    int64_t fresh_ns;  /* when the queue was last filled from empty: what is in it was not due before */
    int64_t waiting_since_ns; /* first arrival of an utterance that has not started; INT64_MAX: none */
    uint64_t generation;
    uint64_t gaps;  /* times the provider ran dry inside an utterance, for a second at most */
    int64_t gap_ns; /* how long it was dry then */
    int64_t last_arrival_ns;
    int64_t arrived_ns; /* all audio that came in */
    int64_t pace_ns;    /* an arrival's time less what came before it: constant at the pace of real time */
    int64_t paced_since_ns; /* since when it has been about this */
    int64_t long_since_ns;  /* since when the queue has been long; INT64_MAX: it is not */
    int64_t least_ns;       /* its shortest since then */
    int64_t excess_ns;      /* what is to be left out of it yet, where it is silent */
    bool is_open;
    bool ending;    /* the assistant has finished: send what is left, padded */
    bool beginning; /* the assistant has begun to speak, so it was said */
    bool is_new;    /* what is sent next begins an utterance, as far as is known: no gap is before it */
    bool was_late;  /* what is queued is late by as much as it may be */
} vm_playout;

void vm_playout_init(vm_playout *playout, int64_t lead_ns, int64_t prebuffer_ns, int64_t step_ns,
                     bool exact_frames, int64_t max_late_ns);
void vm_playout_open(vm_playout *playout, int64_t now_ns);

/* Audio of `chunk_ns` came in, behind `queued_ns` of it. */
void vm_playout_arrived(vm_playout *playout, int64_t chunk_ns, int64_t queued_ns, int64_t now_ns);

/* How much of `queued_ns` may be sent now, at most `max_ns`: a duration, rounded down to whole frames where
 * frames must be exact. `*pad` says that a last partial frame is to be padded and sent. */
int64_t vm_playout_allow(const vm_playout *playout, int64_t queued_ns, int64_t max_ns, int64_t now_ns,
                         bool *pad);

/* `duration_ns` went to the provider. */
void vm_playout_sent(vm_playout *playout, int64_t duration_ns, int64_t now_ns);

/* The first moment at which vm_playout_allow allows something of `queued_ns`, which may have passed;
 * INT64_MAX if only new audio changes anything. */
int64_t vm_playout_next_ns(const vm_playout *playout, int64_t queued_ns);

/* Whether silent frames are to be left out: at best nobody hears it. */
bool vm_playout_is_catching_up(const vm_playout *playout, int64_t now_ns);

/* `duration_ns` of silence was left out. */
void vm_playout_left_out(vm_playout *playout, int64_t duration_ns);

/* When the head of the queue is due to be heard, and when it is too late for that. */
int64_t vm_playout_due_ns(const vm_playout *playout);
int64_t vm_playout_expires_ns(const vm_playout *playout);

/* `duration_ns` of what is due was dropped from the queue: what is behind it is due later by as much. */
void vm_playout_skipped(vm_playout *playout, int64_t duration_ns);

/* What the provider holds unplayed, and what the caller has heard. */
int64_t vm_playout_ahead_ns(const vm_playout *playout, int64_t now_ns);
int64_t vm_playout_heard_ns(const vm_playout *playout, int64_t now_ns);

/* The provider drops what it holds: return how much. */
int64_t vm_playout_clear(vm_playout *playout, int64_t now_ns);

/* A mark of `generation` at position `position_ns` came back. False: it is stale, or was never sent. */
bool vm_playout_mark(vm_playout *playout, uint64_t generation, int64_t position_ns, int64_t now_ns);

#endif
