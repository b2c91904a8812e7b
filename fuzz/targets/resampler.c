/* One stream: exact counts, the same samples however it is cut, in every variant, and after a flush. */
#include <math.h>

#include "../streams.h"

/* What all that is checked here has in common. */
typedef struct stream {
    uint32_t from_hz, to_hz;
    vm_fir_quality quality;
    cuts chunks;
    size_t offset;
    const uint8_t *data;
    size_t n, n_out; /* samples in, and out of a push of all of them */
    size_t n_tail;
} stream;

/* Push all of it, cut or whole, then flush: samples of `size` bytes. */
static block run(vm_fir *fir, const stream *s, const uint8_t *data, size_t size, bool is_cut) {
    const block out = room_for((s->n_out + s->n_tail) * size, s->offset);
    cuts chunks = s->chunks;
    size_t n_given = 0, n_got = 0;
    while (n_given < s->n) {
        const size_t n = is_cut ? next_cut(&chunks, s->n - n_given) : s->n;
        const size_t n_expected = vm_fir_count(fir, n);
        const block chunk = copy_of(data + n_given * size, n * size, s->offset);
        void *to = out.at + n_got * size;
        LAW(n_expected <= vm_fir_max_output(fir, n));
        LAW((size == 2 ? vm_fir_push(fir, to, (const void *)chunk.at, n)
                       : vm_fir_push_f32(fir, to, (const void *)chunk.at, n)) == n_expected);
        n_given += n;
        n_got += n_expected;
        LAW(n_got == n_resampled(n_given, s->from_hz, s->to_hz));
        free(chunk.all);
    }
    void *tail = out.at + n_got * size;
    LAW((size == 2 ? vm_fir_flush(fir, tail) : vm_fir_flush_f32(fir, tail)) == s->n_tail);
    return out;
}

static void check_variants(const stream *s, vm_fir *scalar, vm_fir *fir, const char *variant) {
    LAW(vm_dispatch_init("scalar") == 0);
    const block expected = run(scalar, s, s->data, 2, false);
    LAW(vm_dispatch_init(variant) == 0);
    const block cut = run(fir, s, s->data, 2, true), whole = run(fir, s, s->data, 2, false);
    check_pcm(cut.at, expected.at, s->n_out + s->n_tail, variant);
    LAW(same_bytes(cut.at, whole.at, 2 * (s->n_out + s->n_tail)));
    free(expected.all), free(cut.all), free(whole.all);
}

/* Delayed by one period of the ratio in, by one out. */
static void check_delay(const stream *s, vm_fir *fir) {
    uint32_t divisor = s->from_hz, rest = s->to_hz;
    while (rest != 0) {
        const uint32_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    const size_t n_before = s->from_hz / divisor, n_silent = s->to_hz / divisor;
    if (n_before > 200 || n_silent > 200) return;
    stream later = *s;
    later.n += n_before;
    later.n_out += n_silent;
    const block data = room_for(2 * later.n, 0);
    memset(data.at, 0, 2 * n_before);
    if (s->n > 0) memcpy(data.at + 2 * n_before, s->data, 2 * s->n);
    const block first = run(fir, s, s->data, 2, true), second = run(fir, &later, data.at, 2, true);
    for (size_t i = 0; i < n_silent; i++)
        LAW(pcm_at(second.at, i) == 0);
    LAW(same_bytes(second.at + 2 * n_silent, first.at, 2 * (s->n_out + s->n_tail)));
    free(data.all), free(first.all), free(second.all);
}

static float float_at(const uint8_t *floats, size_t i) {
    float value;
    memcpy(&value, floats + i * sizeof value, sizeof value);
    return value;
}

/* 16-bit samples are the floats', rounded. */
static void check_rounding(const stream *s, vm_fir *fir) {
    const block wide = room_for(s->n * sizeof(float), 0);
    for (size_t i = 0; i < s->n; i++) {
        const float value = (float)pcm_at(s->data, i);
        memcpy(wide.at + i * sizeof value, &value, sizeof value);
    }
    stream aligned = *s;
    aligned.offset = s->offset / 4 * 4;
    const block floats = run(fir, &aligned, wide.at, sizeof(float), true),
                pcm = run(fir, s, s->data, 2, true);
    for (size_t i = 0; i < s->n_out + s->n_tail; i++) {
        const float rounded = nearbyintf(float_at(floats.at, i));
        LAW(pcm_at(pcm.at, i) == (int)fmaxf(-32768.0f, fminf(32767.0f, rounded)));
    }
    free(wide.all), free(floats.all), free(pcm.all);
}

/* Any bits may be floats: only of infinities and what is no number it may matter how they are cut. */
static void check_floats(const stream *s, vm_fir *fir) {
    const block any = copy_of(s->data, s->n / 2 * sizeof(float), 0);
    stream floats = *s;
    floats.n = s->n / 2;
    floats.n_out = n_resampled(floats.n, s->from_hz, s->to_hz);
    floats.offset = s->offset / 4 * 4;
    free(run(fir, &floats, any.at, sizeof(float), true).all);
    for (size_t i = 0; i < floats.n; i++)
        any.at[i * sizeof(float) + 3] &= 0xBF;
    const block cut = run(fir, &floats, any.at, sizeof(float), true);
    const block whole = run(fir, &floats, any.at, sizeof(float), false);
    for (size_t i = 0; i < floats.n_out + floats.n_tail; i++)
        LAW(float_at(cut.at, i) == float_at(whole.at, i));
    free(any.all), free(cut.all), free(whole.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    stream s = {.from_hz = take_rate(&in), .to_hz = take_rate(&in)};
    const uint8_t quality = take_byte(&in) % 4;
    const char *variant = use_variant(take_byte(&in));
    s.quality = (vm_fir_quality)quality;
    s.offset = take_byte(&in) % 64;
    s.chunks = take_cuts(&in);
    s.data = in.at;

    vm_fir *scalar = new_stream(s.from_hz, s.to_hz, s.quality);
    LAW((scalar != NULL) == (is_rate(s.from_hz) && is_rate(s.to_hz) && quality < 3));
    if (scalar == NULL) return 0;
    vm_fir *fir = vm_fir_new(s.from_hz, s.to_hz, s.quality);
    LAW(fir != NULL);
    s.n = n_samples(in.n, 2, s.from_hz, s.to_hz);
    s.n_out = n_resampled(s.n, s.from_hz, s.to_hz);
    s.n_tail = vm_fir_latency(fir);
    check_variants(&s, scalar, fir, variant);
    check_delay(&s, fir);
    check_rounding(&s, fir);
    check_floats(&s, fir);
    vm_fir_free(scalar);
    vm_fir_free(fir);
    return 0;
}
