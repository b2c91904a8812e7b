/* A whole signal at any step in memory is the stream of it without the delay, and nothing beside it is
 * touched. */
#include "line.h"

#include "../streams.h"

typedef struct strided {
    block room;
    uint8_t *first;
    ptrdiff_t step;
    size_t n, size;
} strided;

/* `n` samples of `size` bytes that lie `step` bytes apart, forwards or backwards, among bytes of `filler`. */
static strided spread(size_t n, size_t size, ptrdiff_t step, uint8_t filler) {
    const size_t stride = (size_t)(step < 0 ? -step : step), n_bytes = n == 0 ? 0 : (n - 1) * stride + size;
    strided made = {.room = room_for(n_bytes, 0), .step = step, .n = n, .size = size};
    memset(made.room.at, filler, n_bytes);
    made.first = step < 0 && n > 0 ? made.room.at + (n - 1) * stride : made.room.at;
    return made;
}

static uint8_t *sample(const strided *s, size_t i) {
    return s->first + (ptrdiff_t)i * s->step;
}

static void check(vm_fir *fir, const uint8_t *data, size_t n, size_t size, ptrdiff_t in_step,
                  ptrdiff_t out_step) {
    const size_t n_out = vm_fir_count(fir, n), n_tail = vm_fir_latency(fir);
    const block stream = room_for((n_out + n_tail) * size, 0);
    void *tail = stream.at + n_out * size;
    const strided from = spread(n, size, in_step, 0), to = spread(n_out, size, out_step, 0xA5);
    for (size_t i = 0; i < n; i++)
        memcpy(sample(&from, i), data + i * size, size);

    const block aligned = copy_of(data, n * size, 0);
    const vm_line dst = {to.first, out_step}, src = {from.first, in_step};
    if (size == 2) {
        LAW(vm_fir_push(fir, (void *)stream.at, (const void *)aligned.at, n) == n_out);
        LAW(vm_fir_flush(fir, tail) == n_tail);
        LAW(vm_line_resample(fir, dst, src, n) == 0);
    } else {
        LAW(vm_fir_push_f32(fir, (void *)stream.at, (const void *)aligned.at, n) == n_out);
        LAW(vm_fir_flush_f32(fir, tail) == n_tail);
        LAW(vm_line_resample_f32(fir, dst, src, n) == 0);
    }
    for (size_t i = 0; i < n_out; i++)
        LAW(same_bytes(sample(&to, i), stream.at + (n_tail + i) * size, size));
    const size_t stride = (size_t)(out_step < 0 ? -out_step : out_step);
    for (size_t i = 0; i + 1 < n_out; i++) {
        for (size_t gap = size; gap < stride; gap++)
            LAW(to.room.at[i * stride + gap] == 0xA5);
    }
    free(stream.all), free(aligned.all), free(from.room.all), free(to.room.all);
}

/* At least the samples' size apart, either way. */
static ptrdiff_t take_step(input *in, size_t size) {
    const uint8_t choice = take_byte(in);
    const ptrdiff_t step = (ptrdiff_t)size + choice % 16;
    return choice >= 128 ? -step : step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    const uint32_t from_hz = take_rate(&in), to_hz = take_rate(&in);
    use_variant(take_byte(&in));
    const uint8_t flags = take_byte(&in);
    const size_t sample_bytes = flags & 1 ? sizeof(float) : sizeof(int16_t);
    const ptrdiff_t in_step = take_step(&in, sample_bytes), out_step = take_step(&in, sample_bytes);
    vm_fir *fir = new_stream(from_hz, to_hz, (vm_fir_quality)(flags / 2 % 3));
    if (fir == NULL) return 0;
    const size_t n = n_samples(in.n, sample_bytes, from_hz, to_hz);
    block finite = copy_of(in.at, n * sample_bytes, 0);
    for (size_t i = 0; sample_bytes == sizeof(float) && i < n; i++)
        finite.at[i * sizeof(float) + 3] &= 0xBF; /* no infinity: what is no number has several spellings */
    check(fir, finite.at, n, sample_bytes, in_step, out_step);
    free(finite.all);
    vm_fir_free(fir);
    return 0;
}
