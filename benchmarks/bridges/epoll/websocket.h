/* The little of RFC 6455 that a bridge needs once a connection is open. */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 }; /* s. 5.2 */
enum { WS_HEADROOM = 8 }; /* 2 + 2 of length + 4 of mask */

/* xorshift64*; `state` is seeded by the kernel and never 0. */
static inline uint32_t ws_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545f4914f6cdd1dULL >> 32);
}

static inline void ws_mask(uint8_t *bytes, size_t n, const uint8_t *mask) {
    uint32_t four;
    memcpy(&four, mask, sizeof four);
    uint64_t twice = (uint64_t)four << 32 | four, eight;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&eight, bytes + i, sizeof eight);
        eight ^= twice;
        memcpy(bytes + i, &eight, sizeof eight);
    }
    for (; i < n; i++)
        bytes[i] ^= mask[i % 4];
}

/* Put the head of a message before the `n` < 65536 bytes of `body`, mask them if `mask` is given; return
 * where the head begins. */
static inline uint8_t *ws_wrap(uint8_t *body, size_t n, unsigned opcode, const uint32_t *mask) {
    uint8_t *at = body, bit = mask == NULL ? 0 : 0x80;
    if (mask != NULL) {
        memcpy(at -= 4, mask, 4);
        ws_mask(body, n, at);
    }
    if (n >= 126) {
        *--at = (uint8_t)n;
        *--at = (uint8_t)(n >> 8);
    }
    *--at = (uint8_t)(n < 126 ? n : 126) | bit;
    *--at = (uint8_t)(0x80 | opcode);
    return at;
}

typedef struct ws_frame {
    uint8_t *payload;
    size_t n;
    unsigned opcode;
    bool is_masked;
} ws_frame;

/* Find the frame that begins at `at`. Return its whole size, 0 if it is not all there yet, or -1 if it is a
 * fragment, uses extensions or is longer than `most`. */
static inline ptrdiff_t ws_find(ws_frame *frame, uint8_t *at, size_t left, size_t most) {
    if (left < 2) return 0;
    size_t n = at[1] & 0x7f, n_head = 2;
    frame->is_masked = at[1] >> 7;
    if (at[0] >> 4 != 8 || n == 127) return -1;
    if (n == 126) {
        if (left < 4) return 0;
        n = (size_t)at[2] << 8 | at[3];
        n_head = 4;
    }
    n_head += frame->is_masked ? 4 : 0;
    if (n_head + n > most) return -1;
    if (left < n_head + n) return 0;
    frame->payload = at + n_head;
    frame->n = n;
    frame->opcode = at[0] & 15;
    return (ptrdiff_t)(n_head + n);
}

#endif
