"""TLS as a client: verified always, and said in words when it fails."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import threading

__all__ = ["client_context", "trouble_of"]


_making = threading.Lock()


@functools.cache
def _made() -> ssl.SSLContext:
    return ssl.create_default_context()


def _made_once() -> ssl.SSLContext:
    with _making:  # the cache alone lets all who come before the first is done make one of their own
        return _made()


async def client_context() -> ssl.SSLContext:
    """Return the context of call sockets, one for the process: chain and host name are checked.

    Reading the system's certificates takes 20 to 100 ms: it is done once, in a thread, and never on the loop.
    """
    if not _made.cache_info().currsize:
        await asyncio.to_thread(_made_once)
    return _made()


def trouble_of(error: BaseException) -> str:
    """Return why no connection came about, in words without an address: the texts of such errors may hold a URL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message or type(error).__name__}"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    if isinstance(error, socket.gaierror | UnicodeError):  # UnicodeError: for a name that cannot be one
        return "its name cannot be resolved"
    return type(error).__name__
