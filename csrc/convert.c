#include "convert.h"

#include <stdlib.h>
#include <string.h>

#include "g711.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pcm_s16le is handled in native byte order: only little-endian machines are supported"
#endif

enum {
    PIECE = 960,   /* samples decoded at a time: a frame of 20 ms at 48 kHz is one piece */
    MAX_OUT = 1920 /* samples that one piece may become */
};

struct vm_converter {
    vm_fir *fir;
    vm_encoding from, to;
    uint32_t n_piece;
    int resamples;
    int has_odd_byte; /* the first half of a 16-bit sample */
    uint8_t odd_byte;
};

static size_t bytes_per_sample(vm_encoding encoding) {
    return encoding == VM_PCM_S16LE ? 2 : 1;
}

vm_converter *vm_converter_new(vm_encoding from, uint32_t from_hz, vm_encoding to, uint32_t to_hz,
                               vm_fir_quality quality) {
    vm_converter *converter = calloc(1, sizeof *converter);
    if (converter == NULL) return NULL;
    converter->fir = vm_fir_new(from_hz, to_hz, quality);
    if (converter->fir == NULL) {
        free(converter);
        return NULL;
    }
    converter->from = from;
    converter->to = to;
    converter->resamples = vm_fir_latency(converter->fir) > 0;
    uint64_t n_piece = (uint64_t)(MAX_OUT - 1) * from_hz / to_hz;
    converter->n_piece = n_piece < PIECE ? (uint32_t)n_piece : PIECE;
    return converter;
}

void vm_converter_free(vm_converter *converter) {
    if (converter == NULL) return;
    vm_fir_free(converter->fir);
    free(converter);
}

void vm_converter_reset(vm_converter *converter) {
    converter->has_odd_byte = 0;
    vm_fir_reset(converter->fir);
}

uint32_t vm_converter_latency(const vm_converter *converter) {
    return vm_fir_latency(converter->fir);
}

size_t vm_converter_count(const vm_converter *converter, size_t n) {
    if (converter->from == VM_PCM_S16LE) n = (n + (size_t)converter->has_odd_byte) / 2;
    return vm_fir_count(converter->fir, n) * bytes_per_sample(converter->to);
}

size_t vm_converter_max_output(const vm_converter *converter, size_t n) {
    if (converter->from == VM_PCM_S16LE) n = (n + 1) / 2;
    return vm_fir_max_output(converter->fir, n) * bytes_per_sample(converter->to);
}

size_t vm_converter_max_flush(const vm_converter *converter) {
    return vm_fir_latency(converter->fir) * bytes_per_sample(converter->to);
}

size_t vm_converter_state_bytes(const vm_converter *converter) {
    return sizeof *converter + vm_fir_state_bytes(converter->fir);
}

static void decode(int16_t *pcm, const uint8_t *src, size_t n, vm_encoding encoding) {
    if (encoding == VM_MULAW) {
        vm_g711_mulaw_decode(pcm, src, n);
    } else {
        vm_g711_alaw_decode(pcm, src, n);
    }
}

static void encode(uint8_t *dst, const int16_t *pcm, size_t n, vm_encoding encoding) {
    if (encoding == VM_MULAW) {
        vm_g711_mulaw_encode(dst, pcm, n);
    } else {
        vm_g711_alaw_encode(dst, pcm, n);
    }
}

/* Convert `n` whole samples; return the bytes written. What is pcm already is read and written where it lies:
 * the kernels take any alignment. */
static size_t run(vm_converter *converter, uint8_t *dst, const uint8_t *src, size_t n) {
    int from_pcm = converter->from == VM_PCM_S16LE, to_pcm = converter->to == VM_PCM_S16LE;
    size_t n_in_bytes = bytes_per_sample(converter->from);
    size_t n_out_bytes = bytes_per_sample(converter->to);
    uint8_t *to = dst;

    if (from_pcm && to_pcm) return 2 * vm_fir_push(converter->fir, (void *)dst, (const void *)src, n);
    if (!converter->resamples && converter->from == converter->to) {
        if (n > 0) memcpy(dst, src, n);
        return n;
    }
    while (n > 0) {
        int16_t decoded[PIECE];
        int16_t resampled[MAX_OUT];
        size_t n_piece = n < converter->n_piece ? n : converter->n_piece;
        size_t n_ready = n_piece;
        const void *ready = src;

        if (!from_pcm) {
            void *room = to_pcm && !converter->resamples ? (void *)to : decoded;
            decode(room, src, n_piece, converter->from);
            ready = room;
        }
        if (converter->resamples) {
            void *room = to_pcm ? (void *)to : resampled;
            n_ready = vm_fir_push(converter->fir, room, ready, n_piece);
            ready = room;
        }
        if (!to_pcm) encode(to, ready, n_ready, converter->to);
        to += n_ready * n_out_bytes;
        src += n_piece * n_in_bytes;
        n -= n_piece;
    }
    return (size_t)(to - dst);
}

/* Convert the carried half of a sample with as much as follows in one piece; return the bytes written. */
static size_t run_joined(vm_converter *converter, uint8_t *dst, const uint8_t *src, size_t n_bytes) {
    uint8_t joined[2 * PIECE];
    joined[0] = converter->odd_byte;
    memcpy(joined + 1, src, n_bytes);
    return run(converter, dst, joined, (n_bytes + 1) / 2);
}

size_t vm_converter_push(vm_converter *converter, uint8_t *dst, const uint8_t *src, size_t n) {
    if (n == 0) return 0;
    if (converter->from != VM_PCM_S16LE) return run(converter, dst, src, n);

    size_t n_written = 0;
    if (converter->has_odd_byte) {
        size_t n_joined = n < 2 * PIECE - 1 ? (n - 1) / 2 * 2 + 1 : 2 * PIECE - 1;
        n_written = run_joined(converter, dst, src, n_joined);
        src += n_joined;
        n -= n_joined;
    }
    converter->has_odd_byte = (int)(n & 1);
    if (converter->has_odd_byte) converter->odd_byte = src[n - 1];
    return n_written + run(converter, dst + n_written, src, n / 2);
}

size_t vm_converter_flush(vm_converter *converter, uint8_t *dst) {
    size_t n_left = vm_fir_latency(converter->fir);
    uint8_t *to = dst;
    if (converter->to == VM_PCM_S16LE) {
        to += 2 * vm_fir_flush(converter->fir, (void *)dst);
        n_left = 0;
    }
    while (n_left > 0) { /* as vm_fir_flush does: silence pushes the tail out; in pieces, to encode them */
        const int16_t silence[PIECE] = {0};
        int16_t pcm[MAX_OUT];
        size_t n_ready = vm_fir_push(converter->fir, pcm, silence, converter->n_piece);
        if (n_ready > n_left) n_ready = n_left;
        encode(to, pcm, n_ready, converter->to);
        to += n_ready;
        n_left -= n_ready;
    }
    vm_converter_reset(converter);
    return (size_t)(to - dst);
}
