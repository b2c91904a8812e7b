/* What is left over after whole registers; also the portable variant of these loops. */
#ifndef VM_FIR_TAIL_H
#define VM_FIR_TAIL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void tail_widen(float *dst, const int16_t *src, size_t n) {
    const uint8_t *in = (const uint8_t *)src; /* of any alignment */
    for (size_t i = 0; i < n; i++) {
        int16_t sample;
        memcpy(&sample, in + 2 * i, sizeof sample);
        dst[i] = sample;
    }
}

static inline void tail_deal(float *planes, size_t stride, const float *src, size_t n_rounds,
                             size_t n_planes) {
    for (size_t i = 0; i < n_rounds; i++) {
        for (size_t plane = 0; plane < n_planes; plane++)
            planes[plane * stride + i] = src[i * n_planes + plane];
    }
}

/* Every `step`-th sample of `dst`. */
static inline void tail_round(uint8_t *dst, const float *src, size_t n, size_t step) {
    /* Between 2^23 and 2^24 a float's last bit is 1: adding this leaves the nearest integer below it. */
    const float shift = 12582912.0f;
    const int32_t shift_bits = 0x4B400000;
    for (size_t i = 0; i < n; i++) {
        float value = src[i];
        value = value < 32767.0f ? value : 32767.0f;
        value = value > -32768.0f ? value : -32768.0f;
        value += shift;
        int32_t bits;
        memcpy(&bits, &value, sizeof bits);
        int16_t sample = (int16_t)(bits - shift_bits);
        memcpy(dst + 2 * i * step, &sample, sizeof sample);
    }
}

#endif
