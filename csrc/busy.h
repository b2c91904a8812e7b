/* A flag that one thread at a time can hold. Nobody waits for it. */
#ifndef VM_BUSY_H
#define VM_BUSY_H

#include <stdbool.h>

#if defined(_MSC_VER)
#include <intrin.h>
typedef volatile long vm_busy;
static __inline bool vm_busy_take(vm_busy *busy) {
    return _InterlockedExchange(busy, 1) == 0;
}
static __inline void vm_busy_leave(vm_busy *busy) {
    (void)_InterlockedExchange(busy, 0);
}
#else
typedef volatile char vm_busy;
/* Whether it was free; if so it is held now. */
static inline bool vm_busy_take(vm_busy *busy) {
    return !__atomic_test_and_set(busy, __ATOMIC_ACQUIRE);
}
static inline void vm_busy_leave(vm_busy *busy) {
    __atomic_clear(busy, __ATOMIC_RELEASE);
}
#endif

#endif
