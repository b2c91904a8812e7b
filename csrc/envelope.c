#include "envelope.h"

#include <string.h>

#include "base64.h"

/* What has been found so far in one message. */
typedef struct scan {
    const vm_envelope *envelope;
    const char *at;
    const char *end;
    const char *payload;
    size_t n_payload;
    int64_t number;    /* -1: none was found */
    uint32_t seen;     /* bit i: rule i met; bit VM_ENVELOPE_RULES: payload met */
    bool has_controls; /* somewhere; allowed between values, not in strings */
    bool foreign;
} scan;

typedef struct span {
    const char *text;
    size_t n;
} span;

static void skip_space(scan *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool take(scan *s, char c) {
    skip_space(s);
    if (s->at >= s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static bool no_control(span text) {
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.text[i] < 0x20) return false;
    }
    return true;
}

/* A string without escapes, as its bytes; an escape fails. */
static bool plain_string(scan *s, span *out) {
    if (!take(s, '"')) return false;
    const char *close = memchr(s->at, '"', (size_t)(s->end - s->at));
    if (close == NULL) return false;
    out->text = s->at;
    out->n = (size_t)(close - s->at);
    s->at = close + 1;
    return memchr(out->text, '\\', out->n) == NULL && (!s->has_controls || no_control(*out));
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool skip_string(scan *s) {
    s->at++; /* the opening quote, seen by the caller */
    while (s->at < s->end) {
        const char c = *s->at++;
        if (c == '"') return true;
        if ((unsigned char)c < 0x20) return false;
        if (c != '\\') continue;
        if (s->at >= s->end) return false;
        const char escape = *s->at++;
        if (escape == 'u') {
            if (s->end - s->at < 4) return false;
            for (int i = 0; i < 4; i++) {
                if (!is_hex(*s->at++)) return false;
            }
        } else if (strchr("\"\\/bfnrt", escape) == NULL || escape == '\0') {
            return false;
        }
    }
    return false;
}

static bool skip_digits(scan *s) {
    const char *first = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > first;
}

static bool skip_number(scan *s) {
    if (*s->at == '-') s->at++;
    if (s->at < s->end && *s->at == '0') {
        s->at++;
    } else if (!skip_digits(s)) {
        return false;
    }
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!skip_digits(s)) return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        if (!skip_digits(s)) return false;
    }
    return true;
}

static bool skip_word(scan *s, const char *word) {
    const size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

static bool skip_scalar(scan *s) {
    switch (*s->at) {
    case '"':
        return skip_string(s);
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return skip_number(s);
    }
}

static bool same(const vm_envelope_path *path, unsigned level, span key) {
    return level < path->depth && path->n[level] == key.n && memcmp(path->key[level], key.text, key.n) == 0;
}

/* The value at a path that matters: note it and step over it. False: leave the message to the full parser. */
static bool note_payload(scan *s) {
    const uint32_t bit = 1u << VM_ENVELOPE_RULES;
    span value;
    if ((s->seen & bit) != 0 || !plain_string(s, &value)) return false;
    s->seen |= bit;
    s->payload = value.text;
    s->n_payload = value.n;
    return true;
}

enum { MAX_DIGITS = 18 }; /* of a number that fits */

/* A count, written as an integer or as a string of digits. */
static bool note_number(scan *s, uint32_t bit) {
    span digits;
    int64_t number = 0;
    skip_space(s);
    if ((s->seen & bit) != 0 || s->at >= s->end) return false;
    digits.text = s->at;
    if (*s->at == '"') {
        if (!plain_string(s, &digits)) return false;
    } else {
        if (!skip_number(s)) return false;
        digits.n = (size_t)(s->at - digits.text);
    }
    if (digits.n == 0 || digits.n > MAX_DIGITS) return false;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.text[i] < '0' || digits.text[i] > '9') return false;
        number = 10 * number + (digits.text[i] - '0');
    }
    s->seen |= bit;
    s->number = number;
    return true;
}

static bool note_rule(scan *s, unsigned index) {
    const vm_envelope_rule *rule = &s->envelope->rules[index];
    span value;
    if (rule->is_number) return note_number(s, 1u << index);
    if ((s->seen & (1u << index)) != 0 || !plain_string(s, &value)) return false;
    s->seen |= 1u << index;
    if (value.n != rule->n || memcmp(value.text, rule->value, value.n) != 0) {
        if (rule->required) return false;
        s->foreign = true;
    }
    return true;
}

/* Paths that go on below `key`, as a bit set like `seen`. */
static uint32_t paths_below(const scan *s, uint32_t among, unsigned level, span key) {
    const vm_envelope *envelope = s->envelope;
    uint32_t below = 0;
    for (unsigned i = 0; i < envelope->n_rules; i++) {
        if ((among & (1u << i)) != 0 && same(&envelope->rules[i].path, level, key)) below |= 1u << i;
    }
    const uint32_t bit = 1u << VM_ENVELOPE_RULES;
    if ((among & bit) != 0 && same(&envelope->payload, level, key)) below |= bit;
    return below;
}

static unsigned depth_of(const scan *s, unsigned index) {
    return index == VM_ENVELOPE_RULES ? s->envelope->payload.depth : s->envelope->rules[index].path.depth;
}

