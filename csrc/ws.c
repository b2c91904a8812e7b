#include "ws.h"

#include <string.h>

enum {
    FIN = 0x80,
    RSV = 0x70,
    OPCODE = 0x0F,
    MASKED = 0x80,
    LENGTH = 0x7F,
    LENGTH_16 = 126,
    LENGTH_64 = 127
};

static uint64_t big_endian(const uint8_t *src, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | src[i];
    return value;
}

bool vm_ws_read_head(vm_ws_head *head, const uint8_t *src, size_t n) {
    if (n < 2) return false;
    const uint8_t length = src[1] & LENGTH;
    const size_t n_length = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    head->is_masked = (src[1] & MASKED) != 0;
    head->n_head = (uint8_t)(2 + n_length + (head->is_masked ? sizeof head->key : 0));
    if (n < head->n_head) return false;
    head->opcode = src[0] & OPCODE;
    head->fin = (src[0] & FIN) != 0;
    head->rsv = src[0] & RSV;
    head->n_payload = n_length == 0 ? length : big_endian(src + 2, n_length);
    if (head->is_masked) memcpy(head->key, src + 2 + n_length, sizeof head->key);
    return true;
}

bool vm_ws_is_valid(const vm_ws_head *head) {
    if ((head->opcode & VM_WS_CONTROL) != 0)
        return head->opcode <= VM_WS_PONG && head->fin && head->n_payload <= VM_WS_CONTROL_PAYLOAD;
    return head->opcode <= VM_WS_BINARY;
}

void vm_ws_mask(uint8_t *payload, size_t n, const uint8_t key[4]) {
    uint64_t wide;
    uint32_t narrow;
    size_t i = 0;
    memcpy(&narrow, key, sizeof narrow);
    wide = (uint64_t)narrow << 32 | narrow;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, payload + i, 8);
        word ^= wide;
        memcpy(payload + i, &word, 8);
    }
    for (; i < n; i++)
        payload[i] ^= key[i % 4];
}

size_t vm_ws_head_size(size_t n_payload, bool is_masked) {
    const size_t n_length = n_payload < LENGTH_16 ? 0 : n_payload <= UINT16_MAX ? 2 : 8;
    return 2 + n_length + (is_masked ? 4 : 0);
}

size_t vm_ws_write_head(uint8_t *dst, uint8_t opcode, size_t n_payload, const uint8_t *key) {
    const uint8_t masked = key != NULL ? MASKED : 0;
    size_t n_length = 0;
    dst[0] = (uint8_t)(FIN | opcode);
    if (n_payload < LENGTH_16) {
        dst[1] = (uint8_t)(masked | n_payload);
    } else {
        n_length = n_payload <= UINT16_MAX ? 2 : 8;
        dst[1] = (uint8_t)(masked | (n_length == 2 ? LENGTH_16 : LENGTH_64));
        for (size_t i = 0; i < n_length; i++)
            dst[2 + i] = (uint8_t)((uint64_t)n_payload >> 8 * (n_length - 1 - i));
    }
    if (key != NULL) memcpy(dst + 2 + n_length, key, 4);
    return 2 + n_length + (key != NULL ? 4 : 0);
}

void vm_ws_new_key(uint8_t key[4], uint64_t *state) {
    /* splitmix64 (Steele, Lea, Flood, 2014) */
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    memcpy(key, &z, 4);
}

bool vm_ws_is_close_code(unsigned code) {
    if (code >= 3000) return code <= 4999;
    /* 1004 to 1006 and 1015 never go over the wire. */
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}
