"""Why a server gave no answer, in words that tell what to mend."""

from __future__ import annotations

import errno
import ssl

import aiohttp

__all__ = ["why_no_answer"]


def why_no_answer(error: BaseException, timeout_s: float) -> str:
    """Return what *error* of an aiohttp client means; *timeout_s* is how long the answer had."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return "the URL is none that can be asked; it begins with http:// or https://"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"host {error.host} cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _why_not_connected(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    return f"no answer, as of {type(error).__name__}"


def _why_not_connected(error: aiohttp.ClientConnectorError) -> str:
    place = f"{error.host}:{error.port}"
    # Several addresses of a host fail as one error, without a type of its own.
    if f"[Errno {errno.ECONNREFUSED}]" in str(error.os_error):
        return f"connection refused by {place}"
    if isinstance(error.os_error, ssl.SSLError):
        return f"no TLS connection to {place}: {error.os_error.reason}"
    return f"no connection to {place}: {error.os_error.strerror or type(error.os_error).__name__}"
