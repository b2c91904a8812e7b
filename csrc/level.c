#include "level.h"

#include "g711_law.h"

enum {
    /* No tone in use has a period of seven samples, at 8 or at 16 kHz: all of its phases are met. */
    STRIDE = 7,
    SMOOTHING = 2 /* a new measurement's share is 1 in this: 30 dB a second downwards */
};

static const int64_t INTERVAL_NS = INT64_C(95) * 1000 * 1000; /* every fifth frame of 20 ms, jitter allowed */
static const int64_t FORGET_NS = INT64_C(1000) * 1000 * 1000;

static uint32_t mean_square(vm_encoding encoding, const uint8_t *audio, size_t n) {
    uint64_t sum = 0;
    uint32_t count = 0;
    const size_t width = encoding == VM_PCM_S16LE ? 2 : 1;
    for (size_t i = 0; i + width <= n; i += STRIDE * width, count++) {
        const int32_t sample = width == 2             ? (int16_t)(uint16_t)(audio[i] | audio[i + 1] << 8)
                               : encoding == VM_MULAW ? VM_G711_MULAW(audio[i])
                                                      : VM_G711_ALAW(audio[i]);
        sum += (uint64_t)((int64_t)sample * sample);
    }
    return count == 0 ? 0 : (uint32_t)(sum / count);
}

void vm_level_add(vm_level *level, vm_encoding encoding, const uint8_t *audio, size_t n, int64_t now_ns) {
    const int64_t elapsed_ns = now_ns - level->measured_ns;
    if ((elapsed_ns < INTERVAL_NS && level->measured_ns != 0) || n == 0) return;
    const uint32_t power = mean_square(encoding, audio, n);
    if (elapsed_ns >= FORGET_NS || level->measured_ns == 0) {
        level->power = power;
    } else {
        level->power = (uint32_t)(level->power + ((int64_t)power - level->power) / SMOOTHING);
    }
    level->measured_ns = now_ns;
}

int64_t vm_level_power(const vm_level *level, int64_t now_ns) {
    if (level->measured_ns == 0 || now_ns - level->measured_ns >= FORGET_NS) return -1;
    return level->power;
}
