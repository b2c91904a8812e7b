/* Both laws, both ways, in every variant and at any address, against ITU-T G.191's description. */
#include "g711.h"

#include "../fuzz.h"

static int segment_of(int magnitude) {
    int segment = 0;
    for (; magnitude > 63; magnitude >>= 1)
        segment++;
    return segment;
}

static uint8_t slow_mulaw_encode(int sample) {
    int magnitude = ((sample < 0 ? ~sample : sample) >> 2) + 33;
    if (magnitude > 0x1FFF) magnitude = 0x1FFF;
    const int segment = segment_of(magnitude);
    const int code = (7 - segment) << 4 | (15 - (magnitude >> (segment + 1) & 15));
    return (uint8_t)(sample < 0 ? code : code | 0x80);
}

static uint8_t slow_alaw_encode(int sample) {
    int code = (sample < 0 ? ~sample : sample) >> 4;
    if (code > 15) {
        int segment = 1;
        for (; code > 31; code >>= 1)
            segment++;
        code += segment * 16 - 16;
    }
    return (uint8_t)((sample < 0 ? code : code | 0x80) ^ 0x55);
}

static int slow_mulaw_decode(int code) {
    const int magnitude = ((2 * (~code & 15) + 33) << (~code >> 4 & 7)) - 33;
    return code & 0x80 ? 4 * magnitude : -4 * magnitude;
}

static int slow_alaw_decode(int code) {
    const int segment = (code ^ 0x55) >> 4 & 7, position = (code ^ 0x55) & 15;
    const int magnitude = segment == 0 ? 2 * position + 1 : (2 * position + 33) << (segment - 1);
    return code & 0x80 ? 8 * magnitude : -8 * magnitude;
}

static int sample_at(const uint8_t *pcm, size_t i) {
    int16_t sample;
    memcpy(&sample, pcm + 2 * i, 2);
    return sample;
}

static void check_decode(const uint8_t *data, size_t n, size_t offset) {
    const block codes = copy_of(data, n, offset), pcm = room_for(2 * n, offset);
    vm_g711_mulaw_decode((void *)pcm.at, codes.at, n);
    for (size_t i = 0; i < n; i++)
        LAW(sample_at(pcm.at, i) == slow_mulaw_decode(data[i]));
    vm_g711_alaw_decode((void *)pcm.at, codes.at, n);
    for (size_t i = 0; i < n; i++)
        LAW(sample_at(pcm.at, i) == slow_alaw_decode(data[i]));
    vm_g711_alaw_encode(codes.at, (const void *)pcm.at, n);
    LAW(same_bytes(codes.at, data, n));
    free(codes.all), free(pcm.all);
}

static void check_encode(const uint8_t *data, size_t n, size_t offset) {
    const block pcm = copy_of(data, 2 * n, offset), codes = room_for(n, offset);
    vm_g711_mulaw_encode(codes.at, (const void *)pcm.at, n);
    for (size_t i = 0; i < n; i++)
        LAW(codes.at[i] == slow_mulaw_encode(sample_at(pcm.at, i)));
    vm_g711_alaw_encode(codes.at, (const void *)pcm.at, n);
    for (size_t i = 0; i < n; i++)
        LAW(codes.at[i] == slow_alaw_encode(sample_at(pcm.at, i)));
    free(pcm.all), free(codes.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    use_variant(take_byte(&in));
    const size_t offset = take_byte(&in) % 64;
    check_decode(in.at, in.n, offset);
    check_encode(in.at, in.n / 2, offset);
    return 0;
}
