/* Chunks of any size in, whole frames out: the remainder, less than a frame, is carried.
 *
 * The frames of a push are, in this order: at most one that straddles two chunks, then those that lie whole
 * in the chunk. vm_slicer_views shows where they lie; vm_slicer_push copies them. */
#ifndef VM_SLICER_H
#define VM_SLICER_H

#include <stddef.h>
#include <stdint.h>

/* The room has two places for a frame: one may hold the frame that straddled last, while the remainder grows
 * in the other:
 *
 *   room: | straddling frame | pending ... | */
typedef struct vm_slicer {
    size_t frame_bytes;
    size_t n_pending;
    uint8_t *pending; /* one of the two places */
    uint8_t *room;    /* the caller's memory */
} vm_slicer;

typedef struct vm_slicer_frames {
    const uint8_t *straddling; /* a frame in the slicer's room; NULL: none was completed */
    const uint8_t *whole;      /* n_whole frames in the chunk, one after another */
    size_t n_whole;
} vm_slicer_frames;

/* `room` holds 2 * `frame_bytes` (at least 1 each) and outlives the slicer. */
void vm_slicer_init(vm_slicer *slicer, uint8_t *room, size_t frame_bytes);
void vm_slicer_reset(vm_slicer *slicer);

/* Frames that a push of `n` bytes returns. */
size_t vm_slicer_count(const vm_slicer *slicer, size_t n);

/* Take `n` bytes; set `frames` to vm_slicer_count(slicer, n) frames. Nothing is copied but the straddling
 * frame and the remainder. The frames are valid until the next call, and while the chunk is. */
void vm_slicer_views(vm_slicer *slicer, vm_slicer_frames *frames, const uint8_t *chunk, size_t n);

/* Write vm_slicer_count(slicer, n) frames, one after another; return the bytes written. */
size_t vm_slicer_push(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n);

/* Write the last frame, padded with `silence` (n_silence bytes, one sample, repeated); return frame_bytes, 0
 * when nothing is pending. An incomplete sample is replaced by silence. */
size_t vm_slicer_flush(vm_slicer *slicer, uint8_t *dst, const uint8_t *silence, size_t n_silence);

#endif
