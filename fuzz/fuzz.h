/* What every target shares: laws, input taken piece by piece, and memory without a byte to spare.
 *
 * A target is one function of libFuzzer's: it takes any bytes and ends the process where a law is broken. */
#ifndef VM_FUZZ_H
#define VM_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With NDEBUG too. */
#define LAW(holds)                                                                                           \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            fprintf(stderr, "%s:%d: law broken: %s\n", __FILE__, __LINE__, #holds);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

typedef struct input {
    const uint8_t *at;
    size_t n;
} input;

static inline size_t less(size_t a, size_t b) {
    return a < b ? a : b;
}

/* 0 when there is no more. */
static inline uint8_t take_byte(input *in) {
    if (in->n == 0) return 0;
    in->n--;
    return *in->at++;
}

static inline uint32_t take_word(input *in) {
    const uint32_t low = take_byte(in);
    return low | (uint32_t)take_byte(in) << 8;
}

/* How a stream is cut into chunks: eight sizes, again and again; what is left after MAX_CUTS is one. */
enum { MAX_CUTS = 80 };
typedef struct cuts {
    uint8_t size[8];
    size_t i;
} cuts;

static inline cuts take_cuts(input *in) {
    cuts taken = {{0}, 0};
    for (size_t i = 0; i < sizeof taken.size; i++)
        taken.size[i] = take_byte(in);
    return taken;
}

static inline size_t next_cut(cuts *c, size_t n_left) {
    if (c->i == MAX_CUTS) return n_left;
    const size_t size = c->size[c->i++ % sizeof c->size];
    return less(size < 240 ? size : (size - 239) * 131, n_left);
}

/* `n` bytes, at an odd address if `offset` is odd: a read or write behind the last one is behind the block.
 */
typedef struct block {
    uint8_t *all, *at;
} block;

static inline block room_for(size_t n, size_t offset) {
    block made;
    made.all = malloc(offset + n + (offset + n == 0));
    LAW(made.all != NULL);
    made.at = made.all + offset;
    return made;
}

static inline block copy_of(const void *src, size_t n, size_t offset) {
    const block made = room_for(n, offset);
    if (n > 0) memcpy(made.at, src, n);
    return made;
}

static inline bool same_bytes(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n) == 0;
}

/* One of the instruction sets; where this machine has not got it, the portable code. */
static inline const char *use_variant(uint8_t choice) {
    static const char *const NAMES[] = {"avx512", "avx2", "sse2", "neon", "scalar"};
    if (vm_dispatch_init(NAMES[choice % 5]) != 0) LAW(vm_dispatch_init("scalar") == 0);
    return vm_dispatch_name();
}

#endif
