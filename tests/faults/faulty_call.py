"""A live call full of secrets, and the far end of either of its legs, from which anything can be written."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from canaries import CANARIES
from scene import Leg, Scene, start, stream_url
from wire import Wire, frame, until

from vapimedia.testing import FaultProxy, ProxiedConnection

__all__ = ["LEGS", "FarEnd", "live_call", "proxied_call", "rst", "said", "soon"]

LEGS = ("provider", "vapi")


@dataclass
class FarEnd:
    """The peer of one leg: what is written here is byte for byte what the bridge gets."""

    name: str
    phone: Wire
    leg: Leg

    def write(self, data: bytes) -> None:
        if self.name == "provider":
            self.phone.send(data)
        else:
            self.leg.request.transport.write(data)  # type: ignore[union-attr]

    def frame(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        """Write one frame, masked as it must be unless *how* says otherwise."""
        self.write(frame(opcode, payload, **{"masked": self.name == "provider"} | how))

    async def close_code(self) -> int | None:
        """The code with which the bridge closes this leg."""
        if self.name == "provider":
            return await self.phone.close_code()
        await until(lambda: self.leg.is_over)
        return self.leg.close_code


@asynccontextmanager
async def live_call(
    scene: Scene, number: int = 1, proxies: Mapping[str, FaultProxy] = MappingProxyType({})
) -> AsyncIterator[tuple[Wire, Leg]]:
    """A call of Twilio's whose number, parameters and URL at Vapi are canaries, once Vapi hears it.

    *proxies* stand in the way of the legs that they are named for.
    """
    vapi, digits = scene.vapi, CANARIES["the digits of a number"]
    n_legs = len(vapi.legs)
    call, token = f"vapi-call-{len(vapi.requests) + 1}", CANARIES["the token in Vapi's URLs"]
    base = proxies["vapi"].url("ws") if "vapi" in proxies else vapi.url.replace("http", "ws")
    vapi.socket_url = f"{base}/{call}/transport?token={token}"
    answer = await scene.voice(number, From=f"+1{digits}", To=f"+1{digits}")
    port = proxies["provider"].port if "provider" in proxies else None
    async with scene.socket(stream_url(answer), port) as phone:
        phone.text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        phone.text(start(number, customParameters={"word": CANARIES["a custom parameter"]}))
        leg = await vapi.leg(n_legs + 1)
        await until(lambda: leg.audio)
        yield phone, leg


@asynccontextmanager
async def proxied_call(
    scene: Scene, leg_name: str, number: int = 1
) -> AsyncIterator[tuple[Wire, Leg, ProxiedConnection]]:
    """A live call, and the connection of one of its legs, which a proxy holds."""
    ports = {"provider": scene.bridge.port, "vapi": urlsplit(scene.vapi.url).port}
    async with (
        FaultProxy("127.0.0.1", ports[leg_name] or 0) as proxy,
        live_call(scene, number, {leg_name: proxy}) as (phone, leg),
    ):
        yield phone, leg, proxy.connections[0]


def said(text: str = CANARIES["a transcript"]) -> dict[str, Any]:
    """An event of Vapi's with words that must not show."""
    return {"type": "transcript", "role": "user", "transcriptType": "final", "transcript": text}


def rst(leg: Leg) -> None:
    """Cut the leg at Vapi's end with a TCP reset."""
    transport: Any = leg.request.transport
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()


async def soon(bound_ms: float, attempt: Callable[[], Awaitable[float]], tries: int = 3) -> None:
    """Expect that *attempt* tells a time within the bound, once at least: others are busy on this machine too."""
    took = []
    for _ in range(tries):
        took.append(await attempt())
        if took[-1] <= bound_ms:
            return
    raise AssertionError(f"took {took} ms, not {bound_ms}")
