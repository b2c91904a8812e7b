/* What the targets of resampled streams share: rates, and how many samples there must be. */
#ifndef VM_FUZZ_STREAMS_H
#define VM_FUZZ_STREAMS_H

#include "fir.h"
#include "fuzz.h"

enum { MAX_OUTPUT = 2500 /* samples: long enough for several pieces of a stream */ };

enum { N_USUAL = 8 };
static const uint32_t USUAL[N_USUAL] = {8000, 16000, 24000, 48000, 11025, 22050, 44100, 32000};

/* The usual rates, whole kilohertz, and any: some of them are none. */
static inline uint32_t take_rate(input *in) {
    const uint8_t choice = take_byte(in);
    if (choice < 200) return USUAL[choice % N_USUAL];
    if (choice < 250) return 1000 * (choice - 199u);
    return 3 * take_word(in) + choice;
}

/* A stream as vm_fir_new makes it. Coefficients take longer to design than all that is done with them here:
 * those of the usual rates are kept for the next time by a stream that is never freed. */
static inline vm_fir *new_stream(uint32_t from_hz, uint32_t to_hz, vm_fir_quality quality) {
    static vm_fir *kept[N_USUAL][N_USUAL][3];
    for (size_t i = 0; i < N_USUAL * N_USUAL && quality <= VM_FIR_HIGH; i++) {
        vm_fir **place = &kept[i / N_USUAL][i % N_USUAL][quality];
        if (*place == NULL && USUAL[i / N_USUAL] == from_hz && USUAL[i % N_USUAL] == to_hz)
            *place = vm_fir_new(from_hz, to_hz, quality);
    }
    return vm_fir_new(from_hz, to_hz, quality);
}

static inline bool is_rate(uint32_t hz) {
    return hz >= 1000 && hz <= 192000;
}

/* Whole samples that the rest of the input is cut to, so that a target stays fast. */
static inline size_t n_samples(size_t n_bytes, size_t sample_bytes, uint32_t from_hz, uint32_t to_hz) {
    return less(n_bytes / sample_bytes, (size_t)((uint64_t)MAX_OUTPUT * from_hz / to_hz));
}

static inline size_t n_resampled(size_t n, uint32_t from_hz, uint32_t to_hz) {
    return (size_t)(((uint64_t)n * to_hz + from_hz - 1) / from_hz);
}

static inline int pcm_at(const uint8_t *pcm, size_t i) {
    int16_t sample;
    memcpy(&sample, pcm + 2 * i, 2);
    return sample;
}

/* SSE2 has no fused multiply-add: its samples may lie one beside. */
static inline void check_pcm(const uint8_t *got, const uint8_t *expected, size_t n, const char *variant) {
    if (strcmp(variant, "sse2") != 0) {
        LAW(same_bytes(got, expected, 2 * n));
        return;
    }
    for (size_t i = 0; i < n; i++)
        LAW(abs(pcm_at(got, i) - pcm_at(expected, i)) <= 1);
}

#endif
