/* Words that one thread writes and another reads: what was written before a word was set is seen by whoever
 * has read it. */
#ifndef VM_SHARED_WORD_H
#define VM_SHARED_WORD_H

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER)
#include <intrin.h>
static __inline uint64_t vm_word_read(const volatile uint64_t *word) {
    return (uint64_t)_InterlockedOr64((volatile __int64 *)word, 0);
}
static __inline void vm_word_write(volatile uint64_t *word, uint64_t value) {
    (void)_InterlockedExchange64((volatile __int64 *)word, (__int64)value);
}
static __inline void *vm_pointer_read(void *const volatile *pointer) {
    return _InterlockedCompareExchangePointer((void *volatile *)pointer, NULL, NULL);
}
static __inline void *vm_pointer_swap(void *volatile *pointer, void *value) {
    return _InterlockedExchangePointer(pointer, value);
}
#else
static inline uint64_t vm_word_read(const volatile uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
static inline void vm_word_write(volatile uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
static inline void *vm_pointer_read(void *const volatile *pointer) {
    return __atomic_load_n(pointer, __ATOMIC_ACQUIRE);
}
/* Set it and return what it was. */
static inline void *vm_pointer_swap(void *volatile *pointer, void *value) {
    return __atomic_exchange_n(pointer, value, __ATOMIC_ACQ_REL);
}
#endif

#endif
