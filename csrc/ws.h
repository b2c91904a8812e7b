/* WebSocket frames as bytes, RFC 6455 s. 5: heads are read and written, payloads masked. What the frames mean
 * is the caller's. */
#ifndef VM_WS_H
#define VM_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VM_WS_CONTINUATION = 0x0,
    VM_WS_TEXT = 0x1,
    VM_WS_BINARY = 0x2,
    VM_WS_CLOSE = 0x8,
    VM_WS_PING = 0x9,
    VM_WS_PONG = 0xA,
    VM_WS_CONTROL = 0x8, /* the bit that control frames have */
    VM_WS_HEAD = 14,     /* bytes of a head at most */
    VM_WS_CONTROL_PAYLOAD = 125
};

typedef struct vm_ws_head {
    uint64_t n_payload;
    uint8_t key[4];
    uint8_t n_head;
    uint8_t opcode;
    uint8_t rsv; /* 0, or the reserved bits that are set */
    bool fin;
    bool is_masked;
} vm_ws_head;

/* Read the head of the frame that begins at `src`. False: it needs more than these `n` bytes. */
bool vm_ws_read_head(vm_ws_head *head, const uint8_t *src, size_t n);

/* Whether RFC 6455 has a frame like this: a known opcode, and control frames short and whole. */
bool vm_ws_is_valid(const vm_ws_head *head);

/* Mask or unmask `n` bytes in place. */
void vm_ws_mask(uint8_t *payload, size_t n, const uint8_t key[4]);

/* Bytes of the head of a whole message. */
size_t vm_ws_head_size(size_t n_payload, bool is_masked);

/* Write the head of a whole message; `key` is NULL where it is not masked. Returns its size. */
size_t vm_ws_write_head(uint8_t *dst, uint8_t opcode, size_t n_payload, const uint8_t *key);

/* A new masking key; `state` is any number of true chance at first. */
void vm_ws_new_key(uint8_t key[4], uint64_t *state);

/* Whether a peer may send this close code (RFC 6455 s. 7.4). */
bool vm_ws_is_close_code(unsigned code);

#endif
