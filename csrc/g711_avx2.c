#include "g711.h"
#include "isa.h"

#if defined(VM_X86)

#include <immintrin.h>

#include "g711_law.h"

/* --- decode: products of look-ups by the halves of a code --- */

/* Half a sample is slope[high] * position[low] with its sign + WEIGHT * offset[high]; each fits 8 bits. But
 * for the offset, both laws have segments that begin at 33 half steps (33, 35, ... 63). */
typedef struct factor_table {
    uint8_t slope[16];
    int8_t position[16], offset[16];
} factor_table;

enum { WEIGHT = 2, HALF_STEP = 2, BEGINNING = 33 * HALF_STEP };

#define SLOPE(law, high) ((uint8_t)(VM_G711_STEEPNESS(law, high) / 8))
#define POSITION(law, low) ((int8_t)(2 * HALF_STEP * ((low) ^ law##_ZERO) + BEGINNING))
#define OFFSET(law, high)                                                                                    \
    ((int8_t)((VM_G711_FIRST(law, high) / 2 - BEGINNING * (VM_G711_STEP(law, high) / 8)) / WEIGHT))
#define FACTORS(law)                                                                                         \
    {                                                                                                        \
        {VM_G711_SIXTEEN(SLOPE, law, 0)}, {VM_G711_SIXTEEN(POSITION, law, 0)}, {                             \
            VM_G711_SIXTEEN(OFFSET, law, 0)                                                                  \
        }                                                                                                    \
    }

static const factor_table MULAW = FACTORS(VM_G711_MULAW);
static const factor_table ALAW = FACTORS(VM_G711_ALAW);

typedef struct factors {
    __m256i slope, negative_position, offset;
} factors;

VM_INLINE __m256i of_both_halves(const void *table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

VM_INLINE __m256i twice_sum_of_products(__m256i unsigned_bytes, __m256i signed_bytes) {
    __m256i sum = _mm256_maddubs_epi16(unsigned_bytes, signed_bytes);
    return _mm256_add_epi16(sum, sum);
}

VM_INLINE void decode_block(uint8_t *pcm, const uint8_t *codes, factors law) {
    const __m256i weight = _mm256_set1_epi8(WEIGHT), nibble = _mm256_set1_epi8(15);
    /* Unpacking works in halves of a register: quarters 0 2 1 3 give samples in order. */
    __m256i code =
        _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)codes), _MM_SHUFFLE(3, 1, 2, 0));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(code, 4), nibble);
    __m256i slope = _mm256_shuffle_epi8(law.slope, high);
    __m256i offset = _mm256_shuffle_epi8(law.offset, high);
    __m256i position = _mm256_shuffle_epi8(law.negative_position, _mm256_and_si256(code, nibble));
    __m256i sign = _mm256_or_si256(code, _mm256_set1_epi8(1)); /* 0 would be no sign */
    position = _mm256_sign_epi8(position, sign);
    __m256i *out = (__m256i *)pcm;
    _mm256_storeu_si256(out, twice_sum_of_products(_mm256_unpacklo_epi8(slope, weight),
                                                   _mm256_unpacklo_epi8(position, offset)));
    _mm256_storeu_si256(out + 1, twice_sum_of_products(_mm256_unpackhi_epi8(slope, weight),
                                                       _mm256_unpackhi_epi8(position, offset)));
}

/* --- encode --- */

#define VM_G711_REGISTER __m256i
#define VM_G711_OP(name) _mm256_##name
#define VM_G711_BITS(name) _mm256_##name##_si256

VM_INLINE __m256i merge_words(__m256i even, __m256i odd) {
    return _mm256_blend_epi16(even, odd, 0xAA);
}

VM_INLINE __m256i in_order(__m256i packed) {
    return _mm256_permute4x64_epi64(packed, _MM_SHUFFLE(3, 1, 2, 0));
}

#include "g711_encode_x86.h"

/* --- entry points --- */

static void decode(int16_t *pcm, const uint8_t *codes, size_t n, const factor_table *table) {
    uint8_t *out = (uint8_t *)pcm;
    factors law = {of_both_halves(table->slope),
                   _mm256_sub_epi8(_mm256_setzero_si256(), of_both_halves(table->position)),
                   of_both_halves(table->offset)};
    for (size_t i = 0; i < n; i = vm_g711_next(i, VM_G711_BLOCK, n))
        decode_block(out + 2 * i, codes + i, law);
}

VM_G711_ENTRY_POINTS(avx2, VM_G711_BLOCK, sse2, &MULAW, &ALAW)

#endif
