/* Numbered messages in the order of their numbers: a few wait for one that is missing.
 *
 *     came:  1 2 4 5 3 6        4 and 5 wait until 3 is there; 6 and 7 would not: of four that came after it,
 *     goes:  1 2 . . 3 4 5 6    the first that finds no room gives the missing one up
 *
 * What comes twice or too late is told from the rest by a memory of the last numbers. */
#ifndef VM_REORDER_H
#define VM_REORDER_H

#include <stdint.h>

#include "queue.h"

enum {
    VM_REORDER_WINDOW = 3, /* messages that wait at most */
    VM_REORDER_MEMORY = 64 /* numbers behind the next one that are known; further back counting began anew */
};

typedef enum vm_reorder_verdict {
    VM_REORDER_NEXT = 0,      /* it is its turn, and perhaps that of those who wait: vm_reorder_pop */
    VM_REORDER_WAIT = 1,      /* hold its audio in the queue that was returned */
    VM_REORDER_DUPLICATE = 2, /* it came before */
    VM_REORDER_LATE = 3,      /* its place was given up */
    VM_REORDER_FULL = 4,      /* too many wait: vm_reorder_skip, pop, and judge it again */
    VM_REORDER_ANEW = 5       /* counting began anew: skip and pop all, restart, and judge it again */
} vm_reorder_verdict;

typedef struct vm_reorder {
    int64_t next;  /* the number whose turn it is; -1: none has come */
    uint64_t came; /* bit i: next - 1 - i came */
    unsigned n_waiting;
    int64_t number[VM_REORDER_WINDOW]; /* of who waits; -1: nobody */
    vm_queue audio[VM_REORDER_WINDOW];
} vm_reorder;

/* `pool` outlives it. */
void vm_reorder_init(vm_reorder *reorder, vm_queue_pool *pool);
void vm_reorder_free(vm_reorder *reorder);

/* Judge a message by its `number`, which is not negative. Where it must wait, `*audio` becomes its queue. */
vm_reorder_verdict vm_reorder_judge(vm_reorder *reorder, int64_t number, vm_queue **audio);

/* The audio whose turn it is, valid until the next call; NULL if none waits whose turn it is. */
vm_queue *vm_reorder_pop(vm_reorder *reorder);

/* Give up what those who wait are waiting for: the first of them is next. */
void vm_reorder_skip(vm_reorder *reorder);

/* Forget every number. Nobody waits. */
void vm_reorder_restart(vm_reorder *reorder);

#endif
