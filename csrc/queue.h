/* A byte queue in pages, with the time at which its audio arrived.
 *
 *   head -> [page] -> [page] -> [page] <- tail        none when it is empty: the pages of all queues come
 * from ^head_at             ^tail_at           one pool, and a page that was just used is still in a cache
 *
 * Stamps say when the bytes up to a position came in; when more than VM_QUEUE_STAMPS are waiting, the newest
 * ones are merged (a latency figure then errs to the high side). */
#ifndef VM_QUEUE_H
#define VM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "busy.h"

enum {
    VM_QUEUE_PAGE = 2040,
    VM_QUEUE_STAMPS = 16,
    VM_QUEUE_SPARE = 512 /* pages that a pool keeps, 1 MiB; what more comes back is freed */
};

typedef struct vm_page {
    struct vm_page *next;
    uint8_t bytes[VM_QUEUE_PAGE];
} vm_page;

/* Pages that no queue needs just now, for all queues of a process: so a burst of one call costs no allocation
 * that another has not already paid for, and what bursts have taken is given back. All zero at first. Any
 * thread may use it at any time: one that finds it in use does not wait, but turns to malloc. */
typedef struct vm_queue_pool {
    vm_page *first;
    uint32_t n;
    vm_busy busy;
} vm_queue_pool;

typedef struct vm_stamp {
    uint64_t end; /* position in the stream, counted in bytes from its start */
    int64_t received_ns;
} vm_stamp;

typedef struct vm_queue {
    vm_page *head;
    vm_page *tail;
    vm_queue_pool *pool;
    size_t head_at;
    size_t tail_at;
    size_t n_bytes;
    uint64_t popped; /* position of the first byte in the queue */
    uint32_t first_stamp;
    uint32_t n_stamps;
    vm_stamp stamps[VM_QUEUE_STAMPS];
} vm_queue;

/* `pool` outlives the queue. */
void vm_queue_init(vm_queue *queue, vm_queue_pool *pool);
void vm_queue_free(vm_queue *queue);

/* Append `n` bytes. False when memory runs out: nothing was appended. */
bool vm_queue_push(vm_queue *queue, const uint8_t *src, size_t n, int64_t received_ns);

/* Take out at most `n` bytes (`dst` may be NULL to drop them); return how many. `*received_ns` becomes the
 * arrival of the oldest, and is left alone when there were none. */
size_t vm_queue_pop(vm_queue *queue, uint8_t *dst, size_t n, int64_t *received_ns);

/* When the oldest byte arrived, or a little before; INT64_MAX if the queue is empty. */
int64_t vm_queue_oldest_ns(const vm_queue *queue);

/* Where the bytes that lie `at` bytes from the head are, and how many of them lie there one after another;
 * `at` is less than n_bytes. */
const uint8_t *vm_queue_peek(const vm_queue *queue, size_t at, size_t *n);

/* Take out the `n` bytes that lie `at` bytes from the head; there are so many. Those before them move up, and
 * may count as received later than they were, by what lies between. */
void vm_queue_cut(vm_queue *queue, size_t at, size_t n);

void vm_queue_clear(vm_queue *queue);

#endif
