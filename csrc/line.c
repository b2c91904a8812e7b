#include "line.h"

#include <stdlib.h>
#include <string.h>

#include "isa.h"

enum { BLOCK = 4096 /* samples: gathered and dealt out again while they are in the nearest caches */ };

/* Where outputs go: the first `n_drop` are the delay and go nowhere. */
typedef struct line_sink {
    vm_line line;
    size_t n_drop;
} line_sink;

/* Copy between lines; constant sizes and steps make fast loops of it. */
VM_INLINE void copy(void *to, ptrdiff_t to_step, const void *from, ptrdiff_t from_step, size_t n,
                    size_t size) {
    uint8_t *out = to;
    const uint8_t *in = from;
    for (size_t i = 0; i < n; i++) {
        memcpy(out, in, size);
        out += to_step;
        in += from_step;
    }
}

VM_INLINE void deliver(line_sink *sink, const uint8_t *from, size_t n, size_t size) {
    size_t n_dropped = n < sink->n_drop ? n : sink->n_drop;
    sink->n_drop -= n_dropped;
    n -= n_dropped;
    copy(sink->line.at, sink->line.step, from + n_dropped * size, (ptrdiff_t)size, n, size);
    sink->line.at = (uint8_t *)sink->line.at + (ptrdiff_t)n * sink->line.step;
}

VM_INLINE size_t push(vm_fir *fir, void *dst, const void *src, size_t n, size_t size) {
    return size == sizeof(float) ? vm_fir_push_f32(fir, dst, src, n) : vm_fir_push(fir, dst, src, n);
}

VM_INLINE size_t flush(vm_fir *fir, void *dst, size_t size) {
    return size == sizeof(float) ? vm_fir_flush_f32(fir, dst) : vm_fir_flush(fir, dst);
}

VM_INLINE int resample(vm_fir *fir, vm_line dst, vm_line src, size_t n, size_t size) {
    size_t n_tail = vm_fir_latency(fir);
    size_t n_block = BLOCK;
    while (n_block > 1 && vm_fir_max_output(fir, n_block) > 2 * BLOCK)
        n_block /= 2;
    size_t n_room = vm_fir_max_output(fir, n_block);
    if (n_room < n_tail) n_room = n_tail;
    uint8_t *room = malloc((n_block + n_room) * size);
    if (room == NULL) return -1;

    uint8_t *gathered = room + n_room * size;
    line_sink sink = {dst, n_tail};
    int in_place = dst.step == (ptrdiff_t)size, reads_in_place = src.step == (ptrdiff_t)size;
    while (n > 0) {
        size_t n_piece = n < n_block ? n : n_block;
        const void *from = src.at;
        if (!reads_in_place) {
            copy(gathered, (ptrdiff_t)size, src.at, src.step, n_piece, size);
            from = gathered;
        } else if (in_place && sink.n_drop == 0) {
            n_piece = n;
        }
        if (in_place && sink.n_drop == 0) {
            sink.line.at = (uint8_t *)sink.line.at + push(fir, sink.line.at, from, n_piece, size) * size;
        } else {
            deliver(&sink, room, push(fir, room, from, n_piece, size), size);
        }
        src.at = (uint8_t *)src.at + (ptrdiff_t)n_piece * src.step;
        n -= n_piece;
    }
    deliver(&sink, room, flush(fir, room, size), size);
    free(room);
    return 0;
}

int vm_line_resample(vm_fir *fir, vm_line dst, vm_line src, size_t n) {
    return resample(fir, dst, src, n, sizeof(int16_t));
}

int vm_line_resample_f32(vm_fir *fir, vm_line dst, vm_line src, size_t n) {
    return resample(fir, dst, src, n, sizeof(float));
}
