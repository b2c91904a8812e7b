#include "slicer.h"

#include <string.h>

void vm_slicer_init(vm_slicer *slicer, uint8_t *room, size_t frame_bytes) {
    slicer->frame_bytes = frame_bytes;
    slicer->n_pending = 0;
    slicer->pending = room;
    slicer->room = room;
}

void vm_slicer_reset(vm_slicer *slicer) {
    slicer->n_pending = 0;
}

size_t vm_slicer_count(const vm_slicer *slicer, size_t n) {
    return (slicer->n_pending + n) / slicer->frame_bytes;
}

void vm_slicer_views(vm_slicer *slicer, vm_slicer_frames *frames, const uint8_t *chunk, size_t n) {
    const size_t n_frame = slicer->frame_bytes;
    *frames = (vm_slicer_frames){.straddling = NULL, .whole = chunk, .n_whole = 0};
    if (n == 0) return;

    if (slicer->n_pending > 0) {
        size_t n_missing = n_frame - slicer->n_pending;
        size_t n_taken = n < n_missing ? n : n_missing;
        memcpy(slicer->pending + slicer->n_pending, chunk, n_taken);
        slicer->n_pending += n_taken;
        if (slicer->n_pending < n_frame) return;
        frames->straddling = slicer->pending;
        frames->whole = chunk + n_taken;
        n -= n_taken;
        slicer->pending = slicer->pending == slicer->room ? slicer->room + n_frame : slicer->room;
    }
    frames->n_whole = n / n_frame;
    slicer->n_pending = n % n_frame;
    memcpy(slicer->pending, frames->whole + frames->n_whole * n_frame, slicer->n_pending);
}

size_t vm_slicer_push(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n) {
    vm_slicer_frames frames;
    vm_slicer_views(slicer, &frames, src, n);
    uint8_t *to = dst;
    if (frames.straddling != NULL) {
        memcpy(to, frames.straddling, slicer->frame_bytes);
        to += slicer->frame_bytes;
    }
    size_t n_whole_bytes = frames.n_whole * slicer->frame_bytes;
    if (n_whole_bytes > 0) memcpy(to, frames.whole, n_whole_bytes);
    return (size_t)(to - dst) + n_whole_bytes;
}

size_t vm_slicer_flush(vm_slicer *slicer, uint8_t *dst, const uint8_t *silence, size_t n_silence) {
    if (slicer->n_pending == 0) return 0;
    size_t n_kept = slicer->n_pending - slicer->n_pending % n_silence;
    memcpy(dst, slicer->pending, n_kept);
    for (size_t i = n_kept; i < slicer->frame_bytes; i++)
        dst[i] = silence[(i - n_kept) % n_silence];
    slicer->n_pending = 0;
    return slicer->frame_bytes;
}
