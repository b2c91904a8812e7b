#include "cpu.h"

#include "isa.h"

#if defined(VM_X86) && defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>

/* Intel SDM vol. 1, 14.3 and 15.2: the processor and the operating system must both say yes. */
enum {
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512F_DQ_BW = 1 << 16 | 1 << 17 | 1 << 30,
    XCR0_YMM = 0x06,
    XCR0_ZMM = 0xE6
};
static const unsigned LEAF7_EBX_AVX512VL = 1u << 31;

static int has(unsigned leaf7_ebx, unsigned xcr0) {
    int leaf1[4], leaf7[4];
    __cpuid(leaf1, 0);
    if (leaf1[0] < 7) return 0;
    __cpuid(leaf1, 1);
    __cpuidex(leaf7, 7, 0);
    if (!(leaf1[2] & LEAF1_ECX_OSXSAVE) || !(leaf1[2] & LEAF1_ECX_FMA)) return 0;
    if (((unsigned)leaf7[1] & leaf7_ebx) != leaf7_ebx) return 0;
    return ((unsigned)_xgetbv(0) & xcr0) == xcr0;
}

int vm_cpu_has_avx2(void) {
    return has(LEAF7_EBX_AVX2, XCR0_YMM);
}
int vm_cpu_has_avx512(void) {
    return has(LEAF7_EBX_AVX2 | LEAF7_EBX_AVX512F_DQ_BW | LEAF7_EBX_AVX512VL, XCR0_ZMM);
}

#elif defined(VM_X86)

int vm_cpu_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
int vm_cpu_has_avx512(void) {
    return vm_cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

#else

int vm_cpu_has_avx2(void) {
    return 0;
}
int vm_cpu_has_avx512(void) {
    return 0;
}

#endif
