#include "fir_kernels.h"
#include "isa.h"

#if defined(VM_X86)
#include <immintrin.h>

typedef __m256 vec;
enum { VEC_FLOATS = 8, TILE_LARGE = 5, TILE_SMALL = 2, LANE_VECS = 2, LANE_COLUMNS = 1 };
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, a) _mm256_storeu_ps(p, a)
#define vec_splat(c) _mm256_set1_ps(c)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_fma(acc, x, c) _mm256_fmadd_ps(x, c, acc)
#define KERNEL(name) vm_fir_##name##_avx2

#include "fir_tail.h"
#include "fir_tile.h"

void vm_fir_widen_avx2(float *dst, const int16_t *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m128i samples = _mm_loadu_si128((const void *)(src + i));
        _mm256_storeu_ps(dst + i, _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(samples)));
    }
    tail_widen(dst + i, src + i, n - i);
}

void vm_fir_deal2_avx2(float *planes, size_t stride, const float *src, size_t n_rounds) {
    size_t i = 0;
    for (; n_rounds - i >= 8; i += 8) {
        __m256 a = _mm256_loadu_ps(src + 2 * i), b = _mm256_loadu_ps(src + 2 * i + 8);
        __m256 low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
        _mm256_storeu_ps(planes + i, _mm256_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0)));
        _mm256_storeu_ps(planes + stride + i, _mm256_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1)));
    }
    tail_deal(planes + i, stride, src + 2 * i, n_rounds - i, 2);
}

/* Lane j of plane p is element 3 * j + p of three registers. Elements of the same lane of three registers are
 * 8 apart, and 8 is 2 modulo 3: a blend by lane modulo 3 collects a plane, a permutation orders it. */
#define PLANE3(from_b, from_c, order)                                                                        \
    _mm256_permutevar8x32_ps(_mm256_blend_ps(_mm256_blend_ps(a, b, from_b), c, from_c), order)

void vm_fir_deal3_avx2(float *planes, size_t stride, const float *src, size_t n_rounds) {
    enum { MOD0 = 0x49, MOD1 = 0x92, MOD2 = 0x24 }; /* lanes by their number modulo 3 */
    const __m256i order0 = _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5);
    const __m256i order1 = _mm256_setr_epi32(1, 4, 7, 2, 5, 0, 3, 6);
    const __m256i order2 = _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7);
    size_t i = 0;
    for (; n_rounds - i >= 8; i += 8) {
        const float *from = src + 3 * i;
        __m256 a = _mm256_loadu_ps(from), b = _mm256_loadu_ps(from + 8), c = _mm256_loadu_ps(from + 16);
        _mm256_storeu_ps(planes + i, PLANE3(MOD1, MOD2, order0));
        _mm256_storeu_ps(planes + stride + i, PLANE3(MOD2, MOD0, order1));
        _mm256_storeu_ps(planes + 2 * stride + i, PLANE3(MOD0, MOD1, order2));
    }
    tail_deal(planes + i, stride, src + 3 * i, n_rounds - i, 3);
}

void vm_fir_round_avx2(int16_t *dst, const float *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 16; i += 16) {
        __m256i low = _mm256_cvtps_epi32(_mm256_loadu_ps(src + i));
        __m256i high = _mm256_cvtps_epi32(_mm256_loadu_ps(src + i + 8));
        __m256i samples = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), _MM_SHUFFLE(3, 1, 2, 0));
        _mm256_storeu_si256((void *)(dst + i), samples);
    }
    tail_round((uint8_t *)(dst + i), src + i, n - i, 1);
}

void vm_fir_round2_avx2(int16_t *dst, const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m256i even = _mm256_cvtps_epi32(_mm256_loadu_ps(a + i));
        __m256i odd = _mm256_cvtps_epi32(_mm256_loadu_ps(b + i));
        __m256i both = _mm256_packs_epi32(_mm256_unpacklo_epi32(even, odd), _mm256_unpackhi_epi32(even, odd));
        _mm256_storeu_si256((void *)(dst + 2 * i), both);
    }
    tail_round((uint8_t *)(dst + 2 * i), a + i, n - i, 2);
    tail_round((uint8_t *)(dst + 2 * i) + 2, b + i, n - i, 2);
}

#endif
