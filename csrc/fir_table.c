#include "fir_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__STDC_NO_ATOMICS__) && (!defined(_MSC_VER) || defined(__clang__))
#include <stdatomic.h>
static atomic_flag registry_lock = ATOMIC_FLAG_INIT;
/* Held for a walk over a few entries: spinning is cheap, and works without Python's lock too. */
static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&registry_lock, memory_order_acquire)) {
    }
}
static void unlock(void) {
    atomic_flag_clear_explicit(&registry_lock, memory_order_release);
}
#else /* callers hold Python's lock */
static void lock(void) {}
static void unlock(void) {}
#endif

enum {
    MAX_EXACT = 1 << 18,  /* coefficients of a table with one row for each phase: 1 MiB */
    SPREAD_PHASES = 1024, /* rows in one period of the lower rate: interpolation errors stay below -115 dB */
    MAX_IDLE = 8          /* unused tables kept for the next call */
};

/* A Kaiser-windowed sinc. Frequencies are in units of fn, half the lower rate; the window reaches
 * `half_width` periods of the lower rate to each side, which is the delay. Cutoff and shape were searched for
 * the widest stopband rejection within the ripple allowed: telephone  .85 .. 1.15 fn, 90 dB, ripple 0.01 dB;
 * balanced  .90 .. 1.10 fn, 100 dB, 0.001 dB; high       .91 .. 1.00 fn, 100 dB, 0.001 dB */
typedef struct design {
    uint32_t half_width;
    double cutoff, beta;
} design;
static const design DESIGNS[] = {
    [VM_FIR_TELEPHONE] = {19, 0.992, 9.36},
    [VM_FIR_BALANCED] = {32, 0.998, 10.25},
    [VM_FIR_HIGH] = {71, 0.9541, 10.2},
};

static vm_fir_table *registry;

/* Modified Bessel function of the first kind, order 0, by its power series: all terms are positive. */
static double bessel_i0(double x) {
    double quarter = x * x / 4, term = 1, sum = 1;
    for (int k = 1; term > sum * 1e-17; k++) {
        term *= quarter / ((double)k * k);
        sum += term;
    }
    return sum;
}

static void fill_row(float *row, double *taps, const vm_fir_table *table, double phase) {
    const double pi = 3.14159265358979323846;
    const design *d = &DESIGNS[table->quality];
    double center = (double)table->latency * table->down / table->up;
    double scale = table->up < table->down ? (double)table->up / table->down : 1.0;
    double sum = 0;

    for (uint32_t i = 0; i < table->n_taps; i++) {
        double offset = (double)(table->n_taps - 1 - i) + phase - center; /* newest input last */
        double edge = 1 - (offset / center) * (offset / center);
        double x = pi * d->cutoff * scale * offset;
        double sinc = fabs(x) < 1e-9 ? 1.0 : sin(x) / x;
        taps[i] = edge < 0 ? 0.0 : sinc * bessel_i0(d->beta * sqrt(edge));
        sum += taps[i];
    }
    for (uint32_t i = 0; i < table->n_taps; i++)
        row[i] = (float)(taps[i] / sum);
}

static vm_fir_table *create(uint32_t up, uint32_t down, vm_fir_quality quality) {
    uint64_t half_width = DESIGNS[quality].half_width;
    uint64_t latency = up <= down ? half_width : (half_width * up + down - 1) / down;
    uint64_t n_taps = 2 * latency * down / up + 1;
    uint64_t row_stride = (n_taps + VM_FIR_LANES - 1) / VM_FIR_LANES * VM_FIR_LANES;
    uint64_t n_rows = up;
    int spread = up * row_stride > MAX_EXACT;
    if (spread) n_rows = (up < down ? SPREAD_PHASES * (uint64_t)up / down + 1 : SPREAD_PHASES) + 1;

    vm_fir_table *table = calloc(1, sizeof *table + (size_t)(n_rows * row_stride) * sizeof(float));
    double *taps = malloc((size_t)n_taps * sizeof *taps);
    if (table == NULL || taps == NULL) {
        free(table);
        free(taps);
        return NULL;
    }
    table->up = up;
    table->down = down;
    table->quality = quality;
    table->latency = (uint32_t)latency;
    table->n_taps = (uint32_t)n_taps;
    table->row_stride = (uint32_t)row_stride;
    table->n_rows = (uint32_t)n_rows;
    table->spread = spread;
    double n_phases = (double)(spread ? n_rows - 1 : n_rows);
    for (uint32_t row = 0; row < n_rows; row++)
        fill_row(table->rows + row * row_stride, taps, table, row / n_phases);
    free(taps);
    return table;
}

static vm_fir_table *find(uint32_t up, uint32_t down, vm_fir_quality quality) {
    for (vm_fir_table *table = registry; table != NULL; table = table->next) {
        if (table->up == up && table->down == down && table->quality == quality) {
            table->n_users++;
            return table;
        }
    }
    return NULL;
}

vm_fir_table *vm_fir_table_acquire(uint32_t up, uint32_t down, vm_fir_quality quality) {
    lock();
    vm_fir_table *table = find(up, down, quality);
    unlock();
    if (table != NULL) return table;

    vm_fir_table *made = create(up, down, quality);
    if (made == NULL) return NULL;
    lock();
    table = find(up, down, quality); /* another thread may have been faster */
    if (table == NULL) {
        made->n_users = 1;
        made->next = registry;
        registry = made;
        table = made;
        made = NULL;
    }
    unlock();
    free(made);
    return table;
}

void vm_fir_table_release(vm_fir_table *table) {
    vm_fir_table *surplus = NULL;
    lock();
    table->n_users--;
    uint32_t n_idle = 0;
    for (vm_fir_table **link = &registry; *link != NULL; link = &(*link)->next) {
        if ((*link)->n_users > 0) continue;
        if (++n_idle > MAX_IDLE) { /* new tables come in front: the last idle one is the oldest */
            surplus = *link;
            *link = surplus->next;
            break;
        }
    }
    unlock();
    free(surplus);
}
