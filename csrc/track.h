/* One leg of a recording: audio from a tap, put where it belongs on a clock, and read out in order as 16-bit
 * samples. Where there is none, silence is read.
 *
 *   0 ......... done ================= end                samples since `origin_ns`
 *   (was read)        bytes, as they came
 *
 * A live leg is stamped with when audio arrived, and a message is late or not at all, never early: audio
 * stands where its sender's clock has it. A pause is one only if no burst behind it makes up for it. A played
 * leg is stamped with when audio begins to be heard; it goes on without a gap while there is any. */
#ifndef VM_TRACK_H
#define VM_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "tap.h"

typedef struct vm_track {
    uint8_t *bytes;
    size_t size, first, n_bytes; /* n_bytes of audio stand from `first` on */
    size_t max_bytes;
    size_t sample_bytes;
    vm_encoding encoding;
    uint32_t sample_rate;
    bool is_live;
    int64_t origin_ns;
    int64_t done;
} vm_track;

void vm_track_init(vm_track *track, vm_encoding encoding, uint32_t sample_rate, bool is_live,
                   size_t max_bytes);
void vm_track_free(vm_track *track);

/* Position of a moment, in samples; never before what was read. */
int64_t vm_track_at(const vm_track *track, int64_t at_ns);

/* Take what is needed of the tap to read up to `until_ns`, unless it stands so far ahead that there is no
 * room before more was read. */
void vm_track_fill(vm_track *track, vm_tap *tap, int64_t until_ns);

/* Read the next `n` samples of both legs, side by side: left, right, left, ... */
void vm_track_read_stereo(vm_track *left, vm_track *right, int16_t *stereo, size_t n);

#endif
