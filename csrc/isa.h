/* What compilers and machines differ in: which files hold code, and how loops over registers are unrolled. */
#ifndef VM_ISA_H
#define VM_ISA_H

#if defined(__x86_64__) || (defined(_M_X64) && !defined(_M_ARM64EC))
#define VM_X86 1
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
#define VM_NEON 1
#endif

/* Constant arguments of such a function are constants in its body: one source for many sizes of tile. */
#if defined(_MSC_VER)
#define VM_INLINE static __forceinline
#elif defined(__GNUC__)
#define VM_INLINE static inline __attribute__((always_inline))
#else
#define VM_INLINE static inline
#endif

/* Before a loop of at most 64 turns, constant after inlining, whose accumulators are to stay in registers. */
#if defined(__clang__)
#define VM_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define VM_UNROLL _Pragma("GCC unroll 64")
#else
#define VM_UNROLL
#endif

/* Load once: GCC would rather make one load for each use, as an operand in memory. */
#if defined(__GNUC__) && defined(VM_X86)
#define VM_IN_REGISTER(value) __asm__("" : "+v"(value))
#elif defined(__GNUC__) && defined(VM_NEON)
#define VM_IN_REGISTER(value) __asm__("" : "+w"(value))
#else
#define VM_IN_REGISTER(value) ((void)0)
#endif

#endif
