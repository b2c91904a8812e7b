#include "stereo.h"

#include <string.h>

enum { PAIR = 4 };

/* A pair is read as one number: compilers make shuffles of this loop, which they do not of two strides. */
static void split(int16_t *left, int16_t *right, const uint8_t *src, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t pair;
        memcpy(&pair, src + PAIR * i, PAIR);
        left[i] = (int16_t)(uint16_t)(pair & 0xFFFFu);
        right[i] = (int16_t)(uint16_t)(pair >> 16);
    }
}

void vm_stereo_init(vm_stereo *stereo) {
    stereo->n_held = 0;
}

size_t vm_stereo_count(const vm_stereo *stereo, size_t n) {
    return (stereo->n_held + n) / PAIR;
}

size_t vm_stereo_push(vm_stereo *stereo, int16_t *left, int16_t *right, const uint8_t *src, size_t n) {
    size_t done = 0;
    if (stereo->n_held > 0) {
        size_t wanted = PAIR - stereo->n_held;
        size_t taken = n < wanted ? n : wanted;
        if (taken > 0) memcpy(stereo->held + stereo->n_held, src, taken);
        stereo->n_held += taken;
        if (stereo->n_held < PAIR) return 0;
        split(left, right, stereo->held, 1);
        src += taken;
        n -= taken;
        done = 1;
    }
    size_t whole = n / PAIR;
    split(left + done, right + done, src, whole);
    stereo->n_held = n % PAIR;
    if (stereo->n_held > 0) memcpy(stereo->held, src + PAIR * whole, stereo->n_held);
    return done + whole;
}
