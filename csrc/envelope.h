/* How a dialect wraps media. Text envelopes are JSON objects with the audio as base64 at a key path; binary
 * ones are the bare audio. The rules are data: one scanner serves every provider. */
#ifndef VM_ENVELOPE_H
#define VM_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VM_ENVELOPE_DEPTH = 2, /* keys in a path at most: media.payload */
    VM_ENVELOPE_RULES = 4,
    VM_ENVELOPE_KEY = 31,   /* bytes of one key at most */
    VM_ENVELOPE_VALUE = 95, /* bytes of a rule's value at most */
    VM_ENVELOPE_AFFIX = 255 /* bytes of a prefix or suffix at most */
};

typedef enum vm_envelope_kind {
    VM_ENVELOPE_MEDIA = 0,   /* media of this stream: payload found */
    VM_ENVELOPE_FOREIGN = 1, /* media of another stream or track */
    VM_ENVELOPE_OTHER = 2    /* anything else, broken JSON included: the full parser decides */
} vm_envelope_kind;

typedef struct vm_envelope_path {
    uint8_t depth;
    uint8_t n[VM_ENVELOPE_DEPTH];
    char key[VM_ENVELOPE_DEPTH][VM_ENVELOPE_KEY];
} vm_envelope_path;

typedef struct vm_envelope_rule {
    vm_envelope_path path;
    bool required;  /* absent or different: not media. Otherwise: different means foreign. */
    bool is_number; /* no value is expected: here stands the message's number */
    uint8_t n;
    char value[VM_ENVELOPE_VALUE];
} vm_envelope_rule;

typedef struct vm_envelope {
    bool is_text;
    uint8_t n_rules;
    uint8_t n_prefix;
    uint8_t n_suffix;
    vm_envelope_path payload;
    vm_envelope_rule rules[VM_ENVELOPE_RULES];
    char prefix[VM_ENVELOPE_AFFIX];
    char suffix[VM_ENVELOPE_AFFIX];
} vm_envelope;

/* Find the base64 text in the JSON `message` of `n` bytes. Reads nothing outside it, follows RFC 8259, and
 * gives up (OTHER) on whatever it does not read itself: escapes in what matters, bytes above 7F, doubled
 * keys. */
vm_envelope_kind vm_envelope_scan(const vm_envelope *envelope, const char *message, size_t n,
                                  const char **payload, size_t *n_payload);

/* The same, and where a rule says that messages are numbered, the number of this one; -1 if it has none. */
vm_envelope_kind vm_envelope_scan_numbered(const vm_envelope *envelope, const char *message, size_t n,
                                           const char **payload, size_t *n_payload, int64_t *number);

/* Size of a message that carries `n` bytes of audio, and the message itself. */
size_t vm_envelope_size(const vm_envelope *envelope, size_t n);
size_t vm_envelope_write(const vm_envelope *envelope, char *dst, const uint8_t *audio, size_t n);

#endif
