/* What an envelope's scan must find in a message, by a parser that takes every value in turn (RFC 8259). */
#ifndef VM_FUZZ_SLOW_JSON_H
#define VM_FUZZ_SLOW_JSON_H

#include "envelope.h"
#include "fuzz.h"

enum { SLOW_DEPTH = 32, SLOW_WANTED = VM_ENVELOPE_RULES + 1 };

typedef struct text {
    const char *at;
    size_t n;
    bool is_plain; /* without escapes */
} text;

typedef struct slow {
    const vm_envelope *envelope;
    const char *at, *end;
    text found[SLOW_WANTED]; /* by rule, the payload last */
    bool is_found[SLOW_WANTED];
    bool gives_up; /* on what is JSON, but left to the full parser */
} slow;

static inline char slow_peek(const slow *s) {
    return s->at < s->end ? *s->at : '\0';
}

static inline bool slow_is(slow *s, char c) {
    if (slow_peek(s) != c || s->at == s->end) return false;
    s->at++;
    return true;
}

static inline void slow_space(slow *s) {
    while (slow_is(s, ' ') || slow_is(s, '\t') || slow_is(s, '\n') || slow_is(s, '\r')) {
    }
}

static inline bool slow_one_of(slow *s, const char *set) {
    if (slow_peek(s) == '\0' || strchr(set, slow_peek(s)) == NULL) return false;
    s->at++;
    return true;
}

static inline bool slow_string(slow *s, text *out) {
    if (!slow_is(s, '"')) return false;
    *out = (text){s->at, 0, true};
    while (!slow_is(s, '"')) {
        if (s->at == s->end || (unsigned char)*s->at < 0x20) return false;
        if (!slow_is(s, '\\')) {
            s->at++;
            continue;
        }
        out->is_plain = false;
        if (slow_is(s, 'u')) {
            for (int i = 0; i < 4; i++) {
                if (!slow_one_of(s, "0123456789abcdefABCDEF")) return false;
            }
        } else if (!slow_one_of(s, "\"\\/bfnrt")) {
            return false;
        }
    }
    out->n = (size_t)(s->at - 1 - out->at);
    return true;
}

static inline bool slow_digits(slow *s) {
    if (!slow_one_of(s, "0123456789")) return false;
    while (slow_one_of(s, "0123456789")) {
    }
    return true;
}

static inline bool slow_number(slow *s) {
    (void)slow_is(s, '-');
    if (!slow_is(s, '0') && !slow_digits(s)) return false;
    if (slow_is(s, '.') && !slow_digits(s)) return false;
    if (!slow_one_of(s, "eE")) return true;
    (void)slow_one_of(s, "+-");
    return slow_digits(s);
}

static inline bool slow_word(slow *s, const char *word) {
    for (; *word != '\0'; word++) {
        if (!slow_is(s, *word)) return false;
    }
    return true;
}

/* Where we are: keys from the root, or off every path that leads anywhere. */
typedef struct place {
    text key[VM_ENVELOPE_DEPTH];
    size_t depth;
    bool is_off;
} place;

static inline const vm_envelope_path *slow_path(const slow *s, size_t i) {
    return i < s->envelope->n_rules ? &s->envelope->rules[i].path : &s->envelope->payload;
}

/* Whether the path leads here, or through here. */
static inline bool slow_leads(const vm_envelope_path *path, const place *here) {
    if (here->is_off || path->depth < here->depth) return false;
    for (size_t i = 0; i < here->depth; i++) {
        const text *key = &here->key[i];
        if (!key->is_plain || key->n != path->n[i] || !same_bytes(key->at, path->key[i], key->n))
            return false;
    }
    return true;
}

static bool slow_value(slow *s, place here, int n_off);

static inline bool slow_members(slow *s, const place *here, int n_off, bool is_object) {
    bool is_entered[SLOW_WANTED] = {false};
    const char close = is_object ? '}' : ']';
    slow_space(s);
    if (slow_is(s, close)) return true;
    do {
        place below = *here;
        slow_space(s);
        if (is_object) {
            text key;
            if (!slow_string(s, &key)) return false;
            slow_space(s);
            if (!slow_is(s, ':')) return false;
            if (!here->is_off) {
                if (!key.is_plain) s->gives_up = true;
                if (below.depth < VM_ENVELOPE_DEPTH)
                    below.key[below.depth++] = key;
                else
                    below.is_off = true;
            }
            for (size_t i = 0; i < SLOW_WANTED; i++) { /* a doubled key on a path */
                if (i >= s->envelope->n_rules && i != VM_ENVELOPE_RULES) continue;
                if (!slow_leads(slow_path(s, i), &below)) continue;
                if (is_entered[i]) s->gives_up = true;
                is_entered[i] = true;
            }
        }
        if (!slow_value(s, below, n_off)) return false;
        slow_space(s);
    } while (slow_is(s, ','));
    return slow_is(s, close);
}

/* `n_off`: brackets since the value that no path leads to. */
static bool slow_value(slow *s, place here, int n_off) {
    bool leads = false, ends = false;
    size_t which = 0;
    for (size_t i = 0; i < SLOW_WANTED; i++) {
        if (i >= s->envelope->n_rules && i != VM_ENVELOPE_RULES) continue;
        if (!slow_leads(slow_path(s, i), &here)) continue;
        leads = true;
        if (slow_path(s, i)->depth == here.depth) ends = true, which = i;
    }
    here.is_off = !leads;
    slow_space(s);
    const char first = slow_peek(s);
    if (leads && first != (ends ? '"' : '{')) s->gives_up = true;
    if (first == '{' || first == '[') {
        if (!leads || ends || first == '[') n_off++, here.is_off = true;
        if (n_off > SLOW_DEPTH) return false; /* JSON, perhaps; the scan gives up */
        s->at++;
        return slow_members(s, &here, n_off, first == '{');
    }
    if (first == '"') {
        text value;
        if (!slow_string(s, &value)) return false;
        if (ends && !value.is_plain) s->gives_up = true;
        if (ends) s->found[which] = value, s->is_found[which] = true;
        return true;
    }
    if (first == 't') return slow_word(s, "true");
    if (first == 'f') return slow_word(s, "false");
    if (first == 'n') return slow_word(s, "null");
    return slow_number(s);
}

static inline vm_envelope_kind slow_scan(const vm_envelope *envelope, const char *message, size_t n,
                                         text *payload) {
    slow s = {.envelope = envelope, .at = message, .end = message + n};
    const place root = {.depth = 0};
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)message[i] > 0x7F) return VM_ENVELOPE_OTHER;
    }
    if (!slow_value(&s, root, 0)) return VM_ENVELOPE_OTHER;
    slow_space(&s);
    if (s.at != s.end || s.gives_up || !s.is_found[VM_ENVELOPE_RULES]) return VM_ENVELOPE_OTHER;
    bool is_foreign = false;
    for (size_t i = 0; i < envelope->n_rules; i++) {
        const vm_envelope_rule *rule = &envelope->rules[i];
        const text *value = &s.found[i];
        const bool differs =
            s.is_found[i] && (value->n != rule->n || !same_bytes(value->at, rule->value, rule->n));
        if (rule->required && (differs || !s.is_found[i])) return VM_ENVELOPE_OTHER;
        if (differs) is_foreign = true;
    }
    *payload = s.found[VM_ENVELOPE_RULES];
    return is_foreign ? VM_ENVELOPE_FOREIGN : VM_ENVELOPE_MEDIA;
}

#endif
