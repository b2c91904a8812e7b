/* Chunks of any size in, whole frames out: the remainder, less than a frame, is carried.
 *
 * The frames of a push are, in this order: at most one that straddles (vm_slicer_fill), then those that lie
 * whole in the chunk (the caller takes them, no copy); the rest is kept (vm_slicer_keep). vm_slicer_push does
 * all three and copies. */
#ifndef VM_SLICER_H
#define VM_SLICER_H

#include <stddef.h>
#include <stdint.h>

typedef struct vm_slicer {
    size_t frame_bytes;
    size_t n_pending;
    uint8_t *pending; /* room for one frame; the caller's memory */
} vm_slicer;

/* `room` holds `frame_bytes` (at least 1) and outlives the slicer. */
void vm_slicer_init(vm_slicer *slicer, uint8_t *room, size_t frame_bytes);
void vm_slicer_reset(vm_slicer *slicer);

/* Frames that a push of `n` bytes returns. */
size_t vm_slicer_count(const vm_slicer *slicer, size_t n);

/* Write vm_slicer_count(slicer, n) frames, one after another; return the bytes written. */
size_t vm_slicer_push(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n);

/* Complete a pending frame from the chunk's start; return the bytes taken, all `n` if it is not complete even
 * then. The frame is written to `dst` when it is complete, which empties `n_pending`. */
size_t vm_slicer_fill(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n);

/* Keep a remainder of less than a frame; nothing is pending before. */
void vm_slicer_keep(vm_slicer *slicer, const uint8_t *src, size_t n);

/* Write the last frame, padded with `silence` (n_silence bytes, one sample, repeated); return frame_bytes, 0
 * when nothing is pending. An incomplete sample is replaced by silence. */
size_t vm_slicer_flush(vm_slicer *slicer, uint8_t *dst, const uint8_t *silence, size_t n_silence);

#endif
