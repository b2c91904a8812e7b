#include "fir_run.h"

#include <string.h>

#include "dispatch.h"
#include "fir_tail.h"

/* From the start of the first window of a block of lanes to that of the last. */
static size_t lanes_spread(const vm_fir_table *table) {
    return (size_t)((uint64_t)(VM_FIR_BLOCK - 1) * table->down / table->up) + 1;
}

size_t vm_fir_front(const vm_fir_table *table) {
    return table->kind == VM_FIR_LANES ? lanes_spread(table) : 0;
}

size_t vm_fir_back(const vm_fir_table *table, size_t n_in) {
    switch (table->kind) {
    case VM_FIR_GRID: { /* whole rounds, and what a last block reads */
        size_t n_rounds = (n_in + table->down - 1) / table->down + VM_FIR_PLANE_SLACK;
        return n_rounds * table->down - n_in;
    }
    case VM_FIR_LANES:
        return lanes_spread(table) + VM_FIR_PARTIALS;
    default:
        return VM_FIR_DOT_LANES;
    }
}

/* --- grid --- */

typedef struct planes {
    const float *first;
    size_t stride, n;
} planes;

/* Input `i` of the line, where a run of its plane begins. */
static inline const float *at(const planes *dealt, size_t i) {
    return dealt->first + i % dealt->n * dealt->stride + i / dealt->n;
}

/* Deal `n_rounds * n` inputs onto n planes. A number made of two factors of 2 and 3 takes two steps:
 * i % 6 == i % 3 + i / 3 % 2 * 3. */
static planes deal(float *line, float *spare, size_t n, size_t n_rounds) {
    planes dealt = {spare, n_rounds, n};
    size_t n_first = n % 3 == 0 ? 3 : 2, n_second = n / n_first;
    vm_fir_deal2_kernel *first = n_first == 3 ? vm_dispatch.fir_deal3 : vm_dispatch.fir_deal2;

    if (n == 1) {
        dealt.first = line;
    } else if (n_second == 1) {
        first(spare, n_rounds, line, n_rounds);
    } else if (n_first * n_second == n && (n_second == 2 || n_second == 3)) {
        vm_fir_deal2_kernel *second = n_second == 3 ? vm_dispatch.fir_deal3 : vm_dispatch.fir_deal2;
        size_t n_inner = n_rounds * n_second;
        first(spare, n_inner, line, n_inner);
        for (size_t i = 0; i < n_first; i++)
            second(line + i * n_rounds, n_first * n_rounds, spare + i * n_inner, n_rounds);
        dealt.first = line;
    } else {
        tail_deal(spare, n_rounds, line, n_rounds, n);
    }
    return dealt;
}

/* The outputs of one phase in all rounds. */
static void run_phase(float *y, const vm_fir_table *table, const planes *dealt, const vm_fir_phase *phase,
                      size_t start, size_t n_blocks) {
    const float *x[VM_FIR_MAX_PHASES];
    for (size_t d = 0; d < phase->n_dense; d++)
        x[d] = at(dealt, start + phase->dense[d]);

    /* Evenly, so that none is left with few taps for each load. The order of terms depends on it. */
    size_t n_chunks = (table->n_groups + VM_FIR_CHUNK - 1) / VM_FIR_CHUNK;
    size_t n_most = (table->n_groups + n_chunks - 1) / n_chunks * VM_FIR_BLOCK;
    vm_fir_line line = {
        .x = x,
        .coefs = phase->coefs,
        .n_planes = phase->n_dense,
        .stride = table->n_groups,
        .n_blocks = n_blocks,
        .lone = phase->lone != 0.0f ? at(dealt, start + phase->lone_tap) : NULL,
        .lone_coef = phase->lone,
    };
    for (size_t n_left = table->n_plane_taps; n_left > 0; n_left -= line.n_taps) {
        line.n_taps = n_left < n_most ? n_left : n_most;
        vm_dispatch.fir_line(y, &line);
        if (phase->n_dense == 0) break;
        line.adds = 1;
        line.coefs += n_most / VM_FIR_BLOCK;
        for (size_t d = 0; d < phase->n_dense; d++)
            x[d] += n_most;
    }
}

/* Take outputs in the order of time from one line for each phase. */
static void weave(float *out, const float *lines, size_t stride, size_t n_phases, size_t n) {
    for (size_t phase = 0; phase < n_phases; phase++) {
        const float *from = lines + phase * stride;
        for (size_t i = phase; i < n; i += n_phases)
            out[i] = *from++;
    }
}

