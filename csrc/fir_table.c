#include "fir_table.h"

#include <stdlib.h>

#if !defined(__STDC_NO_ATOMICS__) && (!defined(_MSC_VER) || defined(__clang__))
#include <stdatomic.h>
static atomic_flag registry_lock = ATOMIC_FLAG_INIT;
/* Held for a walk over a few entries: spinning is cheap, and works without Python's lock too. */
static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&registry_lock, memory_order_acquire)) {
    }
}
static void unlock(void) {
    atomic_flag_clear_explicit(&registry_lock, memory_order_release);
}
#else /* callers hold Python's lock */
static void lock(void) {}
static void unlock(void) {}
#endif

enum { MAX_IDLE = 8 /* unused tables kept for the next call */ };

static vm_fir_table *registry;

static vm_fir_table *find(uint32_t up, uint32_t down, vm_fir_quality quality) {
    for (vm_fir_table *table = registry; table != NULL; table = table->next) {
        if (table->up == up && table->down == down && table->quality == quality) {
            table->n_users++;
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
    table = find(up, down, quality); /* another thread may have been faster */
    if (table == NULL) {
        made->n_users = 1;
        made->next = registry;
        registry = made;
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
        if (++n_idle > MAX_IDLE) { /* new tables come in front: the last idle one is the oldest */
            surplus = *link;
            *link = surplus->next;
            break;
        }
    }
    unlock();
    free(surplus);
}
