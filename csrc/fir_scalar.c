#include <string.h>

#include "fir_kernels.h"

/* Four floats in a register of any baseline (SSE2, NEON): optimisers leave arrays of accumulators in memory.
 * Lane by lane the arithmetic is that of plain floats. */
#if defined(__GNUC__)
typedef float four __attribute__((vector_size(16)));
static inline four multiply_add(four acc, four x, four c) {
    return acc + x * c;
}
static inline four splat(float c) {
    return (four){c, c, c, c};
}
#else
typedef struct four {
    float lane[4];
} four;
static inline four multiply_add(four acc, four x, four c) {
    for (int i = 0; i < 4; i++)
        acc.lane[i] += x.lane[i] * c.lane[i];
    return acc;
}
static inline four splat(float c) {
    return (four){{c, c, c, c}};
}
#endif

static inline four load(const float *x) {
    four value;
    memcpy(&value, x, sizeof value);
    return value;
}

typedef struct cursor {
    const float *x;
    size_t plane, n_planes;
    size_t stride;
} cursor;

static inline cursor start_at(const vm_fir_grid *grid, size_t start, size_t round) {
    size_t plane = start % grid->n_planes;
    const float *x = grid->planes + plane * grid->plane_stride + start / grid->n_planes + round;
    return (cursor){x, plane, grid->n_planes, grid->plane_stride};
}

static inline void next_tap(cursor *at) {
    at->x += at->stride;
    if (++at->plane == at->n_planes) {
        at->plane = 0;
        at->x -= at->n_planes * at->stride - 1;
    }
}

/* One phase of 4 * n_fours rounds. Additions wait for each other only along one output: eight chains keep a
 * core busy. */
static inline void block(float *y, const vm_fir_grid *grid, size_t phase, size_t round,
                         const size_t n_fours) {
    four acc[8] = {{0}};
    const float *row = grid->rows[phase];
    cursor at = start_at(grid, grid->starts[phase], round);
    for (size_t i = 0; i < grid->n_taps; i++) {
        four c = splat(row[i]);
        for (size_t j = 0; j < n_fours; j++)
            acc[j] = multiply_add(acc[j], load(at.x + 4 * j), c);
        next_tap(&at);
    }
    memcpy(y, acc, n_fours * sizeof *acc);
}

enum { PAIR = 2 * VM_FIR_BLOCK };

/* Outputs in the order of time from one line for each phase. */
static inline void weave(float *out, const float y[][PAIR], size_t n_phases, size_t n_rounds) {
    if (n_phases == 1) {
        memcpy(out, y[0], n_rounds * sizeof *out);
    } else if (n_phases == 2) { /* a constant that compilers turn into unpacking */
        for (size_t i = 0; i < n_rounds; i++) {
            out[2 * i] = y[0][i];
            out[2 * i + 1] = y[1][i];
        }
    } else {
        for (size_t phase = 0; phase < n_phases; phase++) {
            for (size_t i = 0; i < n_rounds; i++)
                out[i * n_phases + phase] = y[phase][i];
        }
    }
}

void vm_fir_grid_scalar(float *out, const vm_fir_grid *grid, size_t n_rounds) {
    float y[VM_FIR_MAX_PHASES][PAIR];
    size_t n_done;
    for (size_t round = 0; round < n_rounds; round += n_done) {
        n_done = n_rounds - round > VM_FIR_BLOCK ? PAIR : VM_FIR_BLOCK;
        for (size_t phase = 0; phase < grid->n_phases; phase++) {
            if (n_done == PAIR) {
                block(y[phase], grid, phase, round, 8);
            } else {
                block(y[phase], grid, phase, round, 4);
            }
        }
        weave(out + round * grid->n_phases, (const float (*)[PAIR])y, grid->n_phases, n_done);
    }
}

float vm_fir_dot_scalar(const float *x, const float *row, size_t n) {
    four acc[4] = {{0}};
    for (size_t i = 0; i < n; i += VM_FIR_LANES) {
        for (size_t j = 0; j < 4; j++)
            acc[j] = multiply_add(acc[j], load(x + i + 4 * j), load(row + i + 4 * j));
    }
    float lane[VM_FIR_LANES];
    memcpy(lane, acc, sizeof lane);
    for (size_t width = VM_FIR_LANES / 2; width > 0; width /= 2) {
        for (size_t j = 0; j < width; j++)
            lane[j] += lane[j + width];
    }
    return lane[0];
}

void vm_fir_round_scalar(int16_t *dst, const float *src, size_t n) {
    /* Between 2^23 and 2^24 a float's last bit is 1: adding this leaves the nearest integer below it. */
    const float shift = 12582912.0f;
    const int32_t shift_bits = 0x4B400000;
    uint8_t *out = (uint8_t *)dst;
    for (size_t i = 0; i < n; i++) {
        float value = src[i];
        value = value < 32767.0f ? value : 32767.0f;
        value = value > -32768.0f ? value : -32768.0f;
        value += shift;
        int32_t bits;
        memcpy(&bits, &value, sizeof bits);
        int16_t sample = (int16_t)(bits - shift_bits);
        memcpy(out + 2 * i, &sample, sizeof sample);
    }
}
