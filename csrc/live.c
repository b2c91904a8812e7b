#include "live.h"

#include <string.h>

enum {
    REPAY_SLACK_FRAMES = 2, /* repay only what is truly ahead, not ordinary jitter */
    DRIFT_SHARE = 128,      /* clocks differ by far less than 1 in this */
    FORGET_SHARE = 64       /* an odd chunk fades by this share per message: in seconds */
};

static const int64_t MAX_CHUNK_NS =
    INT64_C(500) * 1000 * 1000; /* one odd message must not stop gaps being filled */
/* Time without audio for longer than this is not made up for: we were asleep, not the caller. */
static const int64_t MAX_BEHIND_NS = INT64_C(2000) * 1000 * 1000;

void vm_live_init(vm_live *live, int64_t frame_ns, int64_t min_gap_ns, int64_t max_ahead_ns, bool is_paced) {
    memset(live, 0, sizeof *live);
    live->frame_ns = frame_ns;
    live->min_gap_ns = min_gap_ns;
    live->max_ahead_ns = max_ahead_ns;
    live->is_paced = is_paced;
    live->last_media_ns = INT64_MIN;
}

static int64_t gap_ns(const vm_live *live) {
    const int64_t twice = 2 * live->largest_chunk_ns;
    return twice > live->min_gap_ns ? twice : live->min_gap_ns;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

void vm_live_open(vm_live *live, int64_t held_ns, int64_t now_ns) {
    live->is_open = true;
    live->until_ns = now_ns - held_ns;
    /* Where nothing came yet, silence runs at once. */
    live->last_media_ns = larger(live->last_media_ns, now_ns - gap_ns(live));
}

void vm_live_resume(vm_live *live, int64_t held_ns, int64_t now_ns) {
    live->until_ns = larger(live->until_ns, now_ns - held_ns);
}

/* Neither may a slow clock save up credit for a flood, nor a fast one use up the room of a burst. A burst
 * that silence stands for is no drift: its debt will be repaid. */
static void write_off_drift(vm_live *live, int64_t elapsed_ns, int64_t now_ns) {
    const int64_t drift_ns = elapsed_ns / DRIFT_SHARE;
    const int64_t oldest_ns = now_ns - gap_ns(live);
    if (live->until_ns < oldest_ns) {
        live->until_ns += smaller(drift_ns, oldest_ns - live->until_ns);
    } else if (live->until_ns > now_ns && live->debt_ns < live->frame_ns) {
        live->until_ns -= smaller(drift_ns, live->until_ns - now_ns);
    }
    live->until_ns = larger(live->until_ns, now_ns - MAX_BEHIND_NS);
}

void vm_live_arrived(vm_live *live, int64_t chunk_ns, int64_t now_ns) {
    chunk_ns = smaller(chunk_ns, MAX_CHUNK_NS);
    if (chunk_ns < live->largest_chunk_ns) {
        live->largest_chunk_ns -= (live->largest_chunk_ns - chunk_ns) / FORGET_SHARE;
    } else {
        live->largest_chunk_ns = chunk_ns;
    }
    if (live->is_open && now_ns > live->last_media_ns)
        write_off_drift(live, now_ns - live->last_media_ns, now_ns);
    live->last_media_ns = larger(live->last_media_ns, now_ns);
}

void vm_live_inserted(vm_live *live, int64_t duration_ns) {
    if (live->is_open) live->debt_ns += duration_ns;
}

vm_live_verdict vm_live_judge(vm_live *live, vm_encoding encoding, const uint8_t *frame, size_t n,
                              bool is_own, int64_t now_ns) {
    const int64_t ahead_ns = live->until_ns - now_ns;
    if (live->is_paced) {
        if (!is_own && live->debt_ns >= live->frame_ns && ahead_ns >= REPAY_SLACK_FRAMES * live->frame_ns &&
            vm_live_is_silent(encoding, frame, n)) {
            live->debt_ns -= live->frame_ns;
            return VM_LIVE_REPAY;
        }
        if (ahead_ns >= live->max_ahead_ns) return VM_LIVE_FLOOD;
    }
    live->until_ns += live->frame_ns;
    return VM_LIVE_SEND;
}

int64_t vm_live_expires_ns(const vm_live *live, int64_t waiting_ns, int64_t max_age_ns) {
    if (waiting_ns > max_age_ns) return INT64_MIN;
    /* A pause between messages is no age: only when nothing comes for longer does the newest grow old. */
    return live->last_media_ns + gap_ns(live) + max_age_ns - waiting_ns;
}

/* Largest magnitudes that count as silence: 16-bit, and in G.711 codes the steps of the lowest segment up to
 * the same. */
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

bool vm_live_silence_due(vm_live *live, int64_t held_ns, int64_t now_ns) {
    if (now_ns < vm_live_next_ns(live)) return false;
    live->until_ns = larger(live->until_ns, now_ns - MAX_BEHIND_NS) + live->frame_ns;
    live->debt_ns += live->frame_ns - held_ns;
    return true;
}

int64_t vm_live_next_ns(const vm_live *live) {
    if (!live->is_open || !live->is_paced) return INT64_MAX;
    /* A frame of silence stands for time that has passed, so it is due at its end. */
    return larger(live->until_ns + live->frame_ns, live->last_media_ns + gap_ns(live));
}
