# cython: language_level=3, freethreading_compatible=True
"""How a dialect wraps media, as data that C reads."""

from libc.string cimport memcmp, memcpy, memset

from vapimedia.errors import ConfigError

__all__ = ["Envelope"]


cdef bytes _bounded(bytes data, Py_ssize_t limit, str what):
    if len(data) > limit:
        raise ConfigError(f"{what} of an envelope has {len(data)} bytes; the limit is {limit}")
    return data


cdef bytes _ascii(str text, Py_ssize_t limit, str what):
    if not text.isascii():
        raise ConfigError(f"{what} of an envelope must be ASCII; only ASCII messages are scanned")
    return _bounded(text.encode("ascii"), limit, what)


cdef bint _overlap(const vm_envelope_path* a, const vm_envelope_path* b) noexcept:
    """Whether one is the other, or leads through it."""
    cdef int level
    for level in range(min(a.depth, b.depth)):
        if a.n[level] != b.n[level] or memcmp(a.key[level], b.key[level], a.n[level]) != 0:
            return False
    return True


cdef void _copy(char* dst, bytes data) noexcept:
    memcpy(dst, <const char*>data, <size_t>len(data))


cdef int _fill_path(vm_envelope_path* path, object keys) except -1:
    cdef bytes key
    if not 1 <= len(keys) <= VM_ENVELOPE_DEPTH:
        raise ConfigError(f"a key path of an envelope has 1 to {VM_ENVELOPE_DEPTH} keys, not {len(keys)}")
    path.depth = <uint8_t>len(keys)
    for level, name in enumerate(keys):
        key = _ascii(name, VM_ENVELOPE_KEY, "a key")
        path.n[<int>level] = <uint8_t>len(key)
        _copy(path.key[<int>level], key)
    return 0


cdef int _fill_rules(vm_envelope* c, object rules, bint required, bint is_number=False) except -1:
    cdef vm_envelope_rule* rule
    cdef bytes value
    cdef int other
    for keys, text in rules.items():
        if c.n_rules == VM_ENVELOPE_RULES:
            raise ConfigError(f"an envelope has at most {VM_ENVELOPE_RULES} rules")
        rule = &c.rules[c.n_rules]
        _fill_path(&rule.path, keys)
        if _overlap(&rule.path, &c.payload):
            raise ConfigError("a rule of an envelope and its payload share a path; give each its own")
        for other in range(c.n_rules):
            if _overlap(&rule.path, &c.rules[other].path):
                raise ConfigError("two rules of an envelope share a path; give each its own")
        value = _ascii(text, VM_ENVELOPE_VALUE, "a value")
        rule.required = required
        rule.is_number = is_number
        rule.n = <uint8_t>len(value)
        _copy(rule.value, value)
        c.n_rules += 1
    return 0


cdef class Envelope:
    """How a dialect wraps media, as data that C reads.

    ``text=False``: a whole binary message is the payload, and nothing else here matters. ``text=True``: the message
    is JSON and the payload is base64 at the key path *payload*. A message is media when every path in *match* holds
    its value. Where a path of *expect* is present it must hold its value too, else the message is foreign: counted
    and dropped. *number* is the key path of what counts the stream's media messages, each by one, where they may come
    out of order (``caps.reorder``). To write, *prefix* and *suffix* go around the base64. Key paths have one or two
    ASCII keys. Raises ``ConfigError`` when something is too long for the C structure (keys 31, values 95, affixes 255
    bytes).
    """

    def __cinit__(self, *, bint text, tuple payload=(), object match=None, object expect=None,
                  tuple number=(), bytes prefix=b"", bytes suffix=b""):
        memset(&self.c, 0, sizeof(vm_envelope))
        self.c.is_text = text
        if not text:
            return
        if payload:
            _fill_path(&self.c.payload, payload)
        elif match or expect or number:
            raise ConfigError("an envelope with rules needs the key path of its payload")
        _fill_rules(&self.c, match or {}, True)
        _fill_rules(&self.c, expect or {}, False)
        if number:
            _fill_rules(&self.c, {number: ""}, False, True)
        prefix = _bounded(prefix, VM_ENVELOPE_AFFIX, "the prefix")
        suffix = _bounded(suffix, VM_ENVELOPE_AFFIX, "the suffix")
        self.c.n_prefix = <uint8_t>len(prefix)
        self.c.n_suffix = <uint8_t>len(suffix)
        _copy(self.c.prefix, prefix)
        _copy(self.c.suffix, suffix)

    @property
    def text(self):
        return self.c.is_text

    def scan(self, bytes message not None):
        """Return the base64 text of a media message, ``b""`` for a foreign one, ``None`` for anything else.

        The text is not decoded here: whether it is base64 only the path knows.
        What is not plain ASCII JSON, or escapes something that matters, is left to a full parser: ``None``.
        """
        cdef const char* payload = NULL
        cdef size_t n = 0
        cdef vm_envelope_kind kind = vm_envelope_scan(
            &self.c, <const char*>message, <size_t>len(message), &payload, &n)
        if kind == VM_ENVELOPE_MEDIA:
            return payload[:n]
        return None if kind == VM_ENVELOPE_OTHER else b""
