"""How a media socket gets its connection: one that was accepted, or one that is opened to Vapi."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiofastnet
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from vapimedia.io.call_log import HidesWords
from vapimedia.io.http_head import Head
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.tls import client_context
from vapimedia.io.vapi_requests import revealed
from vapimedia.secret import Secret

__all__ = ["HANDSHAKE_TIMEOUT_S", "accept", "connect"]

_picows_log = logging.getLogger("vapimedia.io.picows")
# Below this it tells of every connection, with peers' addresses and, at its most talkative, request heads.
_picows_log.setLevel(logging.WARNING)
_picows_log.addFilter(HidesWords())
# Of a logger itself picows makes one of its own for each connection, past the filter.
_picows_told = logging.LoggerAdapter(_picows_log)

HANDSHAKE_TIMEOUT_S = 5.0
# A conversation-update holds the whole conversation twice, with a time for each word: that of a long call must not
# end it.
_MAX_VAPI_MESSAGE = 16 << 20

_ROOM = 4096
_END = b"\r\n\r\n"
_MAX_ANSWER = 16384  # picows gives up here too


class _Handshake(WSProtocol):  # type: ignore[misc]  # not in its stubs
    """Gives picows the handshake, byte for byte, and the rest of the connection to *taker*."""

    taker: MediaSocket
    head = b""
    """Of a connection that was accepted, and read already."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._bytes = bytearray()
        self._room = bytearray(_ROOM)
        super().connection_made(transport)
        if self.head:
            self._tell_picows(self.head)
            # The transport starts to read after this; until then nobody can take its place.
            asyncio.get_running_loop().call_soon(self._part)

    def get_buffer(self, size_hint: int) -> bytearray:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self._bytes += memoryview(self._room)[:nbytes]
        if not self.head:
            end = self._bytes.find(_END)
            if end < 0 and len(self._bytes) < _MAX_ANSWER:
                return
            self.head = bytes(self._bytes if end < 0 else self._bytes[: end + len(_END)])
            del self._bytes[: len(self.head)]
            self._tell_picows(self.head)
        self._part()

    def _part(self) -> None:
        early = bytes(self._bytes)
        self._bytes.clear()
        if self.taker.is_connected:  # picows is content
            self.taker.take_over(self, early)

    def _tell_picows(self, head: bytes) -> None:
        while head:
            room = super().get_buffer(-1)
            n_bytes = min(len(room), len(head))
            room[:n_bytes] = head[:n_bytes]
            super().buffer_updated(n_bytes)
            head = head[n_bytes:]


async def accept(connection: socket.socket, taker: MediaSocket, ping_interval_s: float, head: Head) -> None:
    """Let *taker* serve *connection*, on which a whole upgrade request, *head*, waits to be read."""
    protocol = _protocol(taker, ping_interval_s)
    protocol.head = head.plain()
    try:
        if len(connection.recv(head.n_bytes)) != head.n_bytes:
            raise ConnectionResetError
        await aiofastnet.connect_accepted_socket(asyncio.get_running_loop(), lambda: protocol, connection)
    except OSError:
        connection.close()


async def connect(
    url: Secret, taker: MediaSocket, headers: Mapping[str, str | Secret], ping_interval_s: float
) -> None:
    """Open a WebSocket at *url* for *taker*; return once it is open.

    Redirects are not followed. Raises ``OSError``, ``ValueError`` or one of picows' errors, whose texts may
    hold the URL; whatever it raises, no connection is left.
    """
    parts = urlsplit(url.reveal())
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("not the URL of a WebSocket")
    is_secure = parts.scheme == "wss"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    taker.max_message = _MAX_VAPI_MESSAGE
    protocol = _protocol(taker, ping_interval_s, to=(parts.netloc, path, list(revealed(headers).items())))
    transport, _ = await aiofastnet.create_connection(
        asyncio.get_running_loop(),
        lambda: protocol,
        parts.hostname,
        parts.port or (443 if is_secure else 80),
        ssl=await client_context() if is_secure else None,
    )
    try:
        await protocol.wait_until_handshake_complete()
    except BaseException:
        transport.abort()
        raise
    if protocol.listener is None:  # picows calls it complete when the connection was closed without an answer
        raise ConnectionResetError("the upgrade was not answered")


def _protocol(
    taker: MediaSocket,
    ping_interval_s: float,
    *,
    to: tuple[str, str, list[tuple[str, str]]] | None = None,
) -> _Handshake:
    host, path, headers = to or (None, None, None)
    taker.keep_alive(ping_interval_s)
    protocol = _Handshake(
        host,
        path,
        to is not None,  # is_client_side
        lambda *_request: taker,
        _picows_told,
        True,  # disconnect_on_exception
        HANDSHAKE_TIMEOUT_S,
        False,  # enable_auto_ping: the media socket does it, for its echo too
        None,  # of an idle connection, after
        None,  # and its answer within
        1,  # PING_WHEN_IDLE
        False,  # enable_auto_pong: the media socket does it
        taker.max_message,  # of one frame
        headers,
        _ROOM,  # read buffer, bytes
    )
    protocol.taker = taker
    return protocol
