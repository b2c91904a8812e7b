"""Where a phone call is to go on without us, in words that every provider shares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.protocols.phone_numbers import E164, without_separators

__all__ = ["ForwardTo", "forward_to"]

# RFC 3261 s. 19.1, by its outline: what must not stand in a URI stands in none.
_SIP_URI = re.compile(r"sips?:[!-;=?-~]{1,250}", re.IGNORECASE)
_CALLER_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,40}")
_KEYS = re.compile(r"[0-9*#]{1,32}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_HEADER_VALUE = re.compile(r"[ -~]{0,256}")
_MAX_HEADERS = 32
_MAX_MESSAGE = 1500
_RING_S = range(5, 121)


class ForwardTo(msgspec.Struct, frozen=True, kw_only=True):
    """A destination: a phone number in E.164 or a SIP URI. Its ``repr`` shows neither, nor the message.

    ``caller_id`` is what the destination sees (empty: what the provider shows by itself), ``extension`` the keys
    pressed once it has answered (numbers only), ``headers`` those of the INVITE (SIP only), ``message`` what the
    provider's own voice says to the caller first, ``ring_timeout_s`` how long it rings. Raises ``ConfigError``,
    whose text quotes none of it.
    """

    kind: Literal["number", "sip"]
    address: str
    caller_id: str = ""
    extension: str = ""
    headers: Mapping[str, str] = {}
    message: str = ""
    ring_timeout_s: int = 30

    def __post_init__(self) -> None:
        texts = (
            self.address,
            self.caller_id,
            self.extension,
            self.message,
            *self.headers,
            *self.headers.values(),
        )
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError("what says where a call goes on must be text")
        # No text quotes a number or an address: it ends in logs.
        if self.kind == "number":
            if not E164.fullmatch(self.address):
                raise ConfigError("a call is forwarded to a number in E.164: + and 7 to 15 digits")
        elif self.kind != "sip" or not _SIP_URI.fullmatch(self.address):
            raise ConfigError(
                "a call is forwarded to a number, or to an address such as sip:desk@example.com"
            )
        is_name = self.kind == "sip" and _CALLER_NAME.fullmatch(self.caller_id)
        if self.caller_id and not (is_name or E164.fullmatch(self.caller_id)):
            raise ConfigError("caller_id must be a number in E.164: + and 7 to 15 digits")
        if self.extension and (self.kind != "number" or not _KEYS.fullmatch(self.extension)):
            raise ConfigError("an extension is up to 32 keys of 0-9, * and #, after a number")
        if self.headers and self.kind != "sip":
            raise ConfigError("only a SIP address takes headers")
        if len(self.headers) > _MAX_HEADERS or not all(
            _HEADER.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in self.headers.items()
        ):
            raise ConfigError(
                f"SIP headers have a name such as X-Case and a value of printable ASCII; {_MAX_HEADERS} at most"
            )
        if len(self.message) > _MAX_MESSAGE:
            raise ConfigError(f"what is said to the caller has more than {_MAX_MESSAGE} characters")
        if self.ring_timeout_s not in _RING_S:
            raise ConfigError(f"ring_timeout_s must be within {_RING_S[0]}..{_RING_S[-1]} seconds")

    def is_same_place(self, other: ForwardTo) -> bool:
        """Whether both are the same phone, however the caller gets there."""
        return (self.address, self.extension) == (other.address, other.extension)

    def __repr__(self) -> str:
        return f"ForwardTo({self.kind!r})"


def forward_to(
    address: str,
    *,
    caller_id: str = "",
    extension: str = "",
    headers: Mapping[str, str] | None = None,
    message: str = "",
) -> ForwardTo:
    """Return the destination that *address* names: a number as people write it, or a ``sip:`` URI.

    Raises ``ConfigError``.
    """
    address = address.strip(" ")
    is_sip = address.lower().startswith(("sip:", "sips:"))
    shown = without_separators(caller_id.strip(" "))
    return ForwardTo(
        kind="sip" if is_sip else "number",
        address=address if is_sip else without_separators(address),
        caller_id=shown if E164.fullmatch(shown) else caller_id,
        extension=extension,
        headers=headers or {},
        message=message,
    )
