"""Vapi's REST side, written from its documentation: what ``POST /call`` demands and what it answers."""

from __future__ import annotations

import hmac
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.testing.vapi_shapes import is_e164

__all__ = [
    "ORG",
    "PHONE_FORMAT",
    "RefusalError",
    "call_json",
    "check_create",
    "check_key",
    "check_update",
    "listed",
]
__all__ += ["now_iso"]

PHONE_FORMAT = AudioFormat("pcm_s16le", 16000)
ORG = "7a1e4c20-3b5f-4d1a-8f66-2c9b0e5d7a01"

_FAMILIES = ("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow")
_DEFAULT_RATES = {"pcm_s16le": 16000, "mulaw": 8000}
_MAX_NAME = 40
_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000


class RefusalError(Exception):
    """The API answers with an error: its HTTP status and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def check_key(headers: Mapping[str, str], api_key: str) -> None:
    """Raise ``RefusalError`` where the API lets nobody in."""
    agent = headers.get("User-Agent", "")
    if not agent or agent.startswith("Python-urllib"):
        raise RefusalError(403, "error code: 1010")
    if not hmac.compare_digest(headers.get("Authorization", "").encode(), f"Bearer {api_key}".encode()):
        raise RefusalError(
            401, "Invalid Key. Hot tip, you may be using the public key instead of the private key."
        )


def check_create(body: object) -> AudioFormat:
    """Return the audio format of a valid ``POST /call``; raises ``RefusalError`` as the API would refuse.

    Without a transport it is an ordinary phone call, whose audio the fake has as pcm_s16le/16000.
    """
    if not isinstance(body, dict):
        raise RefusalError(400, "the body must be a JSON object")
    families = [name for name in _FAMILIES if body.get(name)]
    if len(families) != 1:
        raise RefusalError(400, f"exactly one of {', '.join(_FAMILIES)} is required, got {families}")
    _check_name(body)
    if "transport" not in body:
        _check_phone_call(body)
        return PHONE_FORMAT
    transport = body["transport"]
    provider = transport.get("provider") if isinstance(transport, dict) else None
    if provider != "vapi.websocket":
        if provider == "daily":
            raise RefusalError(400, "Need Either `phoneNumberId` Or `phoneNumber`.")
        raise RefusalError(400, "transport.provider must be vapi.websocket")
    for name in ("phoneNumber", "phoneNumberId", "customers", "schedulePlan"):
        if name in body:
            raise RefusalError(400, f"{name} is not allowed with the vapi.websocket transport")
    return _audio_format(transport.get("audioFormat"))


def check_update(body: object) -> None:
    """Raise ``RefusalError`` for what ``PATCH /call/{id}`` does not take: all but a name."""
    if not isinstance(body, dict):
        raise RefusalError(400, "the body must be a JSON object")
    if other := next((name for name in body if name != "name"), None):
        raise RefusalError(400, f"property {other} should not exist")
    _check_name(body)


def _check_name(body: Mapping[str, Any]) -> None:
    """Raise ``RefusalError`` for a name that is none."""
    name = body.get("name", "")
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        raise RefusalError(400, f"name must be shorter than or equal to {_MAX_NAME} characters")


def _check_phone_call(body: Mapping[str, Any]) -> None:
    if not (body.get("phoneNumberId") or isinstance(body.get("phoneNumber"), dict)):
        raise RefusalError(400, "Need Either `phoneNumberId` Or `phoneNumber`.")
    if "customers" in body:
        raise RefusalError(400, "customers: this fake makes one call at a time")
    if body.get("customerId"):
        return
    customer = body.get("customer")
    if not isinstance(customer, dict):
        raise RefusalError(400, "Need Either `customerId` Or `customer`.")
    number = customer.get("number")
    if number is None and isinstance(customer.get("sipUri"), str):
        return
    if not isinstance(number, str) or (customer.get("numberE164CheckEnabled", True) and not is_e164(number)):
        raise RefusalError(400, "customer.number must be a valid phone number in the E.164 format.")


def _audio_format(given: object) -> AudioFormat:
    if given is None:
        return AudioFormat("pcm_s16le", 16000)
    if not isinstance(given, dict) or given.get("format") not in _DEFAULT_RATES:
        raise RefusalError(400, "transport.audioFormat.format must be pcm_s16le or mulaw")
    if given.get("container", "raw") != "raw":
        raise RefusalError(400, "transport.audioFormat.container must be raw")
    rate = given.get("sampleRate")
    if not isinstance(rate, int | float) or rate != int(rate):
        raise RefusalError(400, "transport.audioFormat.sampleRate must be a number")
    try:
        return AudioFormat(given["format"], int(rate))
    except ConfigError as error:
        raise RefusalError(400, f"transport.audioFormat.sampleRate: {error}") from None


def now_iso() -> str:
    """Return the time as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def call_json(
    call_id: str,
    body: Mapping[str, Any],
    fmt: AudioFormat,
    base_url: str,
    status: str,
    *,
    call_socket_url: str,
) -> dict[str, Any]:
    """Return the ``Call`` object."""
    socket_url = base_url.replace("http", "ws", 1)
    family = next(name for name in _FAMILIES if body.get(name))
    call: dict[str, Any] = {
        "id": call_id,
        "orgId": ORG,
        "createdAt": now_iso(),
        "updatedAt": now_iso(),
        "type": "vapi.websocketCall" if "transport" in body else "outboundPhoneCall",
        "status": status,
        "cost": 0,
        "monitor": {},
    }
    plan = _monitor_plan(body)
    if plan.get("listenEnabled", True):
        call["monitor"]["listenUrl"] = f"{socket_url}/{call_id}/listen"
    if plan.get("controlEnabled", True):
        call["monitor"]["controlUrl"] = f"{base_url}/{call_id}/control"
    if "transport" in body:
        call["transport"] = {
            "provider": "vapi.websocket",
            "conversationType": "voice",
            "audioFormat": {"format": fmt.encoding, "container": "raw", "sampleRate": fmt.sample_rate},
            "websocketCallUrl": f"{call_socket_url}/{call_id}/transport",
        }
    else:
        call["phoneCallProvider"] = "twilio"
        call["phoneCallProviderId"] = f"CA{call_id.replace('-', '')}"
        call["phoneCallTransport"] = "pstn"
    call[family] = body[family]
    call |= {name: value for name, value in body.items() if name in _COPIED}
    return call


