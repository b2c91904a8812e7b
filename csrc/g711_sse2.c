#include "g711.h"
#include "isa.h"

#if defined(VM_X86)

#include <emmintrin.h>

#include "g711_law.h"

/* --- encode --- */

#define VM_G711_REGISTER __m128i
#define VM_G711_OP(name) _mm_##name
#define VM_G711_BITS(name) _mm_##name##_si128

VM_INLINE __m128i merge_words(__m128i even, __m128i odd) {
    return _mm_or_si128(even, _mm_and_si128(odd, _mm_set1_epi32((int)0xFFFF0000)));
}

VM_INLINE __m128i in_order(__m128i packed) {
    return packed;
}

#include "g711_encode_x86.h"

/* --- decode: a code is the upper half of a float --- */

enum {
    SEGMENT_UNIT = 1 << 7, /* lowest bit of the exponent, in the float's upper half */
    HALF_STEP = 1 << 2,    /* below the position, in the mantissa */
    FIRST_SEGMENT = (127 + 7) * SEGMENT_UNIT | HALF_STEP
};

/* Values of segments and positions (bits 3 to 9), mu-law's with its bias, from 132 to 32256. */
VM_INLINE __m128i float_values(__m128i words) {
    const __m128i zero = _mm_setzero_si128();
    __m128i upper = _mm_add_epi16(words, _mm_set1_epi16(FIRST_SEGMENT));
    __m128i low = _mm_cvttps_epi32(_mm_castsi128_ps(_mm_unpacklo_epi16(zero, upper)));
    __m128i high = _mm_cvttps_epi32(_mm_castsi128_ps(_mm_unpackhi_epi16(zero, upper)));
    return _mm_packs_epi32(low, high);
}

/* Codes in the upper bytes, not inverted, with the sign set for negative samples. */
VM_INLINE __m128i expand(__m128i codes, int is_mulaw) {
    __m128i words = _mm_and_si128(_mm_srli_epi16(codes, 5), _mm_set1_epi16(0x7F << 3));
    __m128i magnitude;
    if (is_mulaw) {
        magnitude = _mm_sub_epi16(float_values(words), _mm_set1_epi16(VM_G711_MULAW_BIAS));
    } else {
        /* Segment 0 rises like segment 1, whose beginning is 264: it is that and (negative) steps of 16. */
        __m128i from_1 = _mm_sub_epi16(words, _mm_set1_epi16(SEGMENT_UNIT));
        __m128i below_1 = _mm_min_epi16(from_1, _mm_setzero_si128());
        magnitude = float_values(_mm_max_epi16(from_1, _mm_setzero_si128()));
        magnitude = _mm_add_epi16(_mm_add_epi16(magnitude, magnitude), _mm_add_epi16(below_1, below_1));
    }
    __m128i sign = _mm_srai_epi16(codes, 15);
    return _mm_sub_epi16(_mm_xor_si128(magnitude, sign), sign);
}

VM_INLINE void decode_block(uint8_t *pcm, const uint8_t *codes, int is_mulaw) {
    const int toggle = is_mulaw ? VM_G711_MULAW_TOGGLE : VM_G711_ALAW_TOGGLE;
    const __m128i zero = _mm_setzero_si128();
    __m128i code = _mm_xor_si128(_mm_loadu_si128((const __m128i *)codes), _mm_set1_epi8((char)toggle));
    _mm_storeu_si128((__m128i *)pcm, expand(_mm_unpacklo_epi8(zero, code), is_mulaw));
    _mm_storeu_si128((__m128i *)pcm + 1, expand(_mm_unpackhi_epi8(zero, code), is_mulaw));
}

/* `n` is at least VM_G711_BLOCK. */
VM_INLINE void decode(int16_t *pcm, const uint8_t *codes, size_t n, int is_mulaw) {
    uint8_t *out = (uint8_t *)pcm;
    for (size_t i = 0; i < n; i = vm_g711_next(i, VM_G711_BLOCK, n))
        decode_block(out + 2 * i, codes + i, is_mulaw);
}

/* --- entry points --- */

VM_G711_ENTRY_POINTS(sse2, VM_G711_BLOCK, scalar, 1, 0)

#endif
