/* A converter is its steps one after another, however its bytes are cut: samples may be split. */
#include "convert.h"

#include "../streams.h"
#include "g711.h"

typedef struct conversion {
    vm_encoding from, to;
    uint32_t from_hz, to_hz;
    vm_fir_quality quality;
} conversion;

static size_t bytes_per_sample(vm_encoding encoding) {
    return encoding == VM_PCM_S16LE ? 2 : 1;
}

static void encode(uint8_t *dst, const void *pcm, size_t n, vm_encoding encoding) {
    if (encoding == VM_PCM_S16LE) memcpy(dst, pcm, 2 * n);
    if (encoding == VM_MULAW) vm_g711_mulaw_encode(dst, pcm, n);
    if (encoding == VM_ALAW) vm_g711_alaw_encode(dst, pcm, n);
}

/* `n` whole samples, step by step. */
static block slow_convert(const conversion *c, const uint8_t *data, size_t n, size_t *n_bytes) {
    vm_fir *fir = new_stream(c->from_hz, c->to_hz, c->quality);
    LAW(fir != NULL);
    const size_t n_out = vm_fir_count(fir, n), n_tail = vm_fir_latency(fir);
    const block pcm = room_for(2 * n, 0), resampled = room_for(2 * (n_out + n_tail), 0);
    const block out = room_for(bytes_per_sample(c->to) * (n_out + n_tail), 0);
    if (c->from == VM_PCM_S16LE && n > 0) memcpy(pcm.at, data, 2 * n);
    if (c->from == VM_MULAW) vm_g711_mulaw_decode((void *)pcm.at, data, n);
    if (c->from == VM_ALAW) vm_g711_alaw_decode((void *)pcm.at, data, n);
    LAW(vm_fir_push(fir, (void *)resampled.at, (const void *)pcm.at, n) == n_out);
    LAW(vm_fir_flush(fir, (void *)(resampled.at + 2 * n_out)) == n_tail);
    encode(out.at, resampled.at, n_out + n_tail, c->to);
    *n_bytes = bytes_per_sample(c->to) * (n_out + n_tail);
    /* The same law both ways without another rate is no conversion: codes stay as they are. */
    if (c->from == c->to && c->from_hz == c->to_hz && *n_bytes > 0) memcpy(out.at, data, *n_bytes);
    vm_fir_free(fir);
    free(pcm.all), free(resampled.all);
    return out;
}

/* Push and flush; return the bytes written. */
static size_t run(vm_converter *converter, cuts chunks, const uint8_t *data, size_t n, const block *out) {
    size_t n_given = 0, n_got = 0;
    while (n_given < n) {
        const size_t n_chunk = next_cut(&chunks, n - n_given);
        const size_t n_expected = vm_converter_count(converter, n_chunk);
        const block chunk = copy_of(data + n_given, n_chunk, 0);
        LAW(n_expected <= vm_converter_max_output(converter, n_chunk));
        LAW(vm_converter_push(converter, out->at + n_got, chunk.at, n_chunk) == n_expected);
        n_given += n_chunk;
        n_got += n_expected;
        free(chunk.all);
    }
    const size_t n_flushed = vm_converter_flush(converter, out->at + n_got);
    LAW(n_flushed <= vm_converter_max_flush(converter));
    return n_got + n_flushed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    conversion c = {.from = (vm_encoding)(take_byte(&in) % 3), .to = (vm_encoding)(take_byte(&in) % 3)};
    c.from_hz = take_rate(&in);
    c.to_hz = take_rate(&in);
    const uint8_t quality = take_byte(&in) % 4;
    c.quality = (vm_fir_quality)quality;
    use_variant(take_byte(&in));
    const cuts chunks = take_cuts(&in);

    vm_converter *converter = vm_converter_new(c.from, c.from_hz, c.to, c.to_hz, c.quality);
    LAW((converter != NULL) == (is_rate(c.from_hz) && is_rate(c.to_hz) && quality < 3));
    if (converter == NULL) return 0;
    /* A last byte that is half a sample is dropped by the flush. */
    const size_t size_in = bytes_per_sample(c.from), n = n_samples(in.n, size_in, c.from_hz, c.to_hz);
    const size_t n_bytes = less(in.n, n * size_in + (size_in == 2 && in.n % 2 == 1));
    size_t n_expected;
    const block expected = slow_convert(&c, in.at, n, &n_expected), got = room_for(n_expected, 0);
    for (int i = 0; i < 2; i++) { /* the second time from where the flush left it */
        LAW(run(converter, chunks, in.at, n_bytes, &got) == n_expected);
        LAW(same_bytes(got.at, expected.at, n_expected));
    }
    free(expected.all), free(got.all);
    vm_converter_free(converter);
    return 0;
}
