"""A call both of whose legs run through a fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from faulty_call import live_call
from scene import Leg, Scene, call_sid
from wire import Wire, until

from vapimedia.io.live_call import LiveCall
from vapimedia.testing import Fault, FaultProxy, ProxiedConnection

__all__ = ["ProxiedCall", "proxied_call"]


@dataclass
class ProxiedCall:
    """Both far ends, the connections that lead to them, and what the bridge has between."""

    phone: Wire
    leg: Leg
    provider_connection: ProxiedConnection
    vapi_connection: ProxiedConnection
    live: LiveCall


@asynccontextmanager
async def proxied_call(
    scene: Scene, faults: Sequence[Fault] = (), buffer_bytes: int | None = None, number: int = 1
) -> AsyncIterator[ProxiedCall]:
    """A live call of Twilio's. *faults* are those of both legs."""
    vapi_port = urlsplit(scene.vapi.url).port
    assert vapi_port is not None
    async with (
        FaultProxy("127.0.0.1", scene.bridge.port, faults=faults, buffer_bytes=buffer_bytes) as to_bridge,
        FaultProxy("127.0.0.1", vapi_port, faults=faults, buffer_bytes=buffer_bytes) as to_vapi,
        live_call(scene, number, {"provider": to_bridge, "vapi": to_vapi}) as (phone, leg),
    ):
        live = next(one for one in scene.bridge.calls if one.call_id == call_sid(number))
        await until(lambda: live.session.started)
        yield ProxiedCall(phone, leg, await to_bridge.connection(), await to_vapi.connection(), live)
