/* One piece of a stream through the filter: floats in a line, floats or samples out. Private to fir.c. */
#ifndef VM_FIR_RUN_H
#define VM_FIR_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "fir_table.h"

enum {
    VM_FIR_PIECE_IN = 1024,  /* inputs taken at a time: a frame of 20 ms at 48 kHz is one piece */
    VM_FIR_PIECE_OUT = 2048, /* and outputs */

    /* A grid's last block reads this far past a plane's end. */
    VM_FIR_PLANE_SLACK = VM_FIR_BLOCK + 2,
    VM_FIR_LINE = VM_FIR_MAX_GRID_TAPS + VM_FIR_PIECE_IN + VM_FIR_PLANE_SLACK * VM_FIR_MAX_PHASES,
    VM_FIR_ROOM = VM_FIR_PIECE_OUT + 2 * VM_FIR_BLOCK * VM_FIR_MAX_PHASES
};

/* Where a stream stands in its output. */
typedef struct vm_fir_place {
    uint32_t index; /* of the next output in a period of `up` */
    uint32_t phase; /* index * down % up: the output lies phase / up behind its window's newest input */
} vm_fir_place;

/* Inputs of one piece, from the start of the next output's window on. */
typedef struct vm_fir_piece {
    float *line;  /* zeros for vm_fir_front() before it, and for vm_fir_back() after its end */
    float *spare; /* room for another line */
    size_t n_in, n_out;
} vm_fir_piece;

size_t vm_fir_front(const vm_fir_table *table);
size_t vm_fir_back(const vm_fir_table *table, size_t n_in);

/* Compute piece->n_out outputs: as floats in `out`, which has VM_FIR_ROOM, or, if `pcm` is not NULL, as
 * samples there, with `out` as scratch. Overwrites line and spare. */
void vm_fir_run(const vm_fir_table *table, vm_fir_place place, const vm_fir_piece *piece, float *out,
                int16_t *pcm);

#endif
