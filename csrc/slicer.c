#include "slicer.h"

#include <string.h>

void vm_slicer_init(vm_slicer *slicer, uint8_t *room, size_t frame_bytes) {
    slicer->frame_bytes = frame_bytes;
    slicer->n_pending = 0;
    slicer->pending = room;
}

void vm_slicer_reset(vm_slicer *slicer) {
    slicer->n_pending = 0;
}

size_t vm_slicer_count(const vm_slicer *slicer, size_t n) {
    return (slicer->n_pending + n) / slicer->frame_bytes;
}

size_t vm_slicer_fill(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n) {
    if (slicer->n_pending == 0 || n == 0) return 0;
    size_t n_missing = slicer->frame_bytes - slicer->n_pending;
    if (n < n_missing) {
        memcpy(slicer->pending + slicer->n_pending, src, n);
        slicer->n_pending += n;
        return n;
    }
    memcpy(dst, slicer->pending, slicer->n_pending);
    memcpy(dst + slicer->n_pending, src, n_missing);
    slicer->n_pending = 0;
    return n_missing;
}

void vm_slicer_keep(vm_slicer *slicer, const uint8_t *src, size_t n) {
    if (n > 0) memcpy(slicer->pending, src, n);
    slicer->n_pending = n;
}

size_t vm_slicer_push(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n) {
    if (n == 0) return 0;
    int straddles = slicer->n_pending > 0;
    size_t n_taken = vm_slicer_fill(slicer, dst, src, n);
    if (slicer->n_pending > 0) return 0;

    size_t n_straddled = straddles ? slicer->frame_bytes : 0;
    size_t n_rest = (n - n_taken) % slicer->frame_bytes;
    size_t n_whole = n - n_taken - n_rest;
    memcpy(dst + n_straddled, src + n_taken, n_whole);
    vm_slicer_keep(slicer, src + n_taken + n_whole, n_rest);
    return n_straddled + n_whole;
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
