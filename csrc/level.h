/* A level meter for displays: the power of a stream over its last half second or so, from a few of its
 * samples. */
#ifndef VM_LEVEL_H
#define VM_LEVEL_H

#include <stddef.h>
#include <stdint.h>

#include "convert.h"

typedef struct vm_level {
    int64_t measured_ns;
    uint32_t power; /* mean square of 16-bit samples, smoothed; 0 at first */
} vm_level;

/* `n` bytes of whole samples came in. Ten times a second at most they are looked at, one sample in seven. */
void vm_level_add(vm_level *level, vm_encoding encoding, const uint8_t *audio, size_t n, int64_t now_ns);

/* Mean square of the latest audio; -1 when nothing came for a second. */
int64_t vm_level_power(const vm_level *level, int64_t now_ns);

#endif