enum { SKIP_DEPTH = 32 }; /* brackets that a value of no interest may nest */

/* Step over any value, checking its grammar. Iterative: a hostile message cannot exhaust the stack. */
static bool skip_value(scan *s) {
    char closers[SKIP_DEPTH];
    unsigned depth = 0;
    for (;;) {
        skip_space(s);
        if (s->at >= s->end) return false;
        bool opened = false;
        if (*s->at == '{' || *s->at == '[') {
            if (depth == SKIP_DEPTH) return false;
            closers[depth++] = *s->at == '{' ? '}' : ']';
            s->at++;
            opened = !take(s, closers[depth - 1]);
            if (!opened) depth--;
        } else if (!skip_scalar(s)) {
            return false;
        }
        /* After a value: commas and closers, until another value must follow. */
        while (!opened && depth > 0) {
            if (take(s, closers[depth - 1])) {
                depth--;
            } else if (take(s, ',')) {
                opened = true;
            } else {
                return false;
            }
        }
        if (depth == 0) return true;
        if (closers[depth - 1] == '}') {
            skip_space(s);
            if (s->at >= s->end || *s->at != '"' || !skip_string(s) || !take(s, ':')) return false;
        }
    }
}

/* One object whose members may lie on the paths `among`. Recursion is bounded by VM_ENVELOPE_DEPTH. */
static bool scan_object(scan *s, uint32_t among, unsigned level) {
    uint32_t entered = 0;
    if (!take(s, '{')) return false;
    if (take(s, '}')) return true;
    do {
        span key;
        skip_space(s);
        if (!plain_string(s, &key) || !take(s, ':')) return false;
        const uint32_t below = paths_below(s, among, level, key);
        bool ok;
        if (below == 0) {
            ok = skip_value(s);
        } else {
            unsigned index = 0;
            while ((below & (1u << index)) == 0)
                index++;
            if (depth_of(s, index) == level + 1) {
                ok = index == VM_ENVELOPE_RULES ? note_payload(s) : note_rule(s, index);
            } else {
                skip_space(s);
                /* The same key twice: parsers differ on which one counts. */
                if ((entered & below) != 0) return false;
                entered |= below;
                ok = scan_object(s, below, level + 1);
            }
        }
        if (!ok) return false;
    } while (take(s, ','));
    return take(s, '}');
}

#define EVERY_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Text messages are UTF-8; only ASCII is certain to be. The rest goes to the layer that checks it. */
static bool is_ascii(const char *text, size_t n, bool *has_controls) {
    uint64_t high = 0;
    uint64_t low = 0; /* where the top bit says so, a byte below 20 */
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        high |= word;
        low |= (word - EVERY_BYTE(0x20)) & ~word;
    }
    for (; i < n; i++) {
        high |= (unsigned char)text[i];
        if ((unsigned char)text[i] < 0x20) low |= 0x80;
    }
    *has_controls = (low & EVERY_BYTE(0x80)) != 0;
    return (high & EVERY_BYTE(0x80)) == 0;
}

vm_envelope_kind vm_envelope_scan_numbered(const vm_envelope *envelope, const char *message, size_t n,
                                           const char **payload, size_t *n_payload, int64_t *number) {
    scan s = {.envelope = envelope, .at = message, .end = message + n, .number = -1};
    const uint32_t rules = (1u << envelope->n_rules) - 1u;
    const uint32_t payload_bit = 1u << VM_ENVELOPE_RULES;
    if (!is_ascii(message, n, &s.has_controls) || !scan_object(&s, rules | payload_bit, 0))
        return VM_ENVELOPE_OTHER;
    skip_space(&s);
    if (s.at != s.end || (s.seen & payload_bit) == 0) return VM_ENVELOPE_OTHER;
    for (unsigned i = 0; i < envelope->n_rules; i++) {
        if (envelope->rules[i].required && (s.seen & (1u << i)) == 0) return VM_ENVELOPE_OTHER;
    }
    if (s.foreign) return VM_ENVELOPE_FOREIGN;
    *payload = s.payload;
    *n_payload = s.n_payload;
    *number = s.number;
    return VM_ENVELOPE_MEDIA;
}

vm_envelope_kind vm_envelope_scan(const vm_envelope *envelope, const char *message, size_t n,
                                  const char **payload, size_t *n_payload) {
    int64_t number = -1;
    return vm_envelope_scan_numbered(envelope, message, n, payload, n_payload, &number);
}

size_t vm_envelope_size(const vm_envelope *envelope, size_t n) {
    return envelope->is_text ? envelope->n_prefix + 4 * ((n + 2) / 3) + envelope->n_suffix : n;
}

size_t vm_envelope_write(const vm_envelope *envelope, char *dst, const uint8_t *audio, size_t n) {
    if (!envelope->is_text) {
        memcpy(dst, audio, n);
        return n;
    }
    char *at = dst;
    memcpy(at, envelope->prefix, envelope->n_prefix);
    at += envelope->n_prefix;
    at += vm_base64_encode(at, audio, n);
    memcpy(at, envelope->suffix, envelope->n_suffix);
    at += envelope->n_suffix;
    return (size_t)(at - dst);
}
