"""What a media socket asks of the kernel."""

from __future__ import annotations

import socket

__all__ = ["tune"]

_SEND_BUFFER = 32768
"""Bytes, sent and unsent: what the kernel holds is late already."""
_UNSENT_LOW = 1024
"""Unsent bytes from which it takes no more, where it can be told."""


def tune(media: socket.socket) -> None:
    """Keep little in the kernel, and nobody waiting for an acknowledgement of his own."""
    media.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        media.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_LOW)
    if hasattr(socket, "TCP_QUICKACK"):
        # picows asks for an acknowledgement of every segment; media flows both ways and carries them.
        media.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
