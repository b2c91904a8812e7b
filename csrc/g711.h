/* G.711 companding, exactly as ITU-T G.191 does it: all 65536 inputs of the encoders, all 256 codes of the
 * decoders.
 *
 * `n` samples are read and written: one byte a code, two a 16-bit sample in native byte order. Buffers may
 * have any alignment and must not overlap; nothing here allocates, blocks or fails. */
#ifndef VM_G711_H
#define VM_G711_H

#include <stddef.h>
#include <stdint.h>

void vm_g711_mulaw_decode(int16_t *pcm, const uint8_t *mulaw, size_t n);
void vm_g711_alaw_decode(int16_t *pcm, const uint8_t *alaw, size_t n);
void vm_g711_mulaw_encode(uint8_t *mulaw, const int16_t *pcm, size_t n);
void vm_g711_alaw_encode(uint8_t *alaw, const int16_t *pcm, size_t n);

/* Variants: reached through the table of dispatch.h, named by their ISA. All give the same bytes. */
#define VM_G711_VARIANT(isa)                                                                                 \
    void vm_g711_mulaw_decode_##isa(int16_t *pcm, const uint8_t *mulaw, size_t n);                           \
    void vm_g711_alaw_decode_##isa(int16_t *pcm, const uint8_t *alaw, size_t n);                             \
    void vm_g711_mulaw_encode_##isa(uint8_t *mulaw, const int16_t *pcm, size_t n);                           \
    void vm_g711_alaw_encode_##isa(uint8_t *alaw, const int16_t *pcm, size_t n);

VM_G711_VARIANT(scalar)
VM_G711_VARIANT(sse2)
VM_G711_VARIANT(avx2)
VM_G711_VARIANT(avx512)
VM_G711_VARIANT(neon)

#endif
