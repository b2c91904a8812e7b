"""``POST /call``: what is asked for, on the ``vapi.websocket`` transport or as an ordinary phone call of Vapi's.

Source: docs.vapi.ai (calls: create, WebSocket transport) and its OpenAPI schema ``CreateCallDTO``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.structs import force_setattr

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.phone_numbers import E164

__all__ = ["CreateCall", "CreatePhoneCall", "Customer", "SchedulePlan", "decode_create_call"]

_MAX_NAME = 40
_FAMILIES = ("assistant", "squad", "workflow")
_WEBSOCKET = "vapi.websocket"
_DEFAULT_RATES = {"pcm_s16le": 16000, "mulaw": 8000}


class Customer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Who is called: a number in E.164, or a SIP address. ``repr`` shows none of it.

    ``number_e164_check_enabled=False`` lets other numbers through, such as extensions of one's own trunk.
    """

    number: str | None = None
    sip_uri: str | None = None
    extension: str | None = None
    name: str | None = None
    email: str | None = None
    external_id: str | None = None
    number_e164_check_enabled: bool | None = None
    assistant_overrides: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return "Customer()"


class SchedulePlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """When Vapi makes the call, in ISO 8601: not before *earliest_at*, and not at all after *latest_at*."""

    earliest_at: str
    latest_at: str | None = None


class _Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What every call has. Exactly one of assistant, squad and workflow answers it, by id or in full.

    ``metadata`` goes into the ``metadata`` of the overrides. ``repr`` shows none of the content.
    """

    assistant_id: str | None = None
    assistant: dict[str, Any] | None = None
    assistant_version: str | None = None
    assistant_overrides: dict[str, Any] | None = None
    squad_id: str | None = None
    squad: dict[str, Any] | None = None
    squad_version: str | None = None
    squad_overrides: dict[str, Any] | None = None
    workflow_id: str | None = None
    workflow: dict[str, Any] | None = None
    workflow_overrides: dict[str, Any] | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    customer: Customer | None = None
    customer_id: str | None = None
    phone_number_id: str | None = None
    phone_number: dict[str, Any] | None = None
    schedule_plan: SchedulePlan | None = None

    def __post_init__(self) -> None:
        given = [
            field
            for family in _FAMILIES
            for field in (f"{family}_id", family)
            if getattr(self, field) not in (None, "", {})
        ]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ConfigError(
                f"a Vapi call needs exactly one assistant, squad or workflow, by id or in full; got {found}"
            )
        if self.name is not None and len(self.name) > _MAX_NAME:
            raise ConfigError(f"a Vapi call's name has at most {_MAX_NAME} characters, not {len(self.name)}")
        if self.metadata is not None and self.family == "workflow":
            raise ConfigError("Vapi takes no metadata with a workflow; use an assistant or a squad")

    @property
    def family(self) -> str:
        """``assistant``, ``squad`` or ``workflow``: what answers the call."""
        return next(name for name in _FAMILIES if getattr(self, name) or getattr(self, f"{name}_id"))

    def body(self) -> bytes:
        """Return the JSON body. Raises ``ConfigError`` if overrides or metadata are not JSON."""
        return self._body({})

    def _body(self, more: dict[str, Any]) -> bytes:
        names = dict(zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True))
        own = [field for field in names if field in _Request.__struct_fields__ and field != "metadata"]
        request = {names[field]: getattr(self, field) for field in own}
        request = {name: value for name, value in request.items() if value not in (None, "")}
        try:
            if self.metadata is not None:
                overrides = request.get(f"{self.family}Overrides", {})
                metadata = overrides.get("metadata", {}) | self.metadata
                request[f"{self.family}Overrides"] = overrides | {"metadata": metadata}
            return msgspec.json.encode(request | more)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ConfigError("the overrides or metadata of a Vapi call cannot be written as JSON") from None


class CreateCall(_Request, frozen=True, kw_only=True):
    """A call on the WebSocket transport: its audio comes and goes by the call's own socket.

    Exactly one of assistant, squad and workflow answers it, by id or in full. One ``format`` governs both
    directions; the default is Vapi's. ``metadata`` goes into the ``metadata`` of the overrides. There is no phone
    number of Vapi's in such a call: ``phone_number_id``, ``phone_number`` and ``schedule_plan`` are refused.
    ``repr`` shows none of the content. Raises ``ConfigError``.
    """

    format: AudioFormat = AudioFormat("pcm_s16le", 16000)
    conversation_type: Literal["voice"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.format, str):
            force_setattr(self, "format", AudioFormat.parse(self.format))
        if not isinstance(self.format, AudioFormat):
            raise ConfigError('format must be an AudioFormat, or text such as "mulaw/8000"')
        if self.format.encoding not in _DEFAULT_RATES:
            raise ConfigError(f"Vapi's call socket speaks mulaw and pcm_s16le, not {self.format.encoding}")
        if self.conversation_type not in (None, "voice"):
            raise ConfigError("the only conversation_type of a call on the WebSocket transport is voice")
        for field in ("phone_number_id", "phone_number", "schedule_plan"):
            if getattr(self, field) is not None:
                raise ConfigError(
                    f"{field} cannot go with the WebSocket transport; leave it out, "
                    "or use CreatePhoneCall for a call that Vapi makes itself"
                )

    def body(self) -> bytes:
        """Return the JSON body. Raises ``ConfigError`` if overrides or metadata are not JSON."""
        transport: dict[str, Any] = {
            "provider": _WEBSOCKET,
            "audioFormat": {
                "format": self.format.encoding,
                "container": "raw",
                "sampleRate": self.format.sample_rate,
            },
        }
        if self.conversation_type is not None:
            transport["conversationType"] = self.conversation_type
        return self._body({"transport": transport})

    def __repr__(self) -> str:
        return f"CreateCall({self.family}, {self.format})"


class CreatePhoneCall(_Request, frozen=True, kw_only=True):
    """An ordinary phone call that Vapi makes itself, to be listened to and controlled by its monitor URLs.

    *customer* (or *customer_id*) is called from *phone_number_id*, or from *phone_number*, a number of one's own
    account in full. Exactly one of assistant, squad and workflow talks. ``repr`` shows none of the content.
    Raises ``ConfigError``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.phone_number_id in (None, "")) == (self.phone_number in (None, {})):
            raise ConfigError(
                "a phone call of Vapi's needs one number to call from: phone_number_id or phone_number; "
                "for a call whose audio you bring yourself use CreateCall"
            )
        if (self.customer is None) == (self.customer_id in (None, "")):
            raise ConfigError("a phone call needs one who is called: customer or customer_id")
        if self.customer is not None:
            _check_customer(self.customer)

    def __repr__(self) -> str:
        return f"CreatePhoneCall({self.family})"


