/* The clock of a live stream (caller to Vapi): whole frames, continuous, never far ahead of real time.
 *
 * `until_ns` is the moment up to which audio has been sent. It follows the wall clock:
 *   behind it by up to `gap_ns`  the provider's messages are on their way
 *   behind it by more            they are not coming: silence fills the gap, noted as a debt
 *   ahead of it                  a burst after a stall; silent frames repay the debt
 *   ahead by `max_ahead_ns`      a flood: frames are dropped
 * Audio of our own between the provider's is a debt like silence.
 *
 * A stall of ours makes a burst too, but no debt: the burst ends where real time is. Only the slow drift of
 * two clocks, which adds up for hours, is written off. */
#ifndef VM_LIVE_H
#define VM_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"

typedef struct vm_live {
    int64_t frame_ns;
    int64_t min_gap_ns;   /* shortest pause that counts as one */
    int64_t max_ahead_ns; /* flood limit */
    int64_t until_ns;
    int64_t last_media_ns;
    int64_t largest_chunk_ns; /* of late: a provider that sends 100 ms at once pauses for 100 ms between */
    int64_t debt_ns;
    bool is_paced; /* otherwise everything is sent as it comes, and nothing else */
    bool is_open;
} vm_live;

typedef enum vm_live_verdict { VM_LIVE_SEND = 0, VM_LIVE_REPAY = 1, VM_LIVE_FLOOD = 2 } vm_live_verdict;

void vm_live_init(vm_live *live, int64_t frame_ns, int64_t min_gap_ns, int64_t max_ahead_ns, bool is_paced);

/* The far side takes audio from now on, or again. What waits for it, `held_ns`, stands for time that has
 * passed; nobody misses what is older. */
void vm_live_open(vm_live *live, int64_t held_ns, int64_t now_ns);
void vm_live_resume(vm_live *live, int64_t held_ns, int64_t now_ns);

/* A message of `chunk_ns` came in, which is not 0. */
void vm_live_arrived(vm_live *live, int64_t chunk_ns, int64_t now_ns);

/* `duration_ns` of our own audio goes in between the provider's: a debt. What waits for the far side to open
 * is none, as its past is written off. */
void vm_live_inserted(vm_live *live, int64_t duration_ns);

/* What to do with the next whole frame, `n` bytes; counts it as sent if the verdict says so. A frame of our
 * own is never left out: its silence has a meaning, such as the end of a key. */
vm_live_verdict vm_live_judge(vm_live *live, vm_encoding encoding, const uint8_t *frame, size_t n,
                              bool is_own, int64_t now_ns);

/* Whether a frame of silence is due now; counts it as sent. It begins with the `held_ns` of audio that wait
 * for the rest of their frame. */
bool vm_live_silence_due(vm_live *live, int64_t held_ns, int64_t now_ns);

/* Until when `waiting_ns` of audio may wait while the far side takes nothing, if `max_age_ns` of it may. What
 * waits grows older as well when nothing comes any more. */
int64_t vm_live_expires_ns(const vm_live *live, int64_t waiting_ns, int64_t max_age_ns);

/* Whether nobody would miss these `n` bytes: no sample above about -54 dBFS. */
bool vm_live_is_silent(vm_encoding encoding, const uint8_t *audio, size_t n);

/* When silence is due if nothing comes; INT64_MAX if never. */
int64_t vm_live_next_ns(const vm_live *live);

#endif
