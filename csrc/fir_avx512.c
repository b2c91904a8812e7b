#include "fir_kernels.h"
#include "isa.h"

#if defined(VM_X86)
#include <immintrin.h>

typedef __m512 vec;
enum { VEC_FLOATS = 16, TILE_LARGE = 10, TILE_SMALL = 4, LANE_VECS = 1, LANE_COLUMNS = 2 };
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, a) _mm512_storeu_ps(p, a)
#define vec_splat(c) _mm512_set1_ps(c)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define vec_mul(a, b) _mm512_mul_ps(a, b)
#define vec_fma(acc, x, c) _mm512_fmadd_ps(x, c, acc)
#define KERNEL(name) vm_fir_##name##_avx512

#include "fir_tail.h"
#include "fir_tile.h"

static inline __mmask16 first(size_t n) { /* lanes of the last, partial register */
    return (__mmask16)((1u << n) - 1);
}

void vm_fir_widen_avx512(float *dst, const int16_t *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        __m256i samples = _mm256_loadu_si256((const void *)(src + i));
        _mm512_storeu_ps(dst + i, _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(samples)));
    }
    if (i < n) {
        __m256i samples = _mm256_maskz_loadu_epi16(first(n - i), src + i);
        _mm512_mask_storeu_ps(dst + i, first(n - i), _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(samples)));
    }
}

void vm_fir_deal2_avx512(float *planes, size_t stride, const float *src, size_t n_rounds) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    size_t i = 0;
    for (; n_rounds - i >= 16; i += 16) {
        __m512 a = _mm512_loadu_ps(src + 2 * i), b = _mm512_loadu_ps(src + 2 * i + 16);
        _mm512_storeu_ps(planes + i, _mm512_permutex2var_ps(a, even, b));
        _mm512_storeu_ps(planes + stride + i, _mm512_permutex2var_ps(a, odd, b));
    }
    tail_deal(planes + i, stride, src + 2 * i, n_rounds - i, 2);
}

/* Lane j of plane p is element 3 * j + p of three registers. Elements of the same lane of three registers are
 * 16 apart, and 16 is 1 modulo 3: a blend by lane modulo 3 collects a plane, a permutation orders it. */
static inline __m512 plane3(__m512 a, __m512 b, __m512 c, __mmask16 from_b, __mmask16 from_c, __m512i order) {
    __m512 all = _mm512_mask_blend_ps(from_c, _mm512_mask_blend_ps(from_b, a, b), c);
    return _mm512_permutexvar_ps(order, all);
}

void vm_fir_deal3_avx512(float *planes, size_t stride, const float *src, size_t n_rounds) {
    enum { MOD0 = 0x9249, MOD1 = 0x2492, MOD2 = 0x4924 }; /* lanes by their number modulo 3 */
    const __m512i order0 = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13);
    const __m512i order1 = _mm512_setr_epi32(1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14);
    const __m512i order2 = _mm512_setr_epi32(2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15);
    size_t i = 0;
    for (; n_rounds - i >= 16; i += 16) {
        const float *from = src + 3 * i;
        __m512 a = _mm512_loadu_ps(from), b = _mm512_loadu_ps(from + 16), c = _mm512_loadu_ps(from + 32);
        _mm512_storeu_ps(planes + i, plane3(a, b, c, MOD2, MOD1, order0));
        _mm512_storeu_ps(planes + stride + i, plane3(a, b, c, MOD0, MOD2, order1));
        _mm512_storeu_ps(planes + 2 * stride + i, plane3(a, b, c, MOD1, MOD0, order2));
    }
    tail_deal(planes + i, stride, src + 3 * i, n_rounds - i, 3);
}

void vm_fir_round_avx512(int16_t *dst, const float *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        __m512i samples = _mm512_cvtps_epi32(_mm512_loadu_ps(src + i));
        _mm256_storeu_si256((void *)(dst + i), _mm512_cvtsepi32_epi16(samples));
    }
    if (i < n) {
        __m512i samples = _mm512_cvtps_epi32(_mm512_maskz_loadu_ps(first(n - i), src + i));
        _mm256_mask_storeu_epi16(dst + i, first(n - i), _mm512_cvtsepi32_epi16(samples));
    }
}

void vm_fir_round2_avx512(int16_t *dst, const float *a, const float *b, size_t n) {
    const __m512i highest = _mm512_set1_epi32(INT16_MAX), lowest = _mm512_set1_epi32(INT16_MIN);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 wanted = first(n - i < 16 ? n - i : 16);
        __m512i even = _mm512_cvtps_epi32(_mm512_maskz_loadu_ps(wanted, a + i));
        __m512i odd = _mm512_cvtps_epi32(_mm512_maskz_loadu_ps(wanted, b + i));
        even = _mm512_max_epi32(_mm512_min_epi32(even, highest), lowest);
        odd = _mm512_max_epi32(_mm512_min_epi32(odd, highest), lowest);
        __m512i both = _mm512_mask_blend_epi16(0xAAAAAAAA, even, _mm512_slli_epi32(odd, 16));
        _mm512_mask_storeu_epi32(dst + 2 * i, wanted, both);
    }
}

#endif
