#include <math.h>

#include "fir_kernels.h"
#include "fir_tail.h"

/* The reference: what fir_kernels.h says, word by word. */

void vm_fir_line_scalar(float *y, const vm_fir_line *line) {
    for (size_t k = 0; k < VM_FIR_BLOCK * line->n_blocks; k++) {
        const float *coefs = line->coefs;
        float sum = line->lone != NULL ? line->lone[k] * line->lone_coef : 0.0f;
        if (line->adds) sum = y[k];
        for (size_t r = 0; r < VM_FIR_BLOCK; r++) {
            for (size_t plane = 0; plane < line->n_planes; plane++, coefs += line->stride) {
                for (size_t q = 0; VM_FIR_BLOCK * q + r < line->n_taps; q++)
                    sum = fmaf(line->x[plane][k + VM_FIR_BLOCK * q + r], coefs[q], sum);
            }
        }
        y[k] = sum;
    }
}

void vm_fir_lanes_scalar(float *out, const vm_fir_lanes *lanes) {
    for (size_t column = 0; column < lanes->n_columns; column++) {
        const float *x = lanes->x + column * lanes->x_step;
        for (size_t lane = 0; lane < VM_FIR_BLOCK; lane++) {
            float sum[VM_FIR_PARTIALS] = {0};
            for (size_t i = 0; i < lanes->n_taps; i++)
                sum[i % VM_FIR_PARTIALS] =
                    fmaf(x[i], lanes->coefs[VM_FIR_BLOCK * i + lane], sum[i % VM_FIR_PARTIALS]);
            out[column * lanes->out_step + lane] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        }
    }
}

void vm_fir_widen_scalar(float *dst, const int16_t *src, size_t n) {
    tail_widen(dst, src, n);
}

void vm_fir_deal2_scalar(float *planes, size_t stride, const float *src, size_t n_rounds) {
    tail_deal(planes, stride, src, n_rounds, 2);
}

void vm_fir_deal3_scalar(float *planes, size_t stride, const float *src, size_t n_rounds) {
    tail_deal(planes, stride, src, n_rounds, 3);
}

void vm_fir_round_scalar(int16_t *dst, const float *src, size_t n) {
    tail_round((uint8_t *)dst, src, n, 1);
}

void vm_fir_round2_scalar(int16_t *dst, const float *a, const float *b, size_t n) {
    tail_round((uint8_t *)dst, a, n, 2);
    tail_round((uint8_t *)dst + 2, b, n, 2);
}
