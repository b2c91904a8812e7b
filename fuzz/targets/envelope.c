/* The scan finds what a slow parser finds, and nothing else; what is written is found again. */
#include "envelope.h"

#include "../fuzz.h"
#include "../slow_json.h"
#include "base64.h"

static vm_envelope_path path_of(const char *first, const char *second) {
    vm_envelope_path path = {.depth = second == NULL ? 1 : 2};
    const char *const keys[] = {first, second};
    for (size_t i = 0; i < path.depth; i++) {
        path.n[i] = (uint8_t)strlen(keys[i]);
        memcpy(path.key[i], keys[i], path.n[i]);
    }
    return path;
}

static void add_rule(vm_envelope *envelope, vm_envelope_path path, const char *value, bool required) {
    vm_envelope_rule *rule = &envelope->rules[envelope->n_rules++];
    rule->path = path;
    rule->required = required;
    rule->n = (uint8_t)strlen(value);
    memcpy(rule->value, value, rule->n);
}

static void set_affixes(vm_envelope *envelope, const char *prefix, const char *suffix) {
    envelope->n_prefix = (uint8_t)strlen(prefix);
    envelope->n_suffix = (uint8_t)strlen(suffix);
    memcpy(envelope->prefix, prefix, envelope->n_prefix);
    memcpy(envelope->suffix, suffix, envelope->n_suffix);
}

enum { N_ENVELOPES = 4 };

static vm_envelope make_envelope(unsigned which) {
    vm_envelope made = {.is_text = true};
    switch (which) {
    case 0: /* Twilio's */
        made.payload = path_of("media", "payload");
        add_rule(&made, path_of("event", NULL), "media", true);
        add_rule(&made, path_of("streamSid", NULL), "MZ18ad00000000000000000000000000b2", false);
        add_rule(&made, path_of("media", "track"), "inbound", false);
        set_affixes(&made, "{\"event\":\"media\",\"media\":{\"payload\":\"", "\"}}");
        break;
    case 1: /* all that stands beside each other */
        made.payload = path_of("a", "b");
        add_rule(&made, path_of("a", "c"), "x", true);
        add_rule(&made, path_of("a", "d"), "y", false);
        add_rule(&made, path_of("e", "b"), "z", true);
        add_rule(&made, path_of("f", NULL), "", false);
        set_affixes(&made, "{\"a\":{\"c\":\"x\",\"b\":\"", "\"},\"e\":{\"b\":\"z\"}}");
        break;
    case 2: /* no rule at all */
        made.payload = path_of("p", NULL);
        set_affixes(&made, "{\"p\":\"", "\"}");
        break;
    default: /* keys that are empty, or the start of another */
        made.payload = path_of("", "pay");
        add_rule(&made, path_of("", "p"), "1", false);
        add_rule(&made, path_of("p", ""), "2", false);
        set_affixes(&made, "{ \"\" : { \"pay\" :\t\"", "\" } }\n");
        break;
    }
    return made;
}

static void check_scan(const vm_envelope *envelope, const uint8_t *data, size_t size) {
    const block message = copy_of(data, size, 0);
    const char *at = NULL;
    size_t n = 0;
    text expected = {NULL, 0, false};
    const vm_envelope_kind kind = vm_envelope_scan(envelope, (const char *)message.at, size, &at, &n);
    LAW(kind == slow_scan(envelope, (const char *)message.at, size, &expected));
    LAW(kind != VM_ENVELOPE_MEDIA || (at == expected.at && n == expected.n));
    free(message.all);
}

static void check_write(const vm_envelope *envelope, const uint8_t *audio, size_t size) {
    const size_t n_message = vm_envelope_size(envelope, size);
    const block message = room_for(n_message, 0), back = room_for(size + 2, 0);
    const char *at = NULL;
    size_t n = 0;
    LAW(vm_envelope_write(envelope, (char *)message.at, audio, size) == n_message);
    LAW(vm_envelope_scan(envelope, (const char *)message.at, n_message, &at, &n) == VM_ENVELOPE_MEDIA);
    LAW(n == 4 * ((size + 2) / 3) && vm_base64_decode(back.at, at, n) == (ptrdiff_t)size);
    LAW(same_bytes(back.at, audio, size));
    free(message.all), free(back.all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    const vm_envelope envelope = make_envelope(take_byte(&in) % N_ENVELOPES);
    check_scan(&envelope, in.at, in.n);
    check_write(&envelope, in.at, in.n);
    return 0;
}
