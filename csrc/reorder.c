#include "reorder.h"

#include <stddef.h>

void vm_reorder_init(vm_reorder *reorder, vm_queue_pool *pool) {
    for (unsigned i = 0; i < VM_REORDER_WINDOW; i++) {
        vm_queue_init(&reorder->audio[i], pool);
        reorder->number[i] = -1;
    }
    reorder->n_waiting = 0;
    vm_reorder_restart(reorder);
}

void vm_reorder_free(vm_reorder *reorder) {
    for (unsigned i = 0; i < VM_REORDER_WINDOW; i++)
        vm_queue_free(&reorder->audio[i]);
}

void vm_reorder_restart(vm_reorder *reorder) {
    reorder->next = -1;
    reorder->came = 0;
}

/* The first message may be one that overtook the first of the stream, which is counted 1. */
static int64_t first_of(int64_t number) {
    return number >= 1 && number <= 1 + VM_REORDER_WINDOW ? 1 : number;
}

static void advance(vm_reorder *reorder) {
    reorder->next++;
    reorder->came = reorder->came << 1 | 1;
}

static int waiting(const vm_reorder *reorder, int64_t number) {
    for (int i = 0; i < VM_REORDER_WINDOW; i++) {
        if (reorder->number[i] == number) return i;
    }
    return -1;
}

static int64_t first_waiting(const vm_reorder *reorder) {
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < VM_REORDER_WINDOW; i++) {
        if (reorder->number[i] >= 0 && reorder->number[i] < first) first = reorder->number[i];
    }
    return first;
}

/* Give up what comes before `number`. */
static void skip_to(vm_reorder *reorder, int64_t number) {
    const int64_t n_missing = number - reorder->next;
    reorder->came = n_missing < VM_REORDER_MEMORY ? reorder->came << n_missing : 0;
    reorder->next = number;
}

vm_reorder_verdict vm_reorder_judge(vm_reorder *reorder, int64_t number, vm_queue **audio) {
    if (reorder->next < 0) reorder->next = first_of(number);
    if (number == reorder->next) {
        advance(reorder);
        return VM_REORDER_NEXT;
    }
    if (number < reorder->next) {
        const int64_t behind = reorder->next - number;
        if (behind > VM_REORDER_MEMORY) return VM_REORDER_ANEW;
        return (reorder->came >> (behind - 1) & 1) != 0 ? VM_REORDER_DUPLICATE : VM_REORDER_LATE;
    }
    if (waiting(reorder, number) >= 0) return VM_REORDER_DUPLICATE;
    const int room = waiting(reorder, -1);
    if (room < 0) {
        if (number > first_waiting(reorder)) return VM_REORDER_FULL;
        skip_to(reorder, number);
        advance(reorder);
        return VM_REORDER_NEXT;
    }
    reorder->number[room] = number;
    reorder->n_waiting++;
    *audio = &reorder->audio[room];
    return VM_REORDER_WAIT;
}

vm_queue *vm_reorder_pop(vm_reorder *reorder) {
    const int turn = waiting(reorder, reorder->next);
    if (reorder->n_waiting == 0 || turn < 0) return NULL;
    reorder->number[turn] = -1;
    reorder->n_waiting--;
    advance(reorder);
    return &reorder->audio[turn];
}

void vm_reorder_skip(vm_reorder *reorder) {
    if (reorder->n_waiting > 0) skip_to(reorder, first_waiting(reorder));
}
