#include "g711.h"

#include <string.h>

#include "g711_law.h"

/* --- decode: one load a code --- */

#define SAMPLE(law, c) law(c)
#define QUARTER(law, c)                                                                                      \
    VM_G711_SIXTEEN(SAMPLE, law, c), VM_G711_SIXTEEN(SAMPLE, law, (c) + 16),                                 \
        VM_G711_SIXTEEN(SAMPLE, law, (c) + 32), VM_G711_SIXTEEN(SAMPLE, law, (c) + 48)
#define TABLE(law) {QUARTER(law, 0), QUARTER(law, 64), QUARTER(law, 128), QUARTER(law, 192)}

static const int16_t MULAW[256] = TABLE(VM_G711_MULAW);
static const int16_t ALAW[256] = TABLE(VM_G711_ALAW);

static void decode(int16_t *pcm, const uint8_t *codes, size_t n, const int16_t *table) {
    uint8_t *out = (uint8_t *)pcm;
    for (size_t i = 0; i < n; i++)
        memcpy(out + 2 * i, &table[codes[i]], 2);
}

void vm_g711_mulaw_decode_scalar(int16_t *pcm, const uint8_t *mulaw, size_t n) {
    decode(pcm, mulaw, n, MULAW);
}
void vm_g711_alaw_decode_scalar(int16_t *pcm, const uint8_t *alaw, size_t n) {
    decode(pcm, alaw, n, ALAW);
}

/* --- encode --- */

/* `magnitude` is below 2^24, so the conversion is exact. */
static inline int32_t segment_and_position(int32_t magnitude) {
    float value = (float)magnitude;
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits >> VM_G711_FLOAT_TO_CODE) - VM_G711_FLOAT_BIAS;
}

static inline int32_t load(const uint8_t *bytes) {
    int16_t sample;
    memcpy(&sample, bytes, sizeof sample);
    return sample;
}

/* G.191 takes the one's complement of negatives: -1 and 0 have the same magnitude. */
static inline uint8_t with_sign(int32_t code, int32_t sign, int32_t toggle) {
    return (uint8_t)(code ^ (sign & VM_G711_SIGN) ^ toggle);
}

void vm_g711_mulaw_encode_scalar(uint8_t *mulaw, const int16_t *pcm, size_t n) {
    const uint8_t *in = (const uint8_t *)pcm;
    for (size_t i = 0; i < n; i++) {
        int32_t x = load(in + 2 * i);
        int32_t sign = x >> 31;
        int32_t magnitude = (x ^ sign) + VM_G711_MULAW_BIAS;
        magnitude = magnitude < INT16_MAX ? magnitude : INT16_MAX;
        mulaw[i] = with_sign(segment_and_position(magnitude), sign, VM_G711_MULAW_TOGGLE);
    }
}

void vm_g711_alaw_encode_scalar(uint8_t *alaw, const int16_t *pcm, size_t n) {
    const uint8_t *in = (const uint8_t *)pcm;
    for (size_t i = 0; i < n; i++) {
        int32_t x = load(in + 2 * i);
        int32_t sign = x >> 31;
        int32_t magnitude = x ^ sign;
        int32_t logarithmic = segment_and_position(magnitude);
        int32_t linear = (magnitude - VM_G711_ALAW_LINEAR) >> 31; /* a mask, as SSE2 has no blend */
        int32_t code = logarithmic ^ ((logarithmic ^ (magnitude >> 4)) & linear);
        alaw[i] = with_sign(code, sign, VM_G711_ALAW_TOGGLE);
    }
}
