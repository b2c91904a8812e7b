#include "g711.h"

#include "dispatch.h"

void vm_g711_mulaw_decode(int16_t *pcm, const uint8_t *mulaw, size_t n) {
    vm_dispatch.mulaw_decode(pcm, mulaw, n);
}
void vm_g711_alaw_decode(int16_t *pcm, const uint8_t *alaw, size_t n) {
    vm_dispatch.alaw_decode(pcm, alaw, n);
}
void vm_g711_mulaw_encode(uint8_t *mulaw, const int16_t *pcm, size_t n) {
    vm_dispatch.mulaw_encode(mulaw, pcm, n);
}
void vm_g711_alaw_encode(uint8_t *alaw, const int16_t *pcm, size_t n) {
    vm_dispatch.alaw_encode(alaw, pcm, n);
}
