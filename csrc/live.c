#include "live.h"

#include <string.h>

/* Repay only what is truly ahead: two frames of slack for ordinary jitter. */
enum { REPAY_SLACK_FRAMES = 2 };

void vm_live_init(vm_live *live, int64_t frame_ns, int64_t min_gap_ns, int64_t max_ahead_ns) {
    memset(live, 0, sizeof *live);
    live->frame_ns = frame_ns;
    live->min_gap_ns = min_gap_ns;
    live->max_ahead_ns = max_ahead_ns;
}

static int64_t gap_ns(const vm_live *live) {
    const int64_t twice = 2 * live->largest_chunk_ns;
    return twice > live->min_gap_ns ? twice : live->min_gap_ns;
}

void vm_live_open(vm_live *live, int64_t now_ns) {
    live->is_open = true;
    live->until_ns = now_ns;
    live->last_media_ns = now_ns - gap_ns(live); /* nothing came yet: silence runs at once */
}

void vm_live_arrived(vm_live *live, int64_t chunk_ns, int64_t now_ns) {
    if (chunk_ns > live->largest_chunk_ns) live->largest_chunk_ns = chunk_ns;
    live->last_media_ns = now_ns;
    /* A provider whose clock is slow must not save up credit for a flood. */
    const int64_t oldest = now_ns - gap_ns(live);
    if (live->is_open && live->until_ns < oldest) live->until_ns = oldest;
}

vm_live_verdict vm_live_judge(vm_live *live, bool is_silent, int64_t now_ns) {
    const int64_t ahead = live->until_ns - now_ns;
    if (is_silent && live->debt_ns >= live->frame_ns && ahead >= REPAY_SLACK_FRAMES * live->frame_ns) {
        live->debt_ns -= live->frame_ns;
        return VM_LIVE_REPAY;
    }
    if (live->max_ahead_ns != INT64_MAX && ahead >= live->max_ahead_ns) return VM_LIVE_FLOOD;
    live->until_ns += live->frame_ns;
    return VM_LIVE_SEND;
}

/* Largest magnitudes that count as silence: 16-bit, and in G.711 codes the steps of the lowest segment up to the same. */
enum { SILENT_PCM = 64, SILENT_MULAW = 8, SILENT_ALAW = 4 };

bool vm_live_is_silent(vm_encoding encoding, const uint8_t *audio, size_t n) {
    if (encoding == VM_PCM_S16LE) {
        for (size_t i = 0; i + 1 < n; i += 2) {
            const int sample = (int16_t)(uint16_t)(audio[i] | audio[i + 1] << 8);
            if (sample > SILENT_PCM || sample < -SILENT_PCM) return false;
        }
        return true;
    }
    const uint8_t flip = encoding == VM_MULAW ? 0xFF : 0x55; /* G.711 sends codes inverted */
    const uint8_t limit = encoding == VM_MULAW ? SILENT_MULAW : SILENT_ALAW;
    for (size_t i = 0; i < n; i++) {
        if (((audio[i] ^ flip) & 0x7F) > limit) return false;
    }
    return true;
}

bool vm_live_silence_due(vm_live *live, int64_t now_ns) {
    if (now_ns < vm_live_next_ns(live)) return false;
    live->until_ns += live->frame_ns;
    live->debt_ns += live->frame_ns;
    return true;
}

int64_t vm_live_next_ns(const vm_live *live) {
    if (!live->is_open) return INT64_MAX;
    /* A frame of silence stands for time that has passed, so it is due at its end. */
    const int64_t by_clock = live->until_ns + live->frame_ns;
    const int64_t by_gap = live->last_media_ns + gap_ns(live);
    return by_clock > by_gap ? by_clock : by_gap;
}
