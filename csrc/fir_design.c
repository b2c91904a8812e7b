#include <math.h>
#include <stdlib.h>

#include "fir_table.h"

enum {
    MAX_EXACT = 1 << 18,  /* coefficients of a table with one row for each phase: 1 MiB */
    SPREAD_PHASES = 1024, /* rows in one period of the lower rate: interpolation errors stay below -115 dB */
    ALIGNMENT = 64
};

/* A sinc under a Kaiser window. Times are in periods of the lower rate, frequencies in units of fn, half the
 * lower rate. The filter reaches `half_width` periods to each side, which is the delay. With its cutoff at fn
 * the sinc is zero at every whole period but one: an output that falls on an input is that input, and half of
 * the work of 1:2 and 2:1 is gone. There the window is bent a little, by 1 + tilt * (time / half_width)^2.
 * beta and tilt were searched for the widest rejection, and more of it from 1.54 fn on, where the images of
 * the lower half of the band are; pass .. stop band, rejection, ripple:
 *
 *   telephone  .85 .. 1.15 fn,  90 dB (from 1.54 fn on 100 dB), 0.0003 dB
 *   balanced   .90 .. 1.10 fn, 100 dB (from 1.54 fn on 112 dB), 0.0001 dB
 *   high       .91 .. 1.00 fn, 100 dB, 0.001 dB */
typedef struct design {
    uint32_t half_width;
    double cutoff, beta, tilt;
} design;
static const design DESIGNS[] = {
    [VM_FIR_TELEPHONE] = {19, 1.0, 8.8594, -0.0205},
    [VM_FIR_BALANCED] = {32, 1.0, 9.9411, -0.0223},
    [VM_FIR_HIGH] = {71, 0.9541, 10.2, 0},
};

/* Modified Bessel function of the first kind, order 0, by its power series: all terms are positive. */
static double bessel_i0(double x) {
    double quarter = x * x / 4, term = 1, sum = 1;
    for (int k = 1; term > sum * 1e-17; k++) {
        term *= quarter / ((double)k * k);
        sum += term;
    }
    return sum;
}

static double window_at(const design *d, double periods) {
    double u = periods * periods / ((double)d->half_width * d->half_width);
    return u < 1 ? bessel_i0(d->beta * sqrt(1 - u)) * (1 + d->tilt * u) : 0;
}

/* Taps of an output that lies `phase` (0..1) of an input behind its newest input, oldest first; `shape` is
 * scratch for as many. Their sum is 1: constant stays constant whatever the phase. What the sum lacks is
 * added in the shape of the window, a low-pass far narrower than the filter, which disturbs the stop band
 * only where the images of DC are; scaling each phase would lift all of it. Zeros of the sinc stay zero. */
static void fill_row(double *taps, double *shape, const vm_fir_table *table, double phase) {
    const double pi = 3.14159265358979323846;
    const design *d = &DESIGNS[table->quality];
    double center = (double)table->latency * table->down / table->up;
    double scale = table->up < table->down ? (double)table->up / table->down : 1.0;
    double gain = scale * d->cutoff / bessel_i0(d->beta), sum = 0, shape_sum = 0;
    for (uint32_t i = 0; i < table->n_taps; i++) {
        double periods = scale * ((double)(table->n_taps - 1 - i) + phase - center);
        double x = d->cutoff * periods, window = window_at(d, periods);
        int is_whole = fabs(x - round(x)) < 1e-9;
        shape[i] = is_whole ? 0 : window;
        taps[i] = gain * window * (is_whole ? fabs(x) < 0.5 : sin(pi * x) / (pi * x));
        sum += taps[i];
        shape_sum += shape[i];
    }
    for (uint32_t i = 0; i < table->n_taps && shape_sum > 0; i++)
        taps[i] += (1 - sum) / shape_sum * shape[i];
}

static void fill_phase(vm_fir_table *table, uint32_t number, float *coefs, const double *taps) {
    vm_fir_phase *phase = &table->phases[number];
    phase->coefs = coefs;
    for (uint32_t plane = 0; plane < table->down; plane++) {
        uint32_t n_nonzero = 0, last = 0;
        for (uint32_t i = plane; i < table->n_taps; i += table->down) {
            if ((float)taps[i] == 0.0f) continue;
            n_nonzero++;
            last = i;
        }
        if (n_nonzero == 1 && phase->lone == 0.0f) {
            phase->lone_tap = last;
            phase->lone = (float)taps[last];
        } else if (n_nonzero > 0) {
            phase->dense[phase->n_dense++] = (uint8_t)plane;
        }
    }
    for (uint32_t d = 0; d < phase->n_dense; d++) {
        for (uint32_t i = phase->dense[d], n = 0; i < table->n_taps; i += table->down, n++) {
            uint32_t group = n / VM_FIR_BLOCK, residue = n % VM_FIR_BLOCK;
            coefs[(residue * phase->n_dense + d) * table->n_groups + group] = (float)taps[i];
        }
    }
}