static void run_grid(const vm_fir_table *table, vm_fir_place place, const vm_fir_piece *piece, float *out,
                     int16_t *pcm) {
    float lines[VM_FIR_ROOM];
    size_t up = table->up, n_out = piece->n_out;
    size_t n_blocks = (n_out + up * VM_FIR_BLOCK - 1) / (up * VM_FIR_BLOCK);
    size_t stride = n_blocks * VM_FIR_BLOCK;
    size_t n_rounds = (piece->n_in + vm_fir_back(table, piece->n_in)) / table->down;
    planes dealt = deal(piece->line, piece->spare, table->down, n_rounds);
    float *y = up == 1 ? out : lines;

    for (size_t i = 0; i < up; i++) {
        size_t ticks = place.phase + i * table->down;
        run_phase(y + i * stride, table, &dealt, &table->phases[ticks % up], ticks / up, n_blocks);
    }
    if (pcm != NULL && up == 2) {
        vm_dispatch.fir_round2(pcm, lines, lines + stride, n_out / 2);
        if (n_out % 2 == 1)
            vm_dispatch.fir_round((void *)((char *)pcm + 2 * (n_out - 1)), lines + n_out / 2, 1);
        return;
    }
    if (up > 1) weave(out, lines, stride, up, n_out);
    if (pcm != NULL) vm_dispatch.fir_round(pcm, out, n_out);
}

/* --- lanes --- */

enum { MAX_COLUMNS = 4 };

static void run_lanes(const vm_fir_table *table, vm_fir_place place, const vm_fir_piece *piece, float *out) {
    size_t up = table->up, down = table->down;
    size_t index = place.index, n_once = piece->n_out < up ? piece->n_out : up;
    const float *window = piece->line; /* of output k */

    for (size_t k = 0, n; k < n_once; k += n) {
        size_t block = index / VM_FIR_BLOCK, lane = index % VM_FIR_BLOCK;
        size_t start = index * down / up, block_start = block * VM_FIR_BLOCK * down / up;
        n = VM_FIR_BLOCK - lane < up - index ? VM_FIR_BLOCK - lane : up - index;
        if (n > n_once - k) n = n_once - k;

        /* The same block of all periods in this piece. */
        size_t n_columns = (piece->n_out - k + up - 1) / up;
        for (size_t column = 0, n_some; column < n_columns; column += n_some) {
            float y[MAX_COLUMNS * VM_FIR_BLOCK];
            n_some = n_columns - column < MAX_COLUMNS ? n_columns - column : MAX_COLUMNS;
            vm_fir_lanes lanes = {
                .x = window + column * down - (start - block_start),
                .coefs = table->coefs + block * table->n_block_taps * VM_FIR_BLOCK,
                .n_taps = table->n_block_taps,
                .n_columns = n_some,
                .x_step = down,
                .out_step = VM_FIR_BLOCK,
            };
            vm_dispatch.fir_lanes(y, &lanes);
            for (size_t c = 0; c < n_some; c++) {
                size_t first = k + (column + c) * up;
                size_t n_wanted = piece->n_out - first < n ? piece->n_out - first : n;
                memcpy(out + first, y + c * VM_FIR_BLOCK + lane, n_wanted * sizeof *out);
            }
        }
        index += n;
        window += index * down / up - start;
        if (index == up) index = 0;
    }
}

/* --- dot --- */

/* Where compilers may fuse by themselves and are not told otherwise on the command line. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

/* The same on every machine: 16 sums, each product rounded, then added pairwise. */
static float dot(const float *x, const float *row, size_t n) {
    float lane[VM_FIR_DOT_LANES] = {0};
    for (size_t i = 0; i < n; i += VM_FIR_DOT_LANES) {
        for (size_t j = 0; j < VM_FIR_DOT_LANES; j++)
            lane[j] += x[i + j] * row[i + j];
    }
    for (size_t width = VM_FIR_DOT_LANES / 2; width > 0; width /= 2) {
        for (size_t j = 0; j < width; j++)
            lane[j] += lane[j + width];
    }
    return lane[0];
}

static void run_dot(const vm_fir_table *table, vm_fir_place place, const vm_fir_piece *piece, float *out) {
    const uint32_t whole_step = table->down / table->up, part_step = table->down % table->up;
    size_t stride = table->row_stride;
    uint64_t phase = place.phase;
    const float *x = piece->line;
    for (size_t k = 0; k < piece->n_out; k++) {
        if (table->spread) {
            uint64_t position = phase * (table->n_rows - 1);
            const float *row = table->coefs + (size_t)(position / table->up) * stride;
            float share = (float)(position % table->up) / (float)table->up;
            float low = dot(x, row, stride), high = dot(x, row + stride, stride);
            out[k] = low + share * (high - low);
        } else {
            out[k] = dot(x, table->coefs + (size_t)phase * stride, stride);
        }
        x += whole_step;
        phase += part_step;
        if (phase >= table->up) {
            phase -= table->up;
            x++;
        }
    }
}

void vm_fir_run(const vm_fir_table *table, vm_fir_place place, const vm_fir_piece *piece, float *out,
                int16_t *pcm) {
    switch (table->kind) {
    case VM_FIR_GRID:
        run_grid(table, place, piece, out, pcm);
        return;
    case VM_FIR_LANES:
        run_lanes(table, place, piece, out);
        break;
    case VM_FIR_DOT:
        run_dot(table, place, piece, out);
        break;
    }
    if (pcm != NULL) vm_dispatch.fir_round(pcm, out, piece->n_out);
}
