#include "g711.h"

#include <string.h>

#include "dispatch.h"

/* A code is sign (1 bit), segment (3), position in the segment (4); mu-law goes inverted over the line, A-law
 * with every other bit inverted (ITU-T G.711 tables 1 and 2). */
enum {
    MULAW_BIAS = 33,    /* in 14-bit magnitudes: makes every segment start at a power of two */
    MULAW_MAX = 0x1FFF, /* 13 bits of biased magnitude */
    ALAW_TOGGLE = 0x55,
    SIGN = 0x80,
    FLOAT_BIAS = 127,      /* IEEE 754 binary32 */
    FLOAT_TO_CODE = 23 - 4 /* leaves the exponent and the top four bits of the mantissa */
};

/* --- decode: one load a code --- */

#define MULAW_MAGNITUDE(c) ((((((~(c)) & 15) << 3) + 0x84) << (((~(c)) >> 4) & 7)) - 0x84)
#define MULAW(c) ((int16_t)(((c) & SIGN) ? MULAW_MAGNITUDE(c) : -MULAW_MAGNITUDE(c)))

#define ALAW_SEGMENT(c) ((((c) ^ ALAW_TOGGLE) >> 4) & 7)
#define ALAW_LINEAR(c) (((((c) ^ ALAW_TOGGLE) & 15) << 4) + 8)
#define ALAW_MAGNITUDE(c)                                                                                    \
    (ALAW_SEGMENT(c) ? (ALAW_LINEAR(c) + 256) << ((ALAW_SEGMENT(c) + 7) & 7) : ALAW_LINEAR(c))
#define ALAW(c) ((int16_t)(((c) & SIGN) ? ALAW_MAGNITUDE(c) : -ALAW_MAGNITUDE(c)))

#define FOUR(law, c) law(c), law((c) + 1), law((c) + 2), law((c) + 3)
#define SIXTEEN(law, c) FOUR(law, c), FOUR(law, (c) + 4), FOUR(law, (c) + 8), FOUR(law, (c) + 12)
#define QUARTER(law, c)                                                                                      \
    SIXTEEN(law, c), SIXTEEN(law, (c) + 16), SIXTEEN(law, (c) + 32), SIXTEEN(law, (c) + 48)
#define TABLE(law) {QUARTER(law, 0), QUARTER(law, 64), QUARTER(law, 128), QUARTER(law, 192)}

static const int16_t MULAW_TABLE[256] = TABLE(MULAW);
static const int16_t ALAW_TABLE[256] = TABLE(ALAW);

static void decode(int16_t *pcm, const uint8_t *codes, size_t n, const int16_t *table) {
    uint8_t *out = (uint8_t *)pcm;
    for (size_t i = 0; i < n; i++)
        memcpy(out + 2 * i, &table[codes[i]], 2);
}

void vm_g711_mulaw_decode_scalar(int16_t *pcm, const uint8_t *mulaw, size_t n) {
    decode(pcm, mulaw, n, MULAW_TABLE);
}
void vm_g711_alaw_decode_scalar(int16_t *pcm, const uint8_t *alaw, size_t n) {
    decode(pcm, alaw, n, ALAW_TABLE);
}

/* --- encode: exponent and top bits of a float's mantissa are segment and position
 * ---------------------------------- */

/* `magnitude` is below 2^24, so the conversion is exact. */
static inline int32_t segment_and_position(int32_t magnitude, int32_t first_segment) {
    float value = (float)magnitude;
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits >> FLOAT_TO_CODE) - ((FLOAT_BIAS + first_segment) << 4);
}

static inline int32_t load(const uint8_t *bytes) {
    int16_t sample;
    memcpy(&sample, bytes, sizeof sample);
    return sample;
}

void vm_g711_mulaw_encode_scalar(uint8_t *mulaw, const int16_t *pcm, size_t n) {
    const uint8_t *in = (const uint8_t *)pcm;
    for (size_t i = 0; i < n; i++) {
        int32_t x = load(in + 2 * i);
        int32_t sign =
            x >> 31; /* G.191 takes the one's complement of negatives: -1 and 0 have the same magnitude */
        int32_t magnitude = ((x ^ sign) >> 2) + MULAW_BIAS;
        magnitude = magnitude < MULAW_MAX ? magnitude : MULAW_MAX;
        mulaw[i] = (uint8_t)(~(segment_and_position(magnitude, 5) | (sign & SIGN)));
    }
}

void vm_g711_alaw_encode_scalar(uint8_t *alaw, const int16_t *pcm, size_t n) {
    const uint8_t *in = (const uint8_t *)pcm;
    for (size_t i = 0; i < n; i++) {
        int32_t x = load(in + 2 * i);
        int32_t sign = x >> 31;
        int32_t magnitude = (x ^ sign) >> 4;
        int32_t logarithmic = segment_and_position(magnitude, 3);
        int32_t linear = (magnitude - 16) >> 31; /* all ones in segment 0; a mask, as SSE2 has no blend */
        int32_t code = logarithmic ^ ((logarithmic ^ magnitude) & linear);
        alaw[i] = (uint8_t)((code | (~sign & SIGN)) ^ ALAW_TOGGLE);
    }
}

/* --- entry points
 * --------------------------------------------------------------------------------------------- */

void vm_g711_mulaw_decode(int16_t *pcm, const uint8_t *mulaw, size_t n) {
    vm_dispatch.mulaw_decode(pcm, mulaw, n);
}
void vm_g711_alaw_decode(int16_t *pcm, const uint8_t *alaw, size_t n) {
    vm_dispatch.alaw_decode(pcm, alaw, n);
}
void vm_g711_mulaw_encode(uint8_t *mulaw, const int16_t *pcm, size_t n) {
    vm_dispatch.mulaw_encode(mulaw, pcm, n);
}
void vm_g711_alaw_encode(uint8_t *alaw, const int16_t *pcm, size_t n) {
    vm_dispatch.alaw_encode(alaw, pcm, n);
}