def _monitor_plan(body: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("assistantOverrides", "assistant"):
        place = body.get(name)
        if isinstance(place, dict) and isinstance(place.get("monitorPlan"), dict):
            return dict(place["monitorPlan"])
    return {}


def listed(calls: Iterable[Mapping[str, Any]], query: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return the calls that ``GET /call`` with *query* lists, newest first; raises ``RefusalError``."""
    found = sorted(calls, key=lambda call: str(call["createdAt"]), reverse=True)
    limit = _DEFAULT_LIMIT
    for name, value in query.items():
        field, bound = name[:9], name[9:]
        if name == "limit":
            if not value.isdecimal() or int(value) > _MAX_LIMIT:
                raise RefusalError(400, f"limit must be a number in 0..{_MAX_LIMIT}")
            limit = int(value)
        elif name in {"id", "assistantId", "phoneNumberId"}:
            found = [call for call in found if call.get(name) == value]
        elif field in {"createdAt", "updatedAt"} and bound in _BOUNDS:
            try:
                than = datetime.fromisoformat(value)
            except ValueError:
                raise RefusalError(400, f"{name} must be a valid ISO 8601 date string") from None
            than = than if than.tzinfo else than.replace(tzinfo=UTC)
            found = [call for call in found if _BOUNDS[bound](datetime.fromisoformat(call[field]), than)]
        else:
            raise RefusalError(400, f"property {name} should not exist")
    return found[:limit]


_COPIED = frozenset(
    (
        "assistantOverrides",
        "assistantVersion",
        "customer",
        "customerId",
        "metadata",
        "name",
        "phoneNumber",
        "phoneNumberId",
        "schedulePlan",
    )
)
_BOUNDS: dict[str, Callable[[datetime, datetime], bool]] = {
    "Gt": operator.gt,
    "Lt": operator.lt,
    "Ge": operator.ge,
    "Le": operator.le,
}
