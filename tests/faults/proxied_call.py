"""A call both of whose legs run through a fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from canaries import CANARIES
from scene import Leg, Scene, start, stream_url
from twilio.request_validator import RequestValidator
from wire import Wire, connected, until

from vapimedia.testing import Fault, FaultProxy, ProxiedConnection

__all__ = ["ProxiedCall", "proxied_call"]


@dataclass
class ProxiedCall:
    """Both far ends, and the connections that lead to them."""

    phone: Wire
    leg: Leg
    provider_connection: ProxiedConnection
    vapi_connection: ProxiedConnection


@asynccontextmanager
async def proxied_call(
    scene: Scene, faults: Sequence[Fault] = (), buffer_bytes: int | None = None
) -> AsyncIterator[ProxiedCall]:
    """A live call of Twilio's. *faults* are those of both legs."""
    vapi_port = urlsplit(scene.vapi.url).port
    assert vapi_port is not None
    async with (
        FaultProxy("127.0.0.1", scene.bridge.port, faults=faults, buffer_bytes=buffer_bytes) as to_bridge,
        FaultProxy("127.0.0.1", vapi_port, faults=faults, buffer_bytes=buffer_bytes) as to_vapi,
    ):
        token = CANARIES["the token in Vapi's URLs"]
        scene.vapi.socket_url = f"{to_vapi.url('ws')}/vapi-call-1/transport?token={token}"
        url = stream_url(await scene.voice())
        signature = RequestValidator(scene.auth_token).compute_signature(url, {})
        async with connected(to_bridge.port) as phone:
            answer = await phone.upgrade(urlsplit(url).path, {"X-Twilio-Signature": signature})
            assert answer.status == 101, answer
            phone.text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            phone.text(start())
            leg = await scene.vapi.leg()
            await until(lambda: leg.audio and scene.bridge.calls[0].session.started)
            yield ProxiedCall(phone, leg, await to_bridge.connection(), await to_vapi.connection())
