/* What is dropped when something must be: silence before speech, the past before the present. */
#ifndef VM_SHED_H
#define VM_SHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "queue.h"

/* What was dropped: `n` bytes that lay `at` bytes from the head. */
typedef struct vm_shed {
    size_t at;
    size_t n;
} vm_shed;

/* Drop one frame of `n_frame` bytes, or less if less is queued: the first silent one of those that begin in
 * the first `n_window` bytes, not counting the first `n_kept`, else the one at the head. */
vm_shed vm_shed_frame(vm_queue *queue, vm_encoding encoding, size_t n_frame, size_t n_kept, size_t n_window);

/* How many of the first `n` bytes stand before the first silent frame of `n_frame` bytes. */
size_t vm_shed_before_silence(const vm_queue *queue, vm_encoding encoding, size_t n_frame, size_t n);

#endif
