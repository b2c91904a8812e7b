/* The resampler's kernels over registers of any width, included once by the file of each ISA, which defines
 *
 *   vec                       a register of floats
 *   VEC_FLOATS                how many, a divisor of VM_FIR_BLOCK
 *   vec_load, vec_store       any alignment
 *   vec_splat(c)              the float c in every lane
 *   vec_add(a, b), vec_mul(a, b)
 *   vec_fma(acc, x, c)        acc + x * c
 *   TILE_LARGE, TILE_SMALL    blocks of outputs whose sums stay in registers together
 *   LANE_VECS, LANE_COLUMNS   registers of a block, and columns, whose sums do
 *   KERNEL(name)              the name with the ISA's suffix
 *
 * A block is VM_FIR_BLOCK outputs, BLOCK_VECS registers. */
#include "fir_kernels.h"
#include "isa.h"

enum { BLOCK_VECS = VM_FIR_BLOCK / VEC_FLOATS };

/* The terms of the taps r, r + 16, ... of each plane. A load at 16 * m + r serves tap 16 * q + r of block m -
 * q. */
VM_INLINE void residue(vec *acc, const vm_fir_line *line, size_t first_block, size_t r, const size_t n_blocks,
                       const size_t n_groups) {
    const float *coefs = line->coefs + r * line->n_planes * line->stride;
    for (size_t plane = 0; plane < line->n_planes; plane++, coefs += line->stride) {
        const float *x = line->x[plane] + first_block * VM_FIR_BLOCK + r;
        vec c[VM_FIR_CHUNK];
        VM_UNROLL
        for (size_t q = 0; q < n_groups; q++)
            c[q] = vec_splat(coefs[q]);
        VM_UNROLL
        for (size_t m = 0; m < n_blocks + n_groups - 1; m++) {
            VM_UNROLL
            for (size_t v = 0; v < BLOCK_VECS; v++) {
                vec in = vec_load(x + m * VM_FIR_BLOCK + v * VEC_FLOATS);
                VM_IN_REGISTER(in);
                VM_UNROLL
                for (size_t q = 0; q < n_groups; q++) {
                    if (q <= m && m - q < n_blocks)
                        acc[(m - q) * BLOCK_VECS + v] = vec_fma(acc[(m - q) * BLOCK_VECS + v], in, c[q]);
                }
            }
        }
    }
}

VM_INLINE void tile(float *y, const vm_fir_line *line, size_t first_block, const size_t n_blocks,
                    const size_t n_groups) {
    vec acc[TILE_LARGE * BLOCK_VECS];
    const size_t n_last = line->n_taps - (n_groups - 1) * VM_FIR_BLOCK; /* taps of the last group, 1..16 */

    y += first_block * VM_FIR_BLOCK;
    if (line->adds) {
        VM_UNROLL
        for (size_t i = 0; i < n_blocks * BLOCK_VECS; i++)
            acc[i] = vec_load(y + i * VEC_FLOATS);
    } else if (line->lone != NULL) {
        const float *lone = line->lone + first_block * VM_FIR_BLOCK;
        VM_UNROLL
        for (size_t i = 0; i < n_blocks * BLOCK_VECS; i++)
            acc[i] = vec_mul(vec_load(lone + i * VEC_FLOATS), vec_splat(line->lone_coef));
    } else {
        VM_UNROLL
        for (size_t i = 0; i < n_blocks * BLOCK_VECS; i++)
            acc[i] = vec_splat(0.0f);
    }
    for (size_t r = 0; r < n_last; r++)
        residue(acc, line, first_block, r, n_blocks, n_groups);
    if (n_groups > 1) {
        for (size_t r = n_last; r < VM_FIR_BLOCK; r++)
            residue(acc, line, first_block, r, n_blocks, n_groups - 1);
    }
    VM_UNROLL
    for (size_t i = 0; i < n_blocks * BLOCK_VECS; i++)
        vec_store(y + i * VEC_FLOATS, acc[i]);
}

VM_INLINE void tiles(float *y, const vm_fir_line *line, const size_t n_groups) {
    size_t block = 0;
    for (; line->n_blocks - block >= TILE_LARGE; block += TILE_LARGE)
        tile(y, line, block, TILE_LARGE, n_groups);
    for (; line->n_blocks - block >= TILE_SMALL; block += TILE_SMALL)
        tile(y, line, block, TILE_SMALL, n_groups);
    for (; block < line->n_blocks; block++)
        tile(y, line, block, 1, n_groups);
}

void KERNEL(line)(float *y, const vm_fir_line *line) {
    switch ((line->n_taps + VM_FIR_BLOCK - 1) / VM_FIR_BLOCK) { /* a constant makes these loops registers */
    case 1:
        tiles(y, line, 1);
        break;
    case 2:
        tiles(y, line, 2);
        break;
    case 3:
        tiles(y, line, 3);
        break;
    default:
        tiles(y, line, VM_FIR_CHUNK);
        break;
    }
}

/* LANE_VECS registers of each column, from `lane` on. */
VM_INLINE void columns(float *out, const vm_fir_lanes *lanes, size_t lane, const size_t n_columns) {
    vec acc[LANE_COLUMNS][LANE_VECS][VM_FIR_PARTIALS];
    VM_UNROLL
    for (size_t column = 0; column < n_columns; column++) {
        VM_UNROLL
        for (size_t v = 0; v < LANE_VECS; v++) {
            VM_UNROLL
            for (size_t s = 0; s < VM_FIR_PARTIALS; s++)
                acc[column][v][s] = vec_splat(0.0f);
        }
    }
    for (size_t i = 0; i < lanes->n_taps; i += VM_FIR_PARTIALS) {
        VM_UNROLL
        for (size_t s = 0; s < VM_FIR_PARTIALS; s++) {
            vec c[LANE_VECS];
            VM_UNROLL
            for (size_t v = 0; v < LANE_VECS; v++) {
                c[v] = vec_load(lanes->coefs + (i + s) * VM_FIR_BLOCK + lane + v * VEC_FLOATS);
                VM_IN_REGISTER(c[v]);
            }
            VM_UNROLL
            for (size_t column = 0; column < n_columns; column++) {
                const vec x = vec_splat(lanes->x[column * lanes->x_step + i + s]);
                VM_UNROLL
                for (size_t v = 0; v < LANE_VECS; v++)
                    acc[column][v][s] = vec_fma(acc[column][v][s], c[v], x);
            }
        }
    }
    VM_UNROLL
    for (size_t column = 0; column < n_columns; column++) {
        VM_UNROLL
        for (size_t v = 0; v < LANE_VECS; v++) {
            vec *sum = acc[column][v];
            vec_store(out + column * lanes->out_step + lane + v * VEC_FLOATS,
                      vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3])));
        }
    }
}

void KERNEL(lanes)(float *out, const vm_fir_lanes *lanes) {
    vm_fir_lanes left = *lanes;
    while (left.n_columns > 0) {
        const size_t n_columns = left.n_columns >= LANE_COLUMNS ? LANE_COLUMNS : 1;
        for (size_t lane = 0; lane < VM_FIR_BLOCK; lane += LANE_VECS * VEC_FLOATS) {
            if (n_columns == LANE_COLUMNS) {
                columns(out, &left, lane, LANE_COLUMNS);
            } else {
                columns(out, &left, lane, 1);
            }
        }
        left.n_columns -= n_columns;
        left.x += n_columns * left.x_step;
        out += n_columns * left.out_step;
    }
}
