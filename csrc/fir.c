#include "fir.h"

#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "fir_run.h"
#include "fir_table.h"

typedef enum sample_type { INT16, FLOAT32 } sample_type;

/* The history is the start of the next output's window, in the samples that were given; the window of
 * `n_taps` ends with inputs still to come:
 *
 *   history: | n_held |            needed: n_taps - n_held more inputs for the next output */
struct vm_fir {
    vm_fir_table *table; /* NULL: equal rates */
    float *wide_line;    /* NULL: the stack's is large enough */
    vm_fir_place place;
    uint32_t n_held;
    uint32_t n_piece;
    float history[]; /* room for the widest sample type */
};

static size_t sample_bytes(sample_type type) {
    return type == INT16 ? sizeof(int16_t) : sizeof(float);
}

static uint32_t gcd(uint32_t a, uint32_t b) {
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Floats after the history for a line that is too long for the stack. */
static size_t count_wide(const vm_fir_table *table) {
    if (table->kind != VM_FIR_DOT || table->n_taps <= VM_FIR_MAX_GRID_TAPS) return 0;
    return table->n_taps + VM_FIR_PIECE_IN + VM_FIR_DOT_LANES;
}

static int is_rate(uint32_t hz) {
    return hz >= 1000 && hz <= 192000;
}

vm_fir *vm_fir_new(uint32_t from_hz, uint32_t to_hz, vm_fir_quality quality) {
    if (!is_rate(from_hz) || !is_rate(to_hz) || quality > VM_FIR_HIGH) return NULL;
    if (from_hz == to_hz) return calloc(1, sizeof(vm_fir));

    uint32_t divisor = gcd(from_hz, to_hz);
    vm_fir_table *table = vm_dispatch.fir_table_acquire(to_hz / divisor, from_hz / divisor, quality);
    if (table == NULL) return NULL;

    vm_fir *fir = malloc(sizeof *fir + (table->n_taps + count_wide(table)) * sizeof(float));
    if (fir == NULL) {
        vm_dispatch.fir_table_release(table);
        return NULL;
    }
    uint64_t n_piece = (uint64_t)(VM_FIR_PIECE_OUT - 1) * table->down / table->up;
    fir->table = table;
    fir->wide_line = count_wide(table) > 0 ? fir->history + table->n_taps : NULL;
    fir->n_piece = n_piece < VM_FIR_PIECE_IN ? (uint32_t)n_piece : VM_FIR_PIECE_IN;
    vm_fir_reset(fir);
    return fir;
}

void vm_fir_free(vm_fir *fir) {
    if (fir == NULL) return;
    if (fir->table != NULL) vm_dispatch.fir_table_release(fir->table);
    free(fir);
}

void vm_fir_reset(vm_fir *fir) {
    if (fir->table == NULL) return;
    fir->place = (vm_fir_place){0, 0};
    fir->n_held = fir->table->n_taps - 1;
    memset(fir->history, 0, fir->table->n_taps * sizeof(float));
}

uint32_t vm_fir_latency(const vm_fir *fir) {
    return fir->table == NULL ? 0 : fir->table->latency;
}

size_t vm_fir_state_bytes(const vm_fir *fir) {
    if (fir->table == NULL) return sizeof *fir;
    return sizeof *fir + (fir->table->n_taps + count_wide(fir->table)) * sizeof(float);
}

size_t vm_fir_count(const vm_fir *fir, size_t n) {
    const vm_fir_table *table = fir->table;
    if (table == NULL) return n;
    uint64_t n_available = fir->n_held + (uint64_t)n;
    if (n_available < table->n_taps) return 0;
    uint64_t n_ticks = (n_available - table->n_taps + 1) * table->up; /* at least up, so more than phase */
    return (size_t)((n_ticks - fir->place.phase + table->down - 1) / table->down);
}

size_t vm_fir_max_output(const vm_fir *fir, size_t n) {
    if (fir->table == NULL) return n;
    return (size_t)(((uint64_t)n * fir->table->up + fir->table->down - 1) / fir->table->down);
}

static void to_floats(float *dst, const void *src, sample_type type, size_t n) {
    if (type == INT16) {
        vm_dispatch.fir_widen(dst, src, n);
    } else if (n > 0) {
        memcpy(dst, src, n * sizeof *dst);
    }
}

/* Keep the last `n_keep` samples of history and source; a source that is NULL is silence. */
static void keep(vm_fir *fir, const uint8_t *src, sample_type type, size_t n, size_t n_keep) {
    size_t n_bytes = sample_bytes(type);
    uint8_t *history = (uint8_t *)fir->history;
    size_t n_old = n_keep > n ? n_keep - n : 0, n_new = n_keep - n_old;
    memmove(history, history + (fir->n_held - n_old) * n_bytes, n_old * n_bytes);
    if (src == NULL) {
        memset(history + n_old * n_bytes, 0, n_new * n_bytes);
    } else {
        memcpy(history + n_old * n_bytes, src + (n - n_new) * n_bytes, n_new * n_bytes);
    }
    fir->n_held = (uint32_t)n_keep;
}

/* Take `n` inputs, at most n_piece; return the outputs written, at most `n_wanted`. */
static size_t run_piece(vm_fir *fir, void *dst, const void *src, sample_type type, size_t n,
                        size_t n_wanted) {
    float near_line[VM_FIR_LINE], spare[VM_FIR_LINE], out[VM_FIR_ROOM];
    const vm_fir_table *table = fir->table;
    size_t n_in = fir->n_held + n, n_out = vm_fir_count(fir, n);
    int is_last = n_out > n_wanted; /* of a flush: nothing comes after it */
    if (is_last) n_out = n_wanted;

    size_t n_front = vm_fir_front(table);
    float *line = (fir->wide_line != NULL ? fir->wide_line : near_line) + n_front;
    memset(line - n_front, 0, n_front * sizeof *line);
    to_floats(line, fir->history, type, fir->n_held);
    if (src == NULL) {
        memset(line + fir->n_held, 0, n * sizeof *line);
    } else {
        to_floats(line + fir->n_held, src, type, n);
    }
    memset(line + n_in, 0, vm_fir_back(table, n_in) * sizeof *line);

    vm_fir_piece piece = {line, spare, n_in, n_out};
    vm_fir_run(table, fir->place, &piece, out, type == INT16 ? dst : NULL);
    if (type == FLOAT32) memcpy(dst, out, n_out * sizeof *out);

    uint64_t ticks = fir->place.phase + (uint64_t)n_out * table->down;
    keep(fir, src, type, n, is_last ? 0 : n_in - (size_t)(ticks / table->up));
    fir->place.phase = (uint32_t)(ticks % table->up);
    fir->place.index = (uint32_t)((fir->place.index + (uint64_t)n_out) % table->up);
    return n_out;
}

static size_t push(vm_fir *fir, void *dst, const void *src, sample_type type, size_t n) {
    size_t n_bytes = sample_bytes(type);
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
    size_t n_left = vm_fir_latency(fir);
    uint8_t *to = dst;
    while (n_left > 0) {
        size_t n_out = run_piece(fir, to, NULL, type, fir->n_piece, n_left);
        to += n_out * sample_bytes(type);
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