def _check_customer(customer: Customer) -> None:
    if not isinstance(customer, Customer):
        raise ConfigError('customer must be Customer(number="+15555550123"), or one with a sip_uri')
    if (customer.number in (None, "")) == (customer.sip_uri in (None, "")):
        raise ConfigError("a customer needs one of number and sip_uri")
    checked = customer.number_e164_check_enabled is not False
    if customer.number and checked and not E164.fullmatch(customer.number):
        raise ConfigError(
            "the customer's number is not in E.164 (+ and 7 to 15 digits, nothing between them); "
            "number_e164_check_enabled=False lets others through"
        )


class _AudioFormat(msgspec.Struct, rename="camel"):
    format: str = "pcm_s16le"
    container: Literal["raw"] = "raw"
    sample_rate: float | None = None


class _Transport(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    provider: str = ""
    conversation_type: str | None = None
    audio_format: _AudioFormat | None = None


def decode_create_call(data: bytes | str) -> CreateCall | CreatePhoneCall:
    """Return the request that a JSON body of ``POST /call`` makes. Raises ``ConfigError`` for one we would not send."""
    if not isinstance(data, bytes | bytearray | memoryview | str):
        raise ConfigError(
            f"decode_create_call reads JSON, bytes or text, not {type(data).__name__}; use json.dumps"
        )
    try:
        return _decode(msgspec.json.decode(data, type=dict[str, Any]))
    except ConfigError:
        raise
    except msgspec.ValidationError as error:
        cause = error.__cause__
        # What __post_init__ raised comes wrapped, as a ValueError does.
        reason = str(cause) if isinstance(cause, ConfigError) else str(error)
        raise ConfigError(f"that is no request for a Vapi call: {reason}") from None
    except (*BROKEN, ValueError, OverflowError):
        raise ConfigError("that is no request for a Vapi call: it is not a JSON object") from None


def _decode(request: dict[str, Any]) -> CreateCall | CreatePhoneCall:
    transport = msgspec.convert(request.pop("transport", None), _Transport | None)
    if request.get("customers"):
        raise ConfigError(
            "one request makes one call here; give customer instead of customers, once for each"
        )
    if transport is None:
        return msgspec.convert(request, CreatePhoneCall)
    if transport.provider != _WEBSOCKET:
        raise ConfigError(f"the transport of a call can be {_WEBSOCKET} or none, which is a phone call")
    given = transport.audio_format or _AudioFormat()
    rate = given.sample_rate or _DEFAULT_RATES.get(given.format, 0)
    if rate != int(rate):
        raise ConfigError("the sampleRate of a call must be a whole number")
    audio_format = AudioFormat.parse(f"{given.format}/{int(rate)}")
    more = {"format": audio_format, "conversationType": transport.conversation_type}
    return msgspec.convert(request | more, CreateCall)
