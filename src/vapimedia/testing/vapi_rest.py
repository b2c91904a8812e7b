"""Vapi's REST side, written from its documentation: what ``POST /call`` demands and what it answers."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = ["RefusalError", "call_json", "check_create", "now_iso"]

_FAMILIES = ("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow")
_DEFAULT_RATES = {"pcm_s16le": 16000, "mulaw": 8000}


class RefusalError(Exception):
    """The API answers with an error: its HTTP status and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def check_create(
    headers: Mapping[str, str], body: object, api_key: str, *, planned_status: int = 0
) -> AudioFormat:
    """Return the audio format of a valid ``POST /call``; raises ``RefusalError`` as the API would refuse.

    A *planned_status* other than 0 is a fault to be played: everything is refused with it.
    """
    if planned_status:
        raise RefusalError(planned_status, "made to fail")
    agent = headers.get("User-Agent", "")
    if not agent or agent.startswith("Python-urllib"):
        raise RefusalError(403, "error code: 1010")
    if not hmac.compare_digest(headers.get("Authorization", "").encode(), f"Bearer {api_key}".encode()):
        raise RefusalError(
            401, "Invalid Key. Hot tip, you may be using the public key instead of the private key."
        )
    if not isinstance(body, dict):
        raise RefusalError(400, "the body must be a JSON object")
    families = [name for name in _FAMILIES if body.get(name)]
    if len(families) != 1:
        raise RefusalError(400, f"exactly one of {', '.join(_FAMILIES)} is required, got {families}")
    for name in ("phoneNumber", "phoneNumberId"):
        if name in body:
            raise RefusalError(400, f"{name} is not allowed with the vapi.websocket transport")
    transport = body.get("transport")
    if not isinstance(transport, dict) or transport.get("provider") != "vapi.websocket":
        raise RefusalError(400, "transport.provider must be vapi.websocket")
    return _audio_format(transport.get("audioFormat"))


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
    call_id: str, body: Mapping[str, Any], fmt: AudioFormat, base_url: str, status: str
) -> dict[str, Any]:
    """Return the ``Call`` object."""
    socket_url = base_url.replace("http", "ws", 1)
    family = next(name for name in _FAMILIES if body.get(name))
    call: dict[str, Any] = {
        "id": call_id,
        "orgId": "7a1e4c20-3b5f-4d1a-8f66-2c9b0e5d7a01",
        "createdAt": now_iso(),
        "updatedAt": now_iso(),
        "type": "vapi.websocketCall",
        "status": status,
        "cost": 0,
        "monitor": {
            "listenUrl": f"{socket_url}/{call_id}/listen",
            "controlUrl": f"{base_url}/{call_id}/control",
        },
        "transport": {
            "provider": "vapi.websocket",
            "conversationType": "voice",
            "audioFormat": {"format": fmt.encoding, "container": "raw", "sampleRate": fmt.sample_rate},
            "websocketCallUrl": f"{socket_url}/{call_id}/transport",
        },
    }
    call[family] = body[family]
    for name in ("name", "customer", "assistantOverrides", "metadata"):
        if name in body:
            call[name] = body[name]
    return call
