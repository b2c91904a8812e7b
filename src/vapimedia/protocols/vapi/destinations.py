"""Where a call goes on: a number, a SIP address, or another assistant. Read from Vapi, and sent to it.

Source: docs.vapi.ai, OpenAPI schemas ``TransferDestinationNumber``, ``TransferDestinationSip`` and
``TransferDestinationAssistant``; handoff destinations from its pages on squads.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import force_setattr

from vapimedia.errors import ConfigError
from vapimedia.protocols.vapi.parts import Shy

__all__ = ["AssistantDestination", "Destination", "NumberDestination", "PhoneDestination", "SipDestination"]

Message = str | dict[str, Any]


class NumberDestination(Shy, frozen=True, tag_field="type", tag="number"):
    """A phone number. *message* is said before the transfer; an empty one makes it silent. An empty *extension*
    is none.

    Raises ``ConfigError`` if a length is not what Vapi takes: *number* 3 to 40, *extension* 1 to 10,
    *caller_id* at most 40 characters.
    """

    number: str
    message: Message | None = None
    extension: str | None = None
    caller_id: str | None = None
    number_e164_check_enabled: bool | None = None
    transfer_plan: dict[str, Any] | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        if self.extension == "":  # a form's empty field; a call that is to go on must not fail by it
            force_setattr(self, "extension", None)
        _check_length("number", self.number, 3, 40)
        _check_length("extension", self.extension, 1, 10)
        _check_length("caller_id", self.caller_id, 0, 40)


class SipDestination(Shy, frozen=True, tag_field="type", tag="sip"):
    """A SIP address, ``sip:...`` or ``sips:...``; *message* as for a number. Raises ``ConfigError`` likewise."""

    sip_uri: str
    sip_headers: dict[str, Any] | None = None
    caller_id: str | None = None
    message: Message | None = None
    transfer_plan: dict[str, Any] | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.sip_uri, str) or not self.sip_uri.lower().startswith(("sip:", "sips:")):
            raise ConfigError("the sip_uri of a destination must begin with sip: or sips:")
        _check_length("caller_id", self.caller_id, 0, 40)


class AssistantDestination(Shy, frozen=True, tag_field="type", tag="assistant"):
    """Another assistant: by *assistant_name* within a squad; in a handoff by *assistant_id* or whole too."""

    assistant_name: str | None = None
    assistant_id: str | None = None
    assistant: dict[str, Any] | None = None
    assistant_overrides: dict[str, Any] | None = None
    transfer_mode: str | None = None
    context_engineering_plan: str | dict[str, Any] | None = None
    variable_extraction_plan: dict[str, Any] | None = None
    message: Message | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        if not (self.assistant_name or self.assistant_id or self.assistant):
            raise ConfigError("an assistant as destination needs assistant_name, assistant_id or assistant")


PhoneDestination = NumberDestination | SipDestination
Destination = NumberDestination | SipDestination | AssistantDestination


def _check_length(what: str, value: Any, shortest: int, longest: int) -> None:
    if value is None and what != "number":
        return
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise ConfigError(f"the {what} of a destination must be text of {shortest} to {longest} characters")
