#include "fir_table.h"

#include <stdlib.h>

/* Held for a walk over a few entries: spinning is cheap, and works without Python's lock too. */
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static volatile long registry_lock;
static void lock(void) {
    while (_InterlockedExchange(&registry_lock, 1) != 0) {
    }
}
static void unlock(void) {
    _InterlockedExchange(&registry_lock, 0);
}
#else
#include <stdatomic.h>
static atomic_flag registry_lock = ATOMIC_FLAG_INIT;
static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&registry_lock, memory_order_acquire)) {
    }
}
static void unlock(void) {
    atomic_flag_clear_explicit(&registry_lock, memory_order_release);
}
#endif

enum { MAX_IDLE = 8 /* unused tables kept for the next call */ };

static vm_fir_table *registry; /* used last, first */
static size_t n_designed;

static void put_first(vm_fir_table *table) {
    table->next = registry;
    registry = table;
    table->n_users++;
}

static vm_fir_table *find(uint32_t up, uint32_t down, vm_fir_quality quality) {
    for (vm_fir_table **link = &registry; *link != NULL; link = &(*link)->next) {
        vm_fir_table *table = *link;
        if (table->up == up && table->down == down && table->quality == quality) {
            *link = table->next;
            put_first(table);
            return table;
        }
    }
    return NULL;
}

vm_fir_table *vm_fir_table_acquire(uint32_t up, uint32_t down, vm_fir_quality quality) {
    lock();
    vm_fir_table *table = find(up, down, quality);
    unlock();
    if (table != NULL) return table;

    vm_fir_table *made = vm_fir_design(up, down, quality);
    if (made == NULL) return NULL;
    lock();
    n_designed++;
    table = find(up, down, quality); /* another thread may have been faster */
    if (table == NULL) {
        put_first(made);
        table = made;
        made = NULL;
    }
    unlock();
    free(made);
    return table;
}

void vm_fir_table_release(vm_fir_table *table) {
    vm_fir_table *surplus = NULL;
    lock();
    table->n_users--;
    uint32_t n_idle = 0;
    for (vm_fir_table **link = &registry; *link != NULL; link = &(*link)->next) {
        if ((*link)->n_users > 0) continue;
        if (++n_idle > MAX_IDLE) { /* the last idle one has not been used for longest */
            surplus = *link;
            *link = surplus->next;
            break;
        }
    }
    unlock();
    free(surplus);
}

size_t vm_fir_table_designed(void) {
    lock();
    size_t n = n_designed;
    unlock();
    return n;
}
