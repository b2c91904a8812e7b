/* Base64 both ways against a decoder that looks at one character at a time. */
#include "base64.h"

#include "../fuzz.h"

static int value_of(char c) {
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(ALPHABET, c);
    return found == NULL ? -1 : (int)(found - ALPHABET);
}

/* Bytes written, or -1. */
static ptrdiff_t slow_decode(uint8_t *dst, const char *src, size_t n) {
    size_t n_text = n;
    while (n_text > 0 && src[n_text - 1] == '=' && n - n_text < 2)
        n_text--;
    if (n % 4 != 0) return -1;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    ptrdiff_t n_out = 0;
    for (size_t i = 0; i < n_text; i++) {
        const int value = value_of(src[i]);
        if (value < 0) return -1;
        bits = (bits << 6 | (uint32_t)value) & 0xFFFF;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        dst[n_out++] = (uint8_t)(bits >> n_bits);
    }
    return n_out;
}

static void check_decode(const uint8_t *data, size_t size) {
    const block text = copy_of(data, size, 0), got = room_for(3 * size / 4, 0), expected = room_for(size, 0);
    const ptrdiff_t n = vm_base64_decode(got.at, (const char *)text.at, size);
    LAW(n == slow_decode(expected.at, (const char *)text.at, size));
    LAW(n < 0 || same_bytes(got.at, expected.at, (size_t)n));
    free(text.all), free(got.all), free(expected.all);
}

static void check_encode(const uint8_t *data, size_t size) {
    const size_t n_text = 4 * ((size + 2) / 3);
    const block bytes = copy_of(data, size, 0), text = room_for(n_text, 0),
                back = room_for(3 * n_text / 4, 0);
    LAW(vm_base64_encode((char *)text.at, bytes.at, size) == n_text);
    LAW(slow_decode(back.at, (const char *)text.at, n_text) == (ptrdiff_t)size);
    LAW(same_bytes(back.at, data, size));
    LAW(vm_base64_decode(back.at, (const char *)text.at, n_text) == (ptrdiff_t)size);
    LAW(same_bytes(back.at, data, size));
    free(bytes.all), free(text.all), free(back.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_decode(data, size);
    check_encode(data, size);
    return 0;
}
