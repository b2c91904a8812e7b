from collections.abc import Mapping

class Envelope:
    """How a dialect wraps media, as data that C reads.

    ``text=False``: a whole binary message is the payload, and nothing else here matters. ``text=True``: the message
    is JSON and the payload is base64 at the key path *payload*. A message is media when every path in *match* holds
    its value. Where a path of *expect* is present it must hold its value too, else the message is foreign: counted
    and dropped. *number* is the key path of what counts the stream's media messages, each by one, where they may come
    out of order (``caps.reorder``). To write, *prefix* and *suffix* go around the base64. Key paths have one or two
    ASCII keys. Raises ``ConfigError`` when something is too long for the C structure (keys 31, values 95, affixes 255
    bytes).
    """

    def __init__(
        self,
        *,
        text: bool,
        payload: tuple[str, ...] = (),
        match: Mapping[tuple[str, ...], str] = {},
        expect: Mapping[tuple[str, ...], str] = {},
        number: tuple[str, ...] = (),
        prefix: bytes = b"",
        suffix: bytes = b"",
    ) -> None: ...
    @property
    def text(self) -> bool: ...
    def scan(self, message: bytes) -> bytes | None:
        """Return the base64 text of a media message, ``b""`` for a foreign one, ``None`` for anything else.

        The text is not decoded here: whether it is base64 only the path knows.
        What is not plain ASCII JSON, or escapes something that matters, is left to a full parser: ``None``.
        """
