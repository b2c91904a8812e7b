/* Heads of frames: what is written is read again, what is read is what stands there, and masks come off. */
#include "ws.h"

#include "../fuzz.h"

static void check_read(const uint8_t *data, size_t size) {
    const block bytes = copy_of(data, size, 0);
    vm_ws_head head;
    if (!vm_ws_read_head(&head, bytes.at, size)) {
        LAW(size < VM_WS_HEAD);
        free(bytes.all);
        return;
    }
    const size_t n_length = (data[1] & 127) == 126 ? 2 : (data[1] & 127) == 127 ? 8 : 0;
    uint64_t n_payload = n_length == 0 ? data[1] & 127 : 0;
    for (size_t i = 0; i < n_length; i++)
        n_payload = n_payload * 256 + data[2 + i];
    LAW(head.opcode == data[0] % 16 && head.fin == (data[0] >= 128) && head.rsv == (data[0] & 0x70));
    LAW(head.is_masked == (data[1] >= 128) && head.n_payload == n_payload);
    LAW(head.n_head == 2 + n_length + (head.is_masked ? 4 : 0) && head.n_head <= size);
    LAW(!head.is_masked || same_bytes(head.key, data + 2 + n_length, 4));

    const bool is_control = head.opcode >= 8, is_known = head.opcode < 3 || (is_control && head.opcode < 11);
    LAW(vm_ws_is_valid(&head) == (is_known && (!is_control || (head.fin && n_payload < 126))));
    for (size_t n = 0; n < head.n_head; n++) {
        const block part = copy_of(data, n, 0);
        vm_ws_head none;
        LAW(!vm_ws_read_head(&none, part.at, n));
        free(part.all);
    }
    free(bytes.all);
}

static void check_write(input in) {
    const uint8_t flags = take_byte(&in);
    uint8_t key[4];
    uint64_t n_payload = 0;
    for (size_t i = 0; i < 8; i++)
        n_payload = n_payload << 8 | take_byte(&in);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = take_byte(&in);
    n_payload >>= flags >> 4 << 2; /* all lengths of lengths */
    const bool is_masked = (flags & 8) != 0;
    const uint8_t opcode = flags & 7;
    const size_t n_head = vm_ws_head_size((size_t)n_payload, is_masked);
    const block head_bytes = room_for(n_head, 0);
    vm_ws_head head;
    LAW(vm_ws_write_head(head_bytes.at, opcode, (size_t)n_payload, is_masked ? key : NULL) == n_head);
    LAW(vm_ws_read_head(&head, head_bytes.at, n_head) && head.n_head == n_head &&
        head.n_payload == n_payload);
    LAW(head.opcode == opcode && head.fin && head.rsv == 0 && head.is_masked == is_masked);
    LAW(!is_masked || same_bytes(head.key, key, 4));
    free(head_bytes.all);
}

static void check_mask(input in) {
    uint8_t key[4];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = take_byte(&in);
    const block bytes = copy_of(in.at, in.n, key[0] % 8);
    vm_ws_mask(bytes.at, in.n, key);
    for (size_t i = 0; i < in.n; i++)
        LAW(bytes.at[i] == (in.at[i] ^ key[i % 4]));
    vm_ws_mask(bytes.at, in.n, key);
    LAW(same_bytes(bytes.at, in.at, in.n));
    free(bytes.all);
}

static void check_close_code(input in) {
    const unsigned code = take_word(&in);
    const bool is_reserved = code == 1004 || code == 1005 || code == 1006 || code >= 1015;
    const bool expected = (code >= 1000 && code < 1016 && !is_reserved) || (code >= 3000 && code < 5000);
    LAW(vm_ws_is_close_code(code) == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const input in = {data, size};
    check_read(data, size);
    check_write(in);
    check_mask(in);
    check_close_code(in);
    return 0;
}
