/* What this machine can do beyond its baseline; asked once, at import. */
#ifndef VM_CPU_H
#define VM_CPU_H

int vm_cpu_has_avx2(void);   /* AVX2 and FMA */
int vm_cpu_has_avx512(void); /* AVX-512 F, BW, VL, DQ, with AVX2 and FMA */

#endif
