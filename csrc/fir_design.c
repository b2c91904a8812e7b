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
 * the work of 1:2 and 2:1 is gone. For this a window may be bent a little: it is, with u = (time / reach)^2,
 *
 *   I0(beta * (1 - u)^root) * (1 + bend[0] * u + bend[1] * u^2 + bend[2] * u^3 + bend[3] * u^4)
 *
 * where Kaiser's has the reach half_width, the root 1/2, and is not bent. All were searched for the widest
 * rejection. Pass .. stop band, rejection of what the stop band holds, ripple:
 *
 *   telephone  .85 .. 1.15 fn,  90 dB (from 1.54 fn on  99 dB), 0.0003 dB
 *   balanced   .90 .. 1.10 fn, 100 dB (from 1.54 fn on 112 dB), 0.0001 dB
 *   high       .91 .. 1.00 fn, 100 dB, 0.001 dB */
enum { BENDS = 4 };
typedef struct design {
    uint32_t half_width;
    double cutoff, reach, root, beta, bend[BENDS];
} design;
static const design DESIGNS[] = {
    [VM_FIR_TELEPHONE] = {19, 1.0, 19.0946, 0.4231, 9.3189, {-0.5345, 0.159, -0.0175, 0.0618}},
    [VM_FIR_BALANCED] = {32, 1.0, 32.0238, 0.4506, 10.1884, {-0.407, 0.0993, -0.0181, 0.0564}},
    [VM_FIR_HIGH] = {71, 0.9541, 71.0, 0.50, 10.2, {0}},
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

static double prototype(const design *d, double periods) {
    const double pi = 3.14159265358979323846;
    if (fabs(periods) >= d->half_width) return 0;
    double u = periods * periods / (d->reach * d->reach);
    double bent = 0;
    for (int i = BENDS; i-- > 0;)
        bent = (bent + d->bend[i]) * u;
    double window = bessel_i0(d->beta * pow(1 - u, d->root)) * (1 + bent);
    double x = d->cutoff * periods;
    if (fabs(x) < 1e-9) return window;
    if (fabs(x - round(x)) < 1e-9) return 0; /* a zero of the sinc, exactly */
    return sin(pi * x) / (pi * x) * window;
}

/* Taps of an output that lies `phase` (0..1) of an input behind its newest input, oldest first. Their sum is
 * 1: constant stays constant whatever the phase. */
static void fill_row(double *taps, const vm_fir_table *table, double phase) {
    const design *d = &DESIGNS[table->quality];
    double center = (double)table->latency * table->down / table->up;
    double scale = table->up < table->down ? (double)table->up / table->down : 1.0;
    double sum = 0;
    for (uint32_t i = 0; i < table->n_taps; i++) {
        taps[i] = prototype(d, scale * ((double)(table->n_taps - 1 - i) + phase - center));
        sum += taps[i];
    }
    for (uint32_t i = 0; i < table->n_taps; i++)
        taps[i] /= sum;
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

static void fill_grid(vm_fir_table *table, double *taps) {
    size_t n_phase = (size_t)VM_FIR_BLOCK * table->down * table->n_groups;
    for (uint32_t phase = 0; phase < table->up; phase++) {
        fill_row(taps, table, (double)phase / table->up);
        fill_phase(table, phase, table->coefs + phase * n_phase, taps);
    }
}

static void fill_lanes(vm_fir_table *table, double *taps) {
    for (uint32_t output = 0; output < table->up; output++) {
        uint32_t block = output / VM_FIR_BLOCK, lane = output % VM_FIR_BLOCK;
        uint64_t ticks = (uint64_t)output * table->down;
        uint64_t start = ticks / table->up - (uint64_t)block * VM_FIR_BLOCK * table->down / table->up;
        float *coefs = table->coefs + ((size_t)block * table->n_block_taps + (size_t)start) * VM_FIR_BLOCK;
        fill_row(taps, table, (double)(ticks % table->up) / table->up);
        for (uint32_t i = 0; i < table->n_taps; i++)
            coefs[i * VM_FIR_BLOCK + lane] = (float)taps[i];
    }
}

static void fill_dot(vm_fir_table *table, double *taps) {
    double n_phases = (double)(table->spread ? table->n_rows - 1 : table->n_rows);
    for (uint32_t row = 0; row < table->n_rows; row++) {
        float *coefs = table->coefs + (size_t)row * table->row_stride;
        fill_row(taps, table, row / n_phases);
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
    double *taps = malloc(layout.n_taps * sizeof *taps);
    if (table == NULL || taps == NULL) {
        free(table);
        free(taps);
        return NULL;
    }
    *table = layout;
    table->coefs = (float *)(((uintptr_t)(table + 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    switch (table->kind) {
    case VM_FIR_GRID:
        fill_grid(table, taps);
        break;
    case VM_FIR_LANES:
        fill_lanes(table, taps);
        break;
    case VM_FIR_DOT:
        fill_dot(table, taps);
        break;
    }
    free(taps);
    return table;
}
