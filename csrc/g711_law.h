/* The two laws, for the compiler: what every variant's tables and constants come from.
 *
 * A code is sign (1 bit), segment (3), position in the segment (4); mu-law goes inverted over the line, A-law
 * with every other bit inverted (ITU-T G.711 tables 1 and 2). */
#ifndef VM_G711_LAW_H
#define VM_G711_LAW_H

#include <stddef.h>
#include <stdint.h>

#include "isa.h"

enum {
    VM_G711_SIGN = 0x80,
    VM_G711_MULAW_TOGGLE = 0xFF,
    VM_G711_ALAW_TOGGLE = 0xD5, /* with the sign: set for positive samples */
    VM_G711_MULAW_BIAS = 132,   /* 33 in 14-bit magnitudes: makes every segment start at a power of two */
    VM_G711_ALAW_LINEAR = 256   /* below it codes are linear: magnitude >> 4 */
};

/* Encoders read segment and position from a float (IEEE 754 binary32): its exponent and the top bits of its
 * mantissa are the code, but for a constant. */
enum {
    VM_G711_FLOAT_TO_CODE = 23 - 4,
    VM_G711_FLOAT_BIAS = (127 + 7) << 4 /* of 128, where mu-law's segments begin and A-law's would */
};

#define VM_G711_MULAW_MAGNITUDE(c) ((((((~(c)) & 15) << 3) + 132) << (((~(c)) >> 4) & 7)) - 132)
#define VM_G711_MULAW(c)                                                                                     \
    ((int16_t)(((c) & VM_G711_SIGN) ? VM_G711_MULAW_MAGNITUDE(c) : -VM_G711_MULAW_MAGNITUDE(c)))

#define VM_G711_ALAW_SEGMENT(c) ((((c) ^ VM_G711_ALAW_TOGGLE) >> 4) & 7)
#define VM_G711_ALAW_POSITION(c) (((((c) ^ VM_G711_ALAW_TOGGLE) & 15) << 4) + 8)
#define VM_G711_ALAW_MAGNITUDE(c)                                                                            \
    (VM_G711_ALAW_SEGMENT(c)                                                                                 \
         ? (VM_G711_ALAW_POSITION(c) + VM_G711_ALAW_LINEAR) << ((VM_G711_ALAW_SEGMENT(c) + 7) & 7)           \
         : VM_G711_ALAW_POSITION(c))
#define VM_G711_ALAW(c)                                                                                      \
    ((int16_t)(((c) & VM_G711_SIGN) ? VM_G711_ALAW_MAGNITUDE(c) : -VM_G711_ALAW_MAGNITUDE(c)))

/* Within one segment samples are a straight line over the position: by the upper half of a code, where it
 * begins and how it rises. Positive samples have their sign bit set. */
enum { VM_G711_MULAW_ZERO = 0xF, VM_G711_ALAW_ZERO = 0x5 }; /* the lower half that means position 0 */
#define VM_G711_FIRST(law, high) law((high) << 4 | law##_ZERO)
#define VM_G711_STEP(law, high) (law((high) << 4 | (law##_ZERO ^ 1)) - VM_G711_FIRST(law, high))
#define VM_G711_STEEPNESS(law, high) ((high) & 8 ? VM_G711_STEP(law, high) : -VM_G711_STEP(law, high))

/* of(law, 0), of(law, 1), ... */
#define VM_G711_FOUR(of, law, i) of(law, i), of(law, (i) + 1), of(law, (i) + 2), of(law, (i) + 3)
#define VM_G711_SIXTEEN(of, law, i)                                                                          \
    VM_G711_FOUR(of, law, i), VM_G711_FOUR(of, law, (i) + 4), VM_G711_FOUR(of, law, (i) + 8),                \
        VM_G711_FOUR(of, law, (i) + 12)

/* Where the block of `width` samples after that at `i` begins: the last one ends with the samples, over part
 * of the one before it; after that, `n`. `n` is at least `width`. */
VM_INLINE size_t vm_g711_next(size_t i, size_t width, size_t n) {
    size_t end = i + width;
    return end >= n || n - end >= width ? end : n - width;
}

/* Entry points of an ISA whose decode() and encode() want at least `width` samples; fewer go to a smaller
 * ISA. decode() takes `mulaw` or `alaw` as its law. */
#define VM_G711_ENTRY_POINTS(isa, width, smaller, mulaw, alaw)                                               \
    VM_G711_ENTRY_POINT(mulaw_decode, isa, int16_t, uint8_t, width, smaller, decode, mulaw)                  \
    VM_G711_ENTRY_POINT(alaw_decode, isa, int16_t, uint8_t, width, smaller, decode, alaw)                    \
    VM_G711_ENTRY_POINT(mulaw_encode, isa, uint8_t, int16_t, width, smaller, encode, 1)                      \
    VM_G711_ENTRY_POINT(alaw_encode, isa, uint8_t, int16_t, width, smaller, encode, 0)
#define VM_G711_ENTRY_POINT(name, isa, to, from, width, smaller, run, law)                                   \
    void vm_g711_##name##_##isa(to *dst, const from *src, size_t n) {                                        \
        if (n < (width))                                                                                     \
            vm_g711_##name##_##smaller(dst, src, n);                                                         \
        else                                                                                                 \
            run(dst, src, n, law);                                                                           \
    }

#endif
