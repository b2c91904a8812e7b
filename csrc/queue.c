#include "queue.h"

#include <stdlib.h>
#include <string.h>

void vm_queue_init(vm_queue *queue, vm_queue_pool *pool) {
    memset(queue, 0, sizeof *queue);
    queue->pool = pool;
}

static vm_page *take_page(vm_queue_pool *pool) {
    vm_page *page = NULL;
    if (vm_busy_take(&pool->busy)) {
        page = pool->first;
        if (page != NULL) {
            pool->first = page->next;
            pool->n--;
        }
        vm_busy_leave(&pool->busy);
    }
    if (page == NULL) page = malloc(sizeof *page);
    if (page != NULL) page->next = NULL;
    return page;
}

static void give_page(vm_queue_pool *pool, vm_page *page) {
    if (vm_busy_take(&pool->busy)) {
        if (pool->n < VM_QUEUE_SPARE) {
            page->next = pool->first;
            pool->first = page;
            pool->n++;
            page = NULL;
        }
        vm_busy_leave(&pool->busy);
    }
    free(page);
}

static void give_pages(vm_queue_pool *pool, vm_page *page) {
    while (page != NULL) {
        vm_page *next = page->next;
        give_page(pool, page);
        page = next;
    }
}

void vm_queue_free(vm_queue *queue) {
    if (queue->pool == NULL) return;
    give_pages(queue->pool, queue->head);
    vm_queue_init(queue, queue->pool);
}

/* Link enough empty pages behind the tail to hold `n` more bytes. */
static bool reserve(vm_queue *queue, size_t n) {
    size_t room = queue->tail == NULL ? 0 : VM_QUEUE_PAGE - queue->tail_at;
    vm_page *first = NULL;
    vm_page **link = &first;
    while (room < n) {
        vm_page *page = take_page(queue->pool);
        if (page == NULL) {
            give_pages(queue->pool, first);
            return false;
        }
        *link = page;
        link = &page->next;
        room += VM_QUEUE_PAGE;
    }
    if (first == NULL) return true;
    if (queue->tail == NULL) {
        queue->head = queue->tail = first;
        queue->head_at = queue->tail_at = 0;
    } else {
        queue->tail->next = first;
    }
    return true;
}

static void stamp(vm_queue *queue, int64_t received_ns) {
    const uint64_t end = queue->popped + queue->n_bytes;
    if (queue->n_stamps > 0) {
        vm_stamp *last = &queue->stamps[(queue->first_stamp + queue->n_stamps - 1) % VM_QUEUE_STAMPS];
        if (last->received_ns == received_ns || queue->n_stamps == VM_QUEUE_STAMPS) {
            last->end = end;
            return;
        }
    }
    vm_stamp *new_stamp = &queue->stamps[(queue->first_stamp + queue->n_stamps) % VM_QUEUE_STAMPS];
    new_stamp->end = end;
    new_stamp->received_ns = received_ns;
    queue->n_stamps++;
}

bool vm_queue_push(vm_queue *queue, const uint8_t *src, size_t n, int64_t received_ns) {
    if (n == 0) return true;
    if (!reserve(queue, n)) return false;
    queue->n_bytes += n;
    while (n > 0) {
        if (queue->tail_at == VM_QUEUE_PAGE) {
            queue->tail = queue->tail->next;
            queue->tail_at = 0;
        }
        const size_t room = VM_QUEUE_PAGE - queue->tail_at;
        const size_t part = n < room ? n : room;
        memcpy(queue->tail->bytes + queue->tail_at, src, part);
        queue->tail_at += part;
        src += part;
        n -= part;
    }
    stamp(queue, received_ns);
    return true;
}

int64_t vm_queue_oldest_ns(const vm_queue *queue) {
    return queue->n_stamps > 0 ? queue->stamps[queue->first_stamp].received_ns : INT64_MAX;
}

size_t vm_queue_pop(vm_queue *queue, uint8_t *dst, size_t n, int64_t *received_ns) {
    const size_t taken = n < queue->n_bytes ? n : queue->n_bytes;
    if (taken == 0) return 0;
    if (queue->n_stamps > 0) *received_ns = queue->stamps[queue->first_stamp].received_ns;
    size_t left = taken;
    while (left > 0) {
        const size_t stored = (queue->head == queue->tail ? queue->tail_at : VM_QUEUE_PAGE) - queue->head_at;
        const size_t part = left < stored ? left : stored;
        if (dst != NULL) {
            memcpy(dst, queue->head->bytes + queue->head_at, part);
            dst += part;
        }
        queue->head_at += part;
        left -= part;
        if (queue->head_at == VM_QUEUE_PAGE && queue->head != queue->tail) {
            vm_page *used = queue->head;
            queue->head = used->next;
            queue->head_at = 0;
            give_page(queue->pool, used);
        }
    }
    queue->n_bytes -= taken;
    queue->popped += taken;
    while (queue->n_stamps > 0 && queue->stamps[queue->first_stamp].end <= queue->popped) {
        queue->first_stamp = (queue->first_stamp + 1) % VM_QUEUE_STAMPS;
        queue->n_stamps--;
    }
    if (queue->n_bytes == 0) {
        give_page(queue->pool, queue->head); /* it is the tail too */
        queue->head = queue->tail = NULL;
        queue->head_at = queue->tail_at = 0;
    }
    return taken;
}

/* The page that holds the byte at `*at` from the head; `*at` becomes its place there. */
static vm_page *find(const vm_queue *queue, size_t *at) {
    vm_page *page = queue->head;
    *at += queue->head_at;
    while (*at >= VM_QUEUE_PAGE) {
        page = page->next;
        *at -= VM_QUEUE_PAGE;
    }
    return page;
}

const uint8_t *vm_queue_peek(const vm_queue *queue, size_t at, size_t *n) {
    const vm_page *page = find(queue, &at);
    *n = (page == queue->tail ? queue->tail_at : VM_QUEUE_PAGE) - at;
    return page->bytes + at;
}

void vm_queue_cut(vm_queue *queue, size_t at, size_t n) {
    /* From the back, piece by piece: the longest run that ends at `at` and lies in one page here and there.
     */
    while (at > 0) {
        size_t from = at - 1, to = at - 1 + n;
        vm_page *source = find(queue, &from);
        vm_page *target = find(queue, &to);
        size_t n_run = from < to ? from + 1 : to + 1;
        if (n_run > at) n_run = at;
        memmove(target->bytes + to + 1 - n_run, source->bytes + from + 1 - n_run, n_run);
        at -= n_run;
    }
    int64_t ignored = 0;
    (void)vm_queue_pop(queue, NULL, n, &ignored);
}

void vm_queue_clear(vm_queue *queue) {
    int64_t ignored = 0;
    (void)vm_queue_pop(queue, NULL, queue->n_bytes, &ignored);
}
