#include "shed.h"

#include "live.h"

static bool is_silent(const vm_queue *queue, vm_encoding encoding, size_t at, size_t n) {
    if (at + n > queue->n_bytes) return false;
    while (n > 0) {
        size_t n_here = 0;
        const uint8_t *here = vm_queue_peek(queue, at, &n_here);
        if (n_here > n) n_here = n;
        if (!vm_live_is_silent(encoding, here, n_here)) return false;
        at += n_here;
        n -= n_here;
    }
    return true;
}

vm_shed vm_shed_frame(vm_queue *queue, vm_encoding encoding, size_t n_frame, size_t n_kept, size_t n_window) {
    vm_shed shed = {0, n_frame < queue->n_bytes ? n_frame : queue->n_bytes};
    const size_t n_end = n_window < queue->n_bytes ? n_window : queue->n_bytes;
    for (size_t at = (n_kept + n_frame - 1) / n_frame * n_frame; at < n_end; at += n_frame) {
        if (is_silent(queue, encoding, at, n_frame)) {
            shed.at = at;
            break;
        }
    }
    vm_queue_cut(queue, shed.at, shed.n);
    return shed;
}

size_t vm_shed_before_silence(const vm_queue *queue, vm_encoding encoding, size_t n_frame, size_t n) {
    for (size_t at = 0; at < n; at += n_frame) {
        if (is_silent(queue, encoding, at, n_frame)) return at;
    }
    return n;
}
