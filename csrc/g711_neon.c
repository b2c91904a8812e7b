#include "g711.h"
#include "isa.h"

#if defined(VM_NEON)

#include <arm_neon.h>

#include "g711_law.h"

enum { WIDTH = 16 }; /* samples a block: a register of codes */

VM_INLINE int16x8_t load_words(const uint8_t *bytes) {
    return vreinterpretq_s16_u8(vld1q_u8(bytes)); /* of any alignment */
}

/* --- decode: lines that fall from the top --- */

/* A sample is top[high] - slope[high] * drop[low]; `low` is inverted for positive samples, so that it falls
 * with the value for both signs. */
typedef struct line_table {
    int16_t top[16];
    uint8_t slope[16], drop[16];
} line_table;

#define TOP(law, high) ((int16_t)(VM_G711_FIRST(law, high) + ((high) & 8 ? 15 * VM_G711_STEP(law, high) : 0)))
#define SLOPE(law, high) ((uint8_t)(VM_G711_STEEPNESS(law, high) / 8))
#define DROP(law, low) ((uint8_t)(((low) ^ law##_ZERO) * 8))
#define LINES(law)                                                                                           \
    {                                                                                                        \
        {VM_G711_SIXTEEN(TOP, law, 0)}, {VM_G711_SIXTEEN(SLOPE, law, 0)}, {                                  \
            VM_G711_SIXTEEN(DROP, law, 0)                                                                    \
        }                                                                                                    \
    }

static const line_table MULAW = LINES(VM_G711_MULAW);
static const line_table ALAW = LINES(VM_G711_ALAW);

typedef struct lines {
    uint8x16_t top_low, top_high, slope, drop;
} lines;

VM_INLINE void decode_block(uint8_t *pcm, const uint8_t *codes, lines law) {
    uint8x16_t code = vld1q_u8(codes);
    uint8x16_t high = vshrq_n_u8(code, 4);
    uint8x16_t sign = vreinterpretq_u8_s8(vshrq_n_s8(vreinterpretq_s8_u8(code), 7));
    uint8x16_t low = vandq_u8(veorq_u8(code, sign), vdupq_n_u8(15));
    uint8x16_t slope = vqtbl1q_u8(law.slope, high), drop = vqtbl1q_u8(law.drop, low);
    uint8x16_t top_low = vqtbl1q_u8(law.top_low, high), top_high = vqtbl1q_u8(law.top_high, high);
    uint16x8_t first = vreinterpretq_u16_u8(vzip1q_u8(top_low, top_high));
    uint16x8_t second = vreinterpretq_u16_u8(vzip2q_u8(top_low, top_high));
    first = vmlsl_u8(first, vget_low_u8(slope), vget_low_u8(drop));
    second = vmlsl_u8(second, vget_high_u8(slope), vget_high_u8(drop));
    vst1q_u8(pcm, vreinterpretq_u8_u16(first));
    vst1q_u8(pcm + WIDTH, vreinterpretq_u8_u16(second));
}

static void decode(int16_t *pcm, const uint8_t *codes, size_t n, const line_table *table) {
    uint8_t *out = (uint8_t *)pcm;
    uint8x16x2_t top = vld2q_u8((const uint8_t *)table->top);
    lines law = {top.val[0], top.val[1], vld1q_u8(table->slope), vld1q_u8(table->drop)};
    for (size_t i = 0; i < n; i = vm_g711_next(i, WIDTH, n))
        decode_block(out + 2 * i, codes + i, law);
}

/* --- encode: a shift that brings the highest bit to the top --- */

VM_INLINE int16x8_t magnitudes(int16x8_t pcm, int is_mulaw) {
    int16x8_t magnitude = veorq_s16(pcm, vshrq_n_s16(pcm, 15));
    return is_mulaw ? vqaddq_s16(magnitude, vdupq_n_s16(VM_G711_MULAW_BIAS)) : magnitude;
}

/* A-law's linear segment is shifted like the one above it: what its top bit then lacks is the number of the
 * segment. */
VM_INLINE int16x8_t leading_zeros(int16x8_t magnitude, int is_mulaw) {
    int16x8_t zeros = vclzq_s16(magnitude);
    return is_mulaw ? zeros : vminq_s16(zeros, vdupq_n_s16(7));
}

VM_INLINE void encode_block(uint8_t *codes, const uint8_t *pcm, int is_mulaw) {
    int16x8_t first = load_words(pcm), second = load_words(pcm + WIDTH);
    int16x8_t m0 = magnitudes(first, is_mulaw), m1 = magnitudes(second, is_mulaw);
    int16x8_t zeros0 = leading_zeros(m0, is_mulaw), zeros1 = leading_zeros(m1, is_mulaw);
    int16x8_t bits0 = vshlq_s16(m0, zeros0), bits1 = vshlq_s16(m1, zeros1);
    uint8x16_t zeros = vuzp1q_u8(vreinterpretq_u8_s16(zeros0), vreinterpretq_u8_s16(zeros1));
    uint8x16_t bits = vuzp2q_u8(vreinterpretq_u8_s16(bits0), vreinterpretq_u8_s16(bits1));
    uint8x16_t signs = vuzp2q_u8(vreinterpretq_u8_s16(first), vreinterpretq_u8_s16(second));
    uint8x16_t segment = vshlq_n_u8(vsubq_u8(vdupq_n_u8(7), zeros), 4); /* less the 1 of the highest bit */
    uint8x16_t code = vsraq_n_u8(segment, bits, 3);
    uint8x16_t toggle = vdupq_n_u8(is_mulaw ? VM_G711_MULAW_TOGGLE : VM_G711_ALAW_TOGGLE);
    uint8x16_t sign = vandq_u8(signs, vdupq_n_u8(VM_G711_SIGN));
    vst1q_u8(codes, veorq_u8(code, veorq_u8(sign, toggle)));
}

VM_INLINE void encode(uint8_t *codes, const int16_t *pcm, size_t n, int is_mulaw) {
    const uint8_t *in = (const uint8_t *)pcm;
    for (size_t i = 0; i < n; i = vm_g711_next(i, WIDTH, n))
        encode_block(codes + i, in + 2 * i, is_mulaw);
}

/* --- entry points --- */

VM_G711_ENTRY_POINTS(neon, WIDTH, scalar, &MULAW, &ALAW)

#endif
