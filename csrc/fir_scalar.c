#include <string.h>

#include "fir_kernels.h"

/* Plain loops over whole blocks of outputs, which compilers turn into the baseline's vectors. */
static void block(float *restrict y, const float *plane, const vm_fir_grid *grid, const float *row, size_t start, size_t round)
{
    float acc[VM_FIR_BLOCK] = {0};
    size_t plane_index = start % grid->n_planes;
    const float *x = plane + plane_index * grid->plane_stride + start / grid->n_planes + round;
    const size_t back = grid->n_planes * grid->plane_stride - 1;

    for (size_t i = 0; i < grid->n_taps; i++) {
        float c = row[i];
        for (size_t j = 0; j < VM_FIR_BLOCK; j++) acc[j] += c * x[j];
        x += grid->plane_stride;
        if (++plane_index == grid->n_planes) {
            plane_index = 0;
            x -= back;
        }
    }
    memcpy(y, acc, sizeof acc);
}

void vm_fir_grid_scalar(float *out, const vm_fir_grid *grid, size_t n_rounds)
{
    float y[VM_FIR_BLOCK];
    size_t n_phases = grid->n_phases;
    for (size_t round = 0; round < n_rounds; round += VM_FIR_BLOCK) {
        for (size_t phase = 0; phase < n_phases; phase++) {
            float *to = out + round * n_phases + phase;
            block(y, grid->planes, grid, grid->rows[phase], grid->starts[phase], round);
            for (size_t j = 0; j < VM_FIR_BLOCK; j++) to[j * n_phases] = y[j];
        }
    }
}

float vm_fir_dot_scalar(const float *x, const float *row, size_t n)
{
    float acc[VM_FIR_LANES] = {0};
    for (size_t i = 0; i < n; i += VM_FIR_LANES) {
        for (size_t j = 0; j < VM_FIR_LANES; j++) acc[j] += row[i + j] * x[i + j];
    }
    for (size_t width = VM_FIR_LANES / 2; width > 0; width /= 2) {
        for (size_t j = 0; j < width; j++) acc[j] += acc[j + width];
    }
    return acc[0];
}

void vm_fir_round_scalar(int16_t *dst, const float *src, size_t n)
{
    /* Between 2^23 and 2^24 a float's last bit is 1: adding this leaves the nearest integer in the low bits. */
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
