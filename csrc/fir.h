/* Streaming polyphase FIR resampler: float32 accumulation, int16 in and out, constant delay.
 *
 * After n input samples in all, exactly ceil(n * to / from) output samples have been returned; output k
 * stands for the input at time k - latency. Any chunking gives the same bits: every output is one sum in a
 * fixed order over the same window; only how far infinite floats and those that are no number spread depends
 * on the chunks. Equal rates copy, without delay. Sample buffers may have any alignment and must not overlap.
 */
#ifndef VM_FIR_H
#define VM_FIR_H

#include <stddef.h>
#include <stdint.h>

typedef enum vm_fir_quality { VM_FIR_TELEPHONE = 0, VM_FIR_BALANCED = 1, VM_FIR_HIGH = 2 } vm_fir_quality;

typedef struct vm_fir vm_fir;

/* NULL when memory runs out, a rate is outside 1000..192000 or there is no such quality. Nothing after this
 * allocates. The first stream of a pair of rates designs its coefficients (tens of microseconds for small
 * ratios, tens of milliseconds at worst); the others share them. */
vm_fir *vm_fir_new(uint32_t from_hz, uint32_t to_hz, vm_fir_quality quality);
void vm_fir_free(vm_fir *fir);

/* Outputs that the next push of `n` samples returns, exactly; the most that any push of `n` can return. */
size_t vm_fir_count(const vm_fir *fir, size_t n);
size_t vm_fir_max_output(const vm_fir *fir, size_t n);

/* Resample `n` samples; return the samples written, which is vm_fir_count(fir, n). A stream keeps to one type
 * of samples until it is flushed or reset. */
size_t vm_fir_push(vm_fir *fir, int16_t *dst, const int16_t *src, size_t n);
size_t vm_fir_push_f32(vm_fir *fir, float *dst, const float *src, size_t n);

/* Write the tail, vm_fir_latency(fir) samples; then the state is that of a new stream. */
size_t vm_fir_flush(vm_fir *fir, int16_t *dst);
size_t vm_fir_flush_f32(vm_fir *fir, float *dst);
void vm_fir_reset(vm_fir *fir);

/* Constant delay in output samples. */
uint32_t vm_fir_latency(const vm_fir *fir);

/* Bytes of one stream, shared coefficients not included. */
size_t vm_fir_state_bytes(const vm_fir *fir);

#endif
