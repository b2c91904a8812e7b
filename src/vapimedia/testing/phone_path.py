"""The way of a phone's media socket through a ``FaultProxy``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from vapimedia.testing.fault import Fault
from vapimedia.testing.fault_proxy import PATH_BYTES, FaultProxy

__all__ = ["finish", "lead_through", "until_left"]

_WATCH_S = 0.05
_NOTICE_S = 1.0


async def lead_through(url: str, faults: Iterable[Fault]) -> tuple[FaultProxy, str, dict[str, Any]]:
    """Start a proxy on the way to *url*; returns it, the URL that leads through it, and how to ask there as if here."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "wss"
    port = parts.port or (443 if is_secure else 80)
    proxy = FaultProxy(parts.hostname or "", port, faults=faults, buffer_bytes=PATH_BYTES)
    await proxy.start()
    query = f"?{parts.query}" if parts.query else ""
    more: dict[str, Any] = {"headers": {"Host": parts.netloc}}
    if is_secure:
        more["server_hostname"] = parts.hostname
    return proxy, f"{proxy.url(parts.scheme)}{parts.path}{query}", more


async def until_left(proxy: FaultProxy) -> None:
    """Wait until the bridge has ended its side, which a fault may hide from the phone, and the phone could tell."""
    connection = await proxy.connection()
    # The kernel tells nobody who does not read.
    while not connection.is_left("server"):  # noqa: ASYNC110
        await asyncio.sleep(_WATCH_S)
    await asyncio.sleep(0.0 if connection.broken_by == "half-open" else _NOTICE_S)


async def finish(proxy: FaultProxy) -> None:
    """Let the end of the phone's side pass, and close."""
    for connection in proxy.connections:
        if connection.broken_by is None:
            with suppress(TimeoutError):
                await connection.closed(_NOTICE_S)
    await proxy.close()
