#include "base64.h"

static const char ALPHABET[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { VALID_MASK = 0x3F };

/* Value of each character, 255 for what is not in the alphabet ('=' included). */
#define ROW_INVALID 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
/* clang-format off */
static const uint8_t VALUES[256] = {
    ROW_INVALID, ROW_INVALID,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 62,  255, 255, 255, 63, /* 0x20: + / */
    52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  255, 255, 255, 255, 255, 255, /* 0x30: digits */
    255, 0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14, /* 0x40: A.. */
    15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  255, 255, 255, 255, 255, /* 0x50: ..Z */
    255, 26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40, /* 0x60: a.. */
    41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51,  255, 255, 255, 255, 255, /* 0x70: ..z */
    ROW_INVALID, ROW_INVALID, ROW_INVALID, ROW_INVALID, ROW_INVALID, ROW_INVALID, ROW_INVALID, ROW_INVALID,
};
/* clang-format on */

size_t vm_base64_encode(char *dst, const uint8_t *src, size_t n) {
    char *out = dst;
    size_t i = 0;
    for (; i + 3 <= n; i += 3) {
        uint32_t group = ((uint32_t)src[i] << 16) | ((uint32_t)src[i + 1] << 8) | src[i + 2];
        out[0] = ALPHABET[group >> 18];
        out[1] = ALPHABET[(group >> 12) & VALID_MASK];
        out[2] = ALPHABET[(group >> 6) & VALID_MASK];
        out[3] = ALPHABET[group & VALID_MASK];
        out += 4;
    }
    if (i < n) {
        int two = i + 2 == n;
        uint32_t group = ((uint32_t)src[i] << 16) | (two ? (uint32_t)src[i + 1] << 8 : 0);
        out[0] = ALPHABET[group >> 18];
        out[1] = ALPHABET[(group >> 12) & VALID_MASK];
        out[2] = two ? ALPHABET[(group >> 6) & VALID_MASK] : '=';
        out[3] = '=';
        out += 4;
    }
    return (size_t)(out - dst);
}

ptrdiff_t vm_base64_decode(uint8_t *dst, const char *src, size_t n) {
    const uint8_t *in = (const uint8_t *)src;
    uint8_t *out = dst;
    size_t n_whole = n;
    size_t n_padding = 0;

    if (n % 4 != 0) return -1;
    if (n > 0 && in[n - 1] == '=') {
        n_padding = in[n - 2] == '=' ? 2 : 1;
        n_whole = n - 4;
    }

    /* Only an invalid character has a bit above the six of a value: one test at the end covers every
     * character. */
    uint32_t seen = 0;
    for (size_t i = 0; i < n_whole; i += 4) {
        uint32_t a = VALUES[in[i]], b = VALUES[in[i + 1]], c = VALUES[in[i + 2]], d = VALUES[in[i + 3]];
        seen |= a | b | c | d;
        uint32_t group = (a << 18) | (b << 12) | (c << 6) | d;
        out[0] = (uint8_t)(group >> 16);
        out[1] = (uint8_t)(group >> 8);
        out[2] = (uint8_t)group;
        out += 3;
    }
    if (n_padding > 0) {
        const uint8_t *last = in + n_whole;
        uint32_t a = VALUES[last[0]], b = VALUES[last[1]], c = n_padding == 1 ? VALUES[last[2]] : 0;
        seen |= a | b | c;
        *out++ = (uint8_t)((a << 2) | (b >> 4));
        if (n_padding == 1) *out++ = (uint8_t)((b << 4) | (c >> 2));
    }
    return (seen & ~(uint32_t)VALID_MASK) ? -1 : out - dst;
}
