#include "fir_kernels.h"
#include "isa.h"

#if defined(VM_X86)
#include <emmintrin.h>

typedef __m128 vec;
enum { VEC_FLOATS = 4, TILE_LARGE = 2, TILE_SMALL = 1, LANE_VECS = 2, LANE_COLUMNS = 1 };
#define vec_load(p) _mm_loadu_ps(p)
#define vec_store(p, a) _mm_storeu_ps(p, a)
#define vec_splat(c) _mm_set1_ps(c)
#define vec_add(a, b) _mm_add_ps(a, b)
#define vec_mul(a, b) _mm_mul_ps(a, b)
#define vec_fma(acc, x, c) _mm_add_ps(acc, _mm_mul_ps(x, c)) /* the only ISA that rounds the product */
#define KERNEL(name) vm_fir_##name##_sse2

#include "fir_tail.h"
#include "fir_tile.h"

void vm_fir_widen_sse2(float *dst, const int16_t *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m128i samples = _mm_loadu_si128((const void *)(src + i));
        __m128i low = _mm_srai_epi32(_mm_unpacklo_epi16(samples, samples), 16);
        __m128i high = _mm_srai_epi32(_mm_unpackhi_epi16(samples, samples), 16);
        _mm_storeu_ps(dst + i, _mm_cvtepi32_ps(low));
        _mm_storeu_ps(dst + i + 4, _mm_cvtepi32_ps(high));
    }
    tail_widen(dst + i, src + i, n - i);
}

void vm_fir_deal2_sse2(float *planes, size_t stride, const float *src, size_t n_rounds) {
    size_t i = 0;
    for (; n_rounds - i >= 4; i += 4) {
        __m128 a = _mm_loadu_ps(src + 2 * i), b = _mm_loadu_ps(src + 2 * i + 4);
        _mm_storeu_ps(planes + i, _mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
        _mm_storeu_ps(planes + stride + i, _mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    }
    tail_deal(planes + i, stride, src + 2 * i, n_rounds - i, 2);
}

void vm_fir_deal3_sse2(float *planes, size_t stride, const float *src, size_t n_rounds) {
    size_t i = 0;
    for (; n_rounds - i >= 4; i += 4) {
        const float *from = src + 3 * i;
        __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + 4), c = _mm_loadu_ps(from + 8);
        /* a = 0 1 2 0, b = 1 2 0 1, c = 2 0 1 2, by plane */
        __m128 b2c1 = _mm_shuffle_ps(b, c, _MM_SHUFFLE(1, 1, 2, 2));
        __m128 a1b0 = _mm_shuffle_ps(a, b, _MM_SHUFFLE(0, 0, 1, 1));
        __m128 b3c2 = _mm_shuffle_ps(b, c, _MM_SHUFFLE(2, 2, 3, 3));
        __m128 a2b1 = _mm_shuffle_ps(a, b, _MM_SHUFFLE(1, 1, 2, 2));
        _mm_storeu_ps(planes + i, _mm_shuffle_ps(a, b2c1, _MM_SHUFFLE(2, 0, 3, 0)));
        _mm_storeu_ps(planes + stride + i, _mm_shuffle_ps(a1b0, b3c2, _MM_SHUFFLE(2, 0, 2, 0)));
        _mm_storeu_ps(planes + 2 * stride + i, _mm_shuffle_ps(a2b1, c, _MM_SHUFFLE(3, 0, 2, 0)));
    }
    tail_deal(planes + i, stride, src + 3 * i, n_rounds - i, 3);
}

void vm_fir_round_sse2(int16_t *dst, const float *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m128i low = _mm_cvtps_epi32(_mm_loadu_ps(src + i)),
                high = _mm_cvtps_epi32(_mm_loadu_ps(src + i + 4));
        _mm_storeu_si128((void *)(dst + i), _mm_packs_epi32(low, high));
    }
    tail_round((uint8_t *)(dst + i), src + i, n - i, 1);
}

void vm_fir_round2_sse2(int16_t *dst, const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        __m128i even = _mm_cvtps_epi32(_mm_loadu_ps(a + i)), odd = _mm_cvtps_epi32(_mm_loadu_ps(b + i));
        __m128i both = _mm_packs_epi32(_mm_unpacklo_epi32(even, odd), _mm_unpackhi_epi32(even, odd));
        _mm_storeu_si128((void *)(dst + 2 * i), both);
    }
    tail_round((uint8_t *)(dst + 2 * i), a + i, n - i, 2);
    tail_round((uint8_t *)(dst + 2 * i) + 2, b + i, n - i, 2);
}

#endif
