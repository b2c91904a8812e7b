/* Base64 with padding (RFC 4648 s. 4). */
#ifndef VM_BASE64_H
#define VM_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Encode `n` bytes; return the characters written, 4 * ceil(n / 3). */
size_t vm_base64_encode(char *dst, const uint8_t *src, size_t n);

/* Decode `n` characters; return the bytes written (at most 3 * n / 4), or -1 if they are not base64: another
 * character, no whole groups of four, padding elsewhere than at the end. Unused bits may be set. `dst` has
 * room for 3 * n / 4 bytes and may be part written when -1 is returned. */
ptrdiff_t vm_base64_decode(uint8_t *dst, const char *src, size_t n);

#endif
