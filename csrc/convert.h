/* One leg's bytes to another's: decode, resample, encode in one call. Streaming: any chunking gives the same
 * bytes. */
#ifndef VM_CONVERT_H
#define VM_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "fir.h"

typedef enum vm_encoding { VM_MULAW = 0, VM_ALAW = 1, VM_PCM_S16LE = 2 } vm_encoding;

typedef struct vm_converter vm_converter;

/* NULL when memory runs out, a rate is outside 1000..192000 or there is no such quality. Nothing after this
 * allocates. */
vm_converter *vm_converter_new(vm_encoding from, uint32_t from_hz, vm_encoding to, uint32_t to_hz,
                               vm_fir_quality quality);
void vm_converter_free(vm_converter *converter);

/* Bytes that the next push of `n` bytes returns, exactly. */
size_t vm_converter_count(const vm_converter *converter, size_t n);

/* Most bytes that one push of `n` bytes can return, and most that a flush can return. */
size_t vm_converter_max_output(const vm_converter *converter, size_t n);
size_t vm_converter_max_flush(const vm_converter *converter);

/* Convert `n` bytes; return the bytes written. A split 16-bit sample is carried to the next call; a flush
 * drops it, a reset forgets it. */
size_t vm_converter_push(vm_converter *converter, uint8_t *dst, const uint8_t *src, size_t n);

/* Write the tail; then the state is that of a new converter. */
size_t vm_converter_flush(vm_converter *converter, uint8_t *dst);
void vm_converter_reset(vm_converter *converter);

/* Constant delay in output samples; 0 when no resampling is needed. */
uint32_t vm_converter_latency(const vm_converter *converter);

/* Bytes of one stream, shared coefficients not included. */
size_t vm_converter_state_bytes(const vm_converter *converter);

#endif
