/* The encoders of SSE2 and AVX2. Before including it, name the registers: VM_G711_REGISTER, VM_G711_OP(name)
 * and VM_G711_BITS(name) (intrinsics by their middle names), merge_words(even, odd) and in_order(codes),
 * which undoes what packing two registers does to the order of samples. */

enum { VM_G711_WORDS = sizeof(VM_G711_REGISTER) / 2, VM_G711_BLOCK = 2 * VM_G711_WORDS };

/* Segments and positions of words from 128 to 32767. */
VM_INLINE VM_G711_REGISTER segment_and_position(VM_G711_REGISTER words) {
    /* Sample pairs as one integer: what the float rounds away lies below bit 15, which is 0. */
    VM_G711_REGISTER odd = VM_G711_BITS(castps)(VM_G711_OP(cvtepi32_ps)(words));
    VM_G711_REGISTER even = VM_G711_BITS(castps)(VM_G711_OP(cvtepi32_ps)(VM_G711_OP(slli_epi32)(words, 16)));
    VM_G711_REGISTER bits = merge_words(VM_G711_OP(srli_epi32)(even, 16), odd);
    return VM_G711_OP(sub_epi16)(VM_G711_OP(srli_epi16)(bits, VM_G711_FLOAT_TO_CODE - 16),
                                 VM_G711_OP(set1_epi16)(VM_G711_FLOAT_BIAS + (16 << 4)));
}

VM_INLINE VM_G711_REGISTER code_without_sign(VM_G711_REGISTER pcm, int is_mulaw) {
    VM_G711_REGISTER magnitude = VM_G711_BITS(xor)(pcm, VM_G711_OP(srai_epi16)(pcm, 15));
    if (is_mulaw)
        return segment_and_position(
            VM_G711_OP(adds_epi16)(magnitude, VM_G711_OP(set1_epi16)(VM_G711_MULAW_BIAS)));
    /* Where codes are linear the code of ALAW_LINEAR is above them, elsewhere the logarithm is never above
     * the line. */
    VM_G711_REGISTER logarithmic =
        segment_and_position(VM_G711_OP(max_epi16)(magnitude, VM_G711_OP(set1_epi16)(VM_G711_ALAW_LINEAR)));
    return VM_G711_OP(min_epi16)(logarithmic, VM_G711_OP(srli_epi16)(magnitude, 4));
}

VM_INLINE void encode_block(uint8_t *codes, const uint8_t *pcm, int is_mulaw) {
    const int toggle = is_mulaw ? VM_G711_MULAW_TOGGLE : VM_G711_ALAW_TOGGLE;
    VM_G711_REGISTER low = VM_G711_BITS(loadu)((const VM_G711_REGISTER *)pcm);
    VM_G711_REGISTER high = VM_G711_BITS(loadu)((const VM_G711_REGISTER *)pcm + 1);
    VM_G711_REGISTER code =
        VM_G711_OP(packus_epi16)(code_without_sign(low, is_mulaw), code_without_sign(high, is_mulaw));
    VM_G711_REGISTER sign =
        VM_G711_BITS(andnot)(VM_G711_OP(set1_epi8)((char)~VM_G711_SIGN), VM_G711_OP(packs_epi16)(low, high));
    code = VM_G711_BITS(xor)(code, VM_G711_BITS(xor)(sign, VM_G711_OP(set1_epi8)((char)toggle)));
    VM_G711_BITS(storeu)((VM_G711_REGISTER *)codes, in_order(code));
}

/* `n` is at least VM_G711_BLOCK. */
VM_INLINE void encode(uint8_t *codes, const int16_t *pcm, size_t n, int is_mulaw) {
    const uint8_t *in = (const uint8_t *)pcm;
    for (size_t i = 0; i < n; i = vm_g711_next(i, VM_G711_BLOCK, n))
        encode_block(codes + i, in + 2 * i, is_mulaw);
}
