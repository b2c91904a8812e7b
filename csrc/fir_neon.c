#include "fir_kernels.h"
#include "isa.h"

#if defined(VM_NEON)
#include <arm_neon.h>

typedef float32x4_t vec;
enum { VEC_FLOATS = 4, TILE_LARGE = 5, TILE_SMALL = 2, LANE_VECS = 4, LANE_COLUMNS = 1 };
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, a) vst1q_f32(p, a)
#define vec_splat(c) vdupq_n_f32(c)
#define vec_add(a, b) vaddq_f32(a, b)
#define vec_mul(a, b) vmulq_f32(a, b)
#define vec_fma(acc, x, c) vfmaq_f32(acc, x, c)
#define KERNEL(name) vm_fir_##name##_neon

#include "fir_tail.h"
#include "fir_tile.h"

void vm_fir_widen_neon(float *dst, const int16_t *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        /* as bytes: samples may lie at odd addresses */
        int16x8_t samples = vreinterpretq_s16_u8(vld1q_u8((const uint8_t *)(src + i)));
        vst1q_f32(dst + i, vcvtq_f32_s32(vmovl_s16(vget_low_s16(samples))));
        vst1q_f32(dst + i + 4, vcvtq_f32_s32(vmovl_s16(vget_high_s16(samples))));
    }
    tail_widen(dst + i, src + i, n - i);
}

void vm_fir_deal2_neon(float *planes, size_t stride, const float *src, size_t n_rounds) {
    size_t i = 0;
    for (; n_rounds - i >= 4; i += 4) {
        float32x4x2_t dealt = vld2q_f32(src + 2 * i);
        vst1q_f32(planes + i, dealt.val[0]);
        vst1q_f32(planes + stride + i, dealt.val[1]);
    }
    tail_deal(planes + i, stride, src + 2 * i, n_rounds - i, 2);
}

void vm_fir_deal3_neon(float *planes, size_t stride, const float *src, size_t n_rounds) {
    size_t i = 0;
    for (; n_rounds - i >= 4; i += 4) {
        float32x4x3_t dealt = vld3q_f32(src + 3 * i);
        vst1q_f32(planes + i, dealt.val[0]);
        vst1q_f32(planes + stride + i, dealt.val[1]);
        vst1q_f32(planes + 2 * stride + i, dealt.val[2]);
    }
    tail_deal(planes + i, stride, src + 3 * i, n_rounds - i, 3);
}

static inline int16x4_t round4(const float *src) { /* ties to even, saturated twice: to 32 bits, to 16 */
    return vqmovn_s32(vcvtnq_s32_f32(vld1q_f32(src)));
}

void vm_fir_round_neon(int16_t *dst, const float *src, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        int16x8_t samples = vcombine_s16(round4(src + i), round4(src + i + 4));
        vst1q_u8((uint8_t *)(dst + i), vreinterpretq_u8_s16(samples));
    }
    tail_round((uint8_t *)(dst + i), src + i, n - i, 1);
}

void vm_fir_round2_neon(int16_t *dst, const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        int16x4x2_t both = vzip_s16(round4(a + i), round4(b + i));
        int16x8_t samples = vcombine_s16(both.val[0], both.val[1]);
        vst1q_u8((uint8_t *)(dst + 2 * i), vreinterpretq_u8_s16(samples));
    }
    tail_round((uint8_t *)(dst + 2 * i), a + i, n - i, 2);
    tail_round((uint8_t *)(dst + 2 * i) + 2, b + i, n - i, 2);
}

#endif
