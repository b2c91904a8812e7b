/* Streaming polyphase FIR resampler: float32 accumulation, int16 in and out, constant delay. */
#ifndef VM_FIR_H
#define VM_FIR_H

#include <stddef.h>
#include <stdint.h>

typedef enum vm_fir_quality { VM_FIR_TELEPHONE = 0, VM_FIR_BALANCED = 1, VM_FIR_HIGH = 2 } vm_fir_quality;

#endif
