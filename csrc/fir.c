#include "fir.h"

#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "fir_kernels.h"
#include "fir_table.h"

enum {
    PIECE_IN = 512,   /* inputs taken at a time */
    PIECE_OUT = 1024, /* and outputs */
    OUT_ROOM = PIECE_OUT + VM_FIR_BLOCK * VM_FIR_MAX_PHASES,
    PLANE_SLACK = VM_FIR_BLOCK + 2, /* a last block reads this far past a plane's end */
    SCRATCH = VM_FIR_MAX_GRID_TAPS + PIECE_IN + PLANE_SLACK * VM_FIR_MAX_PHASES + VM_FIR_LANES
};

/* The history is the start of the next output's window; the window of `n_taps` ends with inputs still to
 * come:
 *
 *   history: | n_held |            needed: n_taps - n_held more inputs for the next output
 *
 * The next output lies at phase / up behind its window's newest input. */
struct vm_fir {
    vm_fir_table *table; /* NULL: equal rates */
    float *wide_scratch; /* NULL: the stack's is large enough */
    uint32_t phase;
    uint32_t n_held;
    uint32_t n_piece;
    int grid;
    float history[];
};

typedef enum sample_type { INT16, FLOAT32 } sample_type;

static uint32_t gcd(uint32_t a, uint32_t b) {
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

vm_fir *vm_fir_new(uint32_t from_hz, uint32_t to_hz, vm_fir_quality quality) {
    if (from_hz == to_hz) return calloc(1, sizeof(vm_fir));

    uint32_t divisor = gcd(from_hz, to_hz);
    vm_fir_table *table = vm_fir_table_acquire(to_hz / divisor, from_hz / divisor, quality);
    if (table == NULL) return NULL;

    size_t n_history = table->n_taps - 1;
    size_t n_wide = table->n_taps > VM_FIR_MAX_GRID_TAPS ? n_history + PIECE_IN + VM_FIR_LANES : 0;
    vm_fir *fir = calloc(1, sizeof *fir + (n_history + n_wide) * sizeof(float));
    if (fir == NULL) {
        vm_fir_table_release(table);
        return NULL;
    }
    fir->table = table;
    fir->wide_scratch = n_wide > 0 ? fir->history + n_history : NULL;
    fir->grid = table->up <= VM_FIR_MAX_PHASES && table->down <= VM_FIR_MAX_PHASES && n_wide == 0;
    uint32_t n_piece = (uint32_t)((uint64_t)(PIECE_OUT - 1) * table->down / table->up);
    fir->n_piece = n_piece < PIECE_IN ? n_piece : PIECE_IN;
    vm_fir_reset(fir);
    return fir;
}

void vm_fir_free(vm_fir *fir) {
    if (fir == NULL) return;
    if (fir->table != NULL) vm_fir_table_release(fir->table);
    free(fir);
}

void vm_fir_reset(vm_fir *fir) {
    if (fir->table == NULL) return;
    fir->phase = 0;
    fir->n_held = fir->table->n_taps - 1;
    memset(fir->history, 0, fir->n_held * sizeof(float));
}

uint32_t vm_fir_latency(const vm_fir *fir) {
    return fir->table == NULL ? 0 : fir->table->latency;
}

size_t vm_fir_state_bytes(const vm_fir *fir) {
    size_t n_floats = 0;
    if (fir->table != NULL) n_floats = fir->table->n_taps - 1;
    if (fir->wide_scratch != NULL) n_floats += fir->table->n_taps - 1 + PIECE_IN + VM_FIR_LANES;
    return sizeof *fir + n_floats * sizeof(float);
}

size_t vm_fir_count(const vm_fir *fir, size_t n) {
    const vm_fir_table *table = fir->table;
    if (table == NULL) return n;
    uint64_t n_available = fir->n_held + (uint64_t)n;
    if (n_available < table->n_taps) return 0;
    uint64_t n_ticks = (n_available - table->n_taps + 1) * table->up; /* at least up, so more than phase */
    return (size_t)((n_ticks - fir->phase + table->down - 1) / table->down);
}

size_t vm_fir_max_output(const vm_fir *fir, size_t n) {
    if (fir->table == NULL) return n;
    return (size_t)(((uint64_t)n * fir->table->up + fir->table->down - 1) / fir->table->down);
}

/* --- moving samples: `to[i]` for sample first + i * step of the source; NULL is silence
 * ----------------------------- */

static inline void load(float *to, const void *src, sample_type type, size_t first, size_t step, size_t n) {
    if (src == NULL) {
        memset(to, 0, n * sizeof *to);
    } else if (type == INT16) {
        const uint8_t *in = (const uint8_t *)src + 2 * first;
        for (size_t i = 0; i < n; i++) {
            int16_t sample;
            memcpy(&sample, in + 2 * i * step, sizeof sample);
            to[i] = sample;
        }
    } else {
        const uint8_t *in = (const uint8_t *)src + 4 * first;
        for (size_t i = 0; i < n; i++)
            memcpy(to + i, in + 4 * i * step, sizeof *to);
    }
}

/* Lay history and new samples one after another; zeros behind them. */
static void load_line(float *line, const vm_fir *fir, const void *src, sample_type type, size_t n,
                      size_t n_zeros) {
    memcpy(line, fir->history, fir->n_held * sizeof *line);
    load(line + fir->n_held, src, type, 0, 1, n);
    memset(line + fir->n_held + n, 0, n_zeros * sizeof *line);
}

/* The same, dealt onto planes. */
static inline void deal(float *planes, size_t stride, size_t n_planes, const vm_fir *fir, const void *src,
                        sample_type type, size_t n) {
    size_t n_held = fir->n_held;
    for (size_t plane = 0; plane < n_planes; plane++) {
        float *to = planes + plane * stride;
        size_t n_old = (n_held + n_planes - 1 - plane) / n_planes;
        size_t n_all = (n_held + n + n_planes - 1 - plane) / n_planes;
        for (size_t i = 0; i < n_old; i++)
            to[i] = fir->history[i * n_planes + plane];
        load(to + n_old, src, type, n_old * n_planes + plane - n_held, n_planes, n_all - n_old);
        memset(to + n_all, 0, (stride - n_all) * sizeof *to);
    }
}

static inline void gather(float *to, const float *planes, size_t stride, size_t n_planes, size_t first,
                          size_t n) {
    for (size_t offset = 0; offset < n_planes; offset++) {
        const float *from = planes + (first + offset) % n_planes * stride + (first + offset) / n_planes;
        for (size_t i = offset; i < n; i += n_planes)
            to[i] = *from++;
    }
}

/* --- one piece: compute `n_out` outputs of what is there, keep what later ones need
 * ---------------------------------- */

/* Ratios of small numbers: across outputs. */
static void run_grid(vm_fir *fir, float *out, size_t n_out, const void *src, sample_type type, size_t n,
                     size_t n_keep) {
    _Alignas(64) float planes[SCRATCH];
    const vm_fir_table *table = fir->table;
    size_t n_all = fir->n_held + n;
    size_t n_planes = table->down;
    size_t stride = n_all / n_planes + PLANE_SLACK;

    vm_fir_grid grid = {
        .planes = planes,
        .plane_stride = stride,
        .n_planes = n_planes,
        .n_phases = table->up,
        .n_taps = table->n_taps,
    };
    for (uint32_t i = 0; i < table->up; i++) {
        uint32_t ticks = fir->phase + i * table->down;
        grid.rows[i] = table->rows + (size_t)(ticks % table->up) * table->row_stride;
        grid.starts[i] = ticks / table->up;
    }

    switch (n_planes) { /* a constant stride makes these loops fast */
    case 1:
        load_line(planes, fir, src, type, n, PLANE_SLACK);
        break;
    case 2:
        deal(planes, stride, 2, fir, src, type, n);
        break;
    case 3:
        deal(planes, stride, 3, fir, src, type, n);
        break;
    default:
        deal(planes, stride, n_planes, fir, src, type, n);
        break;
    }
    vm_dispatch.fir_grid(out, &grid, (n_out + table->up - 1) / table->up);
    switch (n_planes) {
    case 1:
        memcpy(fir->history, planes + n_all - n_keep, n_keep * sizeof(float));
        break;
    case 2:
        gather(fir->history, planes, stride, 2, n_all - n_keep, n_keep);
        break;
    default:
        gather(fir->history, planes, stride, n_planes, n_all - n_keep, n_keep);
        break;
    }
}

/* All others: a dot product for each output. */
static void run_line(vm_fir *fir, float *out, size_t n_out, const void *src, sample_type type, size_t n,
                     size_t n_keep) {
    _Alignas(64) float narrow[SCRATCH];
    const vm_fir_table *table = fir->table;
    float *line = fir->wide_scratch != NULL ? fir->wide_scratch : narrow;
    size_t stride = table->row_stride;

    load_line(line, fir, src, type, n, VM_FIR_LANES);
    const uint32_t whole_step = table->down / table->up, part_step = table->down % table->up;
    uint64_t phase = fir->phase;
    const float *x = line;
    for (size_t k = 0; k < n_out; k++) {
        if (table->spread) {
            uint64_t position = phase * (table->n_rows - 1);
            const float *row = table->rows + (size_t)(position / table->up) * stride;
            float share = (float)(position % table->up) / (float)table->up;
            float low = vm_dispatch.fir_dot(x, row, stride);
            float high = vm_dispatch.fir_dot(x, row + stride, stride);
            out[k] = low + share * (high - low);
        } else {
            out[k] = vm_dispatch.fir_dot(x, table->rows + (size_t)phase * stride, stride);
        }
        x += whole_step;
        phase += part_step;
        if (phase >= table->up) {
            phase -= table->up;
            x++;
        }
    }
    memcpy(fir->history, line + fir->n_held + n - n_keep, n_keep * sizeof(float));
}

static size_t run_piece(vm_fir *fir, void *dst, const void *src, sample_type type, size_t n,
                        size_t n_wanted) {
    _Alignas(64) float out[OUT_ROOM];
    const vm_fir_table *table = fir->table;
    size_t n_out = vm_fir_count(fir, n);
    int last = n_out > n_wanted; /* of a flush: nothing comes after it */
    if (last) n_out = n_wanted;

    uint64_t ticks = fir->phase + (uint64_t)n_out * table->down;
    size_t n_keep = last ? 0 : fir->n_held + n - (size_t)(ticks / table->up);
    if (fir->grid) {
        run_grid(fir, out, n_out, src, type, n, n_keep);
    } else {
        run_line(fir, out, n_out, src, type, n, n_keep);
    }
    fir->n_held = (uint32_t)n_keep;
    fir->phase = (uint32_t)(ticks % table->up);

    if (type == INT16) {
        vm_dispatch.fir_round(dst, out, n_out);
    } else {
        memcpy(dst, out, n_out * sizeof *out);
    }
    return n_out;
}

static size_t push(vm_fir *fir, void *dst, const void *src, sample_type type, size_t n) {
    size_t n_bytes = type == INT16 ? 2 : 4;
    if (fir->table == NULL) {
        if (n > 0) memcpy(dst, src, n * n_bytes);
        return n;
    }
    uint8_t *to = dst;
    const uint8_t *from = src;
    while (n > 0) {
        size_t n_piece = n < fir->n_piece ? n : fir->n_piece;
        to += run_piece(fir, to, from, type, n_piece, SIZE_MAX) * n_bytes;
        from += n_piece * n_bytes;
        n -= n_piece;
    }
    return (size_t)(to - (uint8_t *)dst) / n_bytes;
}

static size_t flush(vm_fir *fir, void *dst, sample_type type) {
    size_t n_bytes = type == INT16 ? 2 : 4;
    size_t n_left = vm_fir_latency(fir);
    uint8_t *to = dst;
    while (n_left > 0) {
        size_t n_out = run_piece(fir, to, NULL, type, fir->n_piece, n_left);
        to += n_out * n_bytes;
        n_left -= n_out;
    }
    vm_fir_reset(fir);
    return vm_fir_latency(fir);
}

size_t vm_fir_push(vm_fir *fir, int16_t *dst, const int16_t *src, size_t n) {
    return push(fir, dst, src, INT16, n);
}
size_t vm_fir_push_f32(vm_fir *fir, float *dst, const float *src, size_t n) {
    return push(fir, dst, src, FLOAT32, n);
}
size_t vm_fir_flush(vm_fir *fir, int16_t *dst) {
    return flush(fir, dst, INT16);
}
size_t vm_fir_flush_f32(vm_fir *fir, float *dst) {
    return flush(fir, dst, FLOAT32);
}
