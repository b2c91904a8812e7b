#include "g711.h"
#include "isa.h"

#if defined(VM_X86)

#include <immintrin.h>

#include "g711_law.h"

enum {
    WIDTH = 32,                 /* samples a register */
    XOR_OF_A_AND_B_C = 0x78,    /* a ^ (b & c) */
    AND_OF_XOR_A_B_AND_C = 0x28 /* (a ^ b) & c */
};

/* --- decode: a line for each upper half of a code --- */

typedef struct line_table {
    int16_t first[16], step[16];
    int16_t zero;
} line_table;

#define LINES(law)                                                                                           \
    {{VM_G711_SIXTEEN(VM_G711_FIRST, law, 0)}, {VM_G711_SIXTEEN(VM_G711_STEP, law, 0)}, law##_ZERO}

static const line_table MULAW = LINES(VM_G711_MULAW);
static const line_table ALAW = LINES(VM_G711_ALAW);

typedef struct lines {
    __m512i first, step, zero;
} lines;

VM_INLINE __m512i of_both_halves(const int16_t *table) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)table));
}

VM_INLINE __m512i expand(__m256i codes, lines law) {
    __m512i code = _mm512_cvtepu8_epi16(codes);
    __m512i high = _mm512_srli_epi16(code, 4);
    __m512i position = _mm512_ternarylogic_epi32(code, law.zero, _mm512_set1_epi16(15), AND_OF_XOR_A_B_AND_C);
    return _mm512_add_epi16(_mm512_permutexvar_epi16(high, law.first),
                            _mm512_mullo_epi16(_mm512_permutexvar_epi16(high, law.step), position));
}

static void decode(int16_t *pcm, const uint8_t *codes, size_t n, const line_table *table) {
    uint8_t *out = (uint8_t *)pcm;
    lines law = {of_both_halves(table->first), of_both_halves(table->step), _mm512_set1_epi16(table->zero)};
    if (n < WIDTH) {
        __mmask32 used = (__mmask32)((1u << n) - 1);
        _mm512_mask_storeu_epi16(out, used, expand(_mm256_maskz_loadu_epi8(used, codes), law));
        return;
    }
    for (size_t i = 0; i < n; i = vm_g711_next(i, WIDTH, n))
        _mm512_storeu_si512(out + 2 * i, expand(_mm256_loadu_si256((const __m256i *)(codes + i)), law));
}

void vm_g711_mulaw_decode_avx512(int16_t *pcm, const uint8_t *mulaw, size_t n) {
    decode(pcm, mulaw, n, &MULAW);
}
void vm_g711_alaw_decode_avx512(int16_t *pcm, const uint8_t *alaw, size_t n) {
    decode(pcm, alaw, n, &ALAW);
}

/* --- encode: the upper bits of a float --- */

/* Segments and positions of words from 128 to 32767. */
VM_INLINE __m512i segment_and_position(__m512i words) {
    /* Sample pairs as one integer: what the float rounds away lies below bit 15, which is 0. */
    __m512i odd = _mm512_castps_si512(_mm512_cvtepi32_ps(words));
    __m512i even = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_slli_epi32(words, 16)));
    __m512i bits = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(even, 16), odd);
    return _mm512_sub_epi16(_mm512_srli_epi16(bits, VM_G711_FLOAT_TO_CODE - 16),
                            _mm512_set1_epi16(VM_G711_FLOAT_BIAS + (16 << 4)));
}

VM_INLINE __m256i compress(__m512i pcm, int is_mulaw) {
    __m512i sign = _mm512_srai_epi16(pcm, 15);
    __m512i magnitude = _mm512_xor_si512(pcm, sign);
    __m512i code;
    if (is_mulaw) {
        code = segment_and_position(_mm512_adds_epi16(magnitude, _mm512_set1_epi16(VM_G711_MULAW_BIAS)));
    } else { /* why the smaller of the two: g711_encode_x86.h */
        code = segment_and_position(_mm512_max_epi16(magnitude, _mm512_set1_epi16(VM_G711_ALAW_LINEAR)));
        code = _mm512_min_epi16(code, _mm512_srli_epi16(magnitude, 4));
    }
    code = _mm512_ternarylogic_epi32(code, sign, _mm512_set1_epi16(VM_G711_SIGN), XOR_OF_A_AND_B_C);
    return _mm256_xor_si256(_mm512_cvtepi16_epi8(code),
                            _mm256_set1_epi8((char)(is_mulaw ? VM_G711_MULAW_TOGGLE : VM_G711_ALAW_TOGGLE)));
}

VM_INLINE void encode(uint8_t *codes, const int16_t *pcm, size_t n, int is_mulaw) {
    const uint8_t *in = (const uint8_t *)pcm;
    if (n < WIDTH) {
        __mmask32 used = (__mmask32)((1u << n) - 1);
        _mm256_mask_storeu_epi8(codes, used, compress(_mm512_maskz_loadu_epi16(used, in), is_mulaw));
        return;
    }
    for (size_t i = 0; i < n; i = vm_g711_next(i, WIDTH, n))
        _mm256_storeu_si256((__m256i *)(codes + i), compress(_mm512_loadu_si512(in + 2 * i), is_mulaw));
}

void vm_g711_mulaw_encode_avx512(uint8_t *mulaw, const int16_t *pcm, size_t n) {
    encode(mulaw, pcm, n, 1);
}
void vm_g711_alaw_encode_avx512(uint8_t *alaw, const int16_t *pcm, size_t n) {
    encode(alaw, pcm, n, 0);
}

#endif