static void fill_grid(vm_fir_table *table, double *taps, double *shape) {
    size_t n_phase = (size_t)VM_FIR_BLOCK * table->down * table->n_groups;
    for (uint32_t phase = 0; phase < table->up; phase++) {
        fill_row(taps, shape, table, (double)phase / table->up);
        fill_phase(table, phase, table->coefs + phase * n_phase, taps);
    }
}

static void fill_lanes(vm_fir_table *table, double *taps, double *shape) {
    for (uint32_t output = 0; output < table->up; output++) {
        uint32_t block = output / VM_FIR_BLOCK, lane = output % VM_FIR_BLOCK;
        uint64_t ticks = (uint64_t)output * table->down;
        uint64_t start = ticks / table->up - (uint64_t)block * VM_FIR_BLOCK * table->down / table->up;
        float *coefs = table->coefs + ((size_t)block * table->n_block_taps + (size_t)start) * VM_FIR_BLOCK;
        fill_row(taps, shape, table, (double)(ticks % table->up) / table->up);
        for (uint32_t i = 0; i < table->n_taps; i++)
            coefs[i * VM_FIR_BLOCK + lane] = (float)taps[i];
    }
}

static void fill_dot(vm_fir_table *table, double *taps, double *shape) {
    double n_phases = (double)(table->spread ? table->n_rows - 1 : table->n_rows);
    for (uint32_t row = 0; row < table->n_rows; row++) {
        float *coefs = table->coefs + (size_t)row * table->row_stride;
        fill_row(taps, shape, table, row / n_phases);
        for (uint32_t i = 0; i < table->n_taps; i++)
            coefs[i] = (float)taps[i];
    }
}

static uint64_t round_up(uint64_t n, uint64_t step) {
    return (n + step - 1) / step * step;
}

/* Choose the kind and its sizes; return the coefficients it needs. */
static uint64_t lay_out(vm_fir_table *table) {
    uint32_t up = table->up, down = table->down;

    if (up <= VM_FIR_MAX_PHASES && down <= VM_FIR_MAX_PHASES && table->n_taps <= VM_FIR_MAX_GRID_TAPS) {
        table->kind = VM_FIR_GRID;
        table->n_plane_taps = (table->n_taps + down - 1) / down;
        table->n_groups = (table->n_plane_taps + VM_FIR_BLOCK - 1) / VM_FIR_BLOCK;
        return (uint64_t)up * VM_FIR_BLOCK * down * table->n_groups;
    }
    uint64_t n_blocks = round_up(up, VM_FIR_BLOCK) / VM_FIR_BLOCK;
    uint64_t n_later =
        (uint64_t)(VM_FIR_BLOCK - 1) * down / up + 1; /* from the first window's start to the last's */
    uint64_t n_block_taps = round_up(table->n_taps + n_later, VM_FIR_PARTIALS);
    uint64_t n_coefs = n_blocks * n_block_taps * VM_FIR_BLOCK;
    if (up >= VM_FIR_MIN_LANE_PHASES && n_coefs <= MAX_EXACT &&
        n_block_taps + n_later <= VM_FIR_MAX_GRID_TAPS) {
        table->kind = VM_FIR_LANES;
        table->n_blocks = (uint32_t)n_blocks;
        table->n_block_taps = (uint32_t)n_block_taps;
        return n_coefs;
    }
    table->kind = VM_FIR_DOT;
    table->row_stride = (uint32_t)round_up(table->n_taps, VM_FIR_DOT_LANES);
    table->spread = (uint64_t)up * table->row_stride > MAX_EXACT;
    uint64_t n_rows = up;
    if (table->spread) n_rows = (up < down ? SPREAD_PHASES * (uint64_t)up / down + 1 : SPREAD_PHASES) + 1;
    table->n_rows = (uint32_t)n_rows;
    return n_rows * table->row_stride;
}

vm_fir_table *vm_fir_design(uint32_t up, uint32_t down, vm_fir_quality quality) {
    uint64_t half_width = DESIGNS[quality].half_width;
    uint64_t latency = up <= down ? half_width : (half_width * up + down - 1) / down;
    vm_fir_table layout = {
        .up = up,
        .down = down,
        .quality = quality,
        .latency = (uint32_t)latency,
        .n_taps = (uint32_t)((2 * latency * down + up - 1) / up), /* beyond it the filter is zero */
    };
    uint64_t n_coefs = lay_out(&layout);

    vm_fir_table *table = calloc(1, sizeof *table + ALIGNMENT + (size_t)n_coefs * sizeof(float));
    double *taps = malloc(2 * layout.n_taps * sizeof *taps);
    if (table == NULL || taps == NULL) {
        free(table);
        free(taps);
        return NULL;
    }
    *table = layout;
    table->coefs = (float *)(((uintptr_t)(table + 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    switch (table->kind) {
    case VM_FIR_GRID:
        fill_grid(table, taps, taps + layout.n_taps);
        break;
    case VM_FIR_LANES:
        fill_lanes(table, taps, taps + layout.n_taps);
        break;
    case VM_FIR_DOT:
        fill_dot(table, taps, taps + layout.n_taps);
        break;
    }
    free(taps);
    return table;
}
