/* Two interleaved channels of 16-bit samples apart, as a stream: any chunking gives the same samples.
 *
 *   chunk    | L0 L0 R0 R0 | L1 L1 R1 R1 | L2 ...      a pair is 4 bytes, little-endian
 *   held     bytes of a pair whose rest is in the next chunk, 0..3
 */
#ifndef VM_STEREO_H
#define VM_STEREO_H

#include <stddef.h>
#include <stdint.h>

typedef struct vm_stereo {
    uint8_t held[4];
    size_t n_held;
} vm_stereo;

void vm_stereo_init(vm_stereo *stereo);

/* Samples that the next push of `n` bytes gives to each channel, exactly. */
size_t vm_stereo_count(const vm_stereo *stereo, size_t n);

/* Take `n` bytes apart; return the samples written to each of `left` and `right`. Buffers may have any
 * alignment and must not overlap. */
size_t vm_stereo_push(vm_stereo *stereo, int16_t *left, int16_t *right, const uint8_t *src, size_t n);

#endif
