"""A client of Vapi's API for commands about one call, which may be told by its id or by one of its URLs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from vapimedia.errors import ConfigError
from vapimedia.io.config_sources import load_config
from vapimedia.protocols.hosts import is_loopback
from vapimedia.protocols.vapi.call_urls import check_url_from_api, is_url

if TYPE_CHECKING:
    from vapimedia.io.vapi_client import VapiClient

__all__ = ["VapiHosts", "VapiUrl", "client_for"]

VapiUrl = Annotated[
    str | None,
    typer.Option("--vapi-url", help="Base of Vapi's API. Default: https://api.vapi.ai.", show_default=False),
]
VapiHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--vapi-host",
        help="Host suffix of call URLs; may repeat. Default: vapi.ai. This machine is allowed in a URL.",
        show_default=False,
    ),
]


def client_for(call: str, *, vapi_url: str | None, vapi_hosts: list[str] | None) -> VapiClient:
    """Return a client that may use *call*, with the keys of VAPI_API_KEY and VAPI_PUBLIC_KEY.

    Raises ``ConfigError`` for an id without an API key; a URL needs none.
    """
    from vapimedia.io.vapi_client import VapiClient  # noqa: PLC0415  loads aiohttp

    flags = {"vapi_url": vapi_url, "vapi_hosts": vapi_hosts or None}
    settings = load_config(flags=flags, environ=os.environ)
    hosts = settings.vapi_hosts
    if is_url(call):
        host = _host(call)
        hosts += (host,) if is_loopback(host) else ()
        refusal = check_url_from_api(call.strip(" <>"), settings.vapi_url, hosts)
        if refusal is not None:
            raise ConfigError(f"that URL cannot be used: {refusal.reason}; --vapi-host allows another host")
    elif not settings.vapi_api_key:
        raise ConfigError("VAPI_API_KEY is not set; a call's id needs it, a URL of the call does not")
    return VapiClient(
        settings.vapi_api_key,
        base_url=settings.vapi_url,
        public_key=settings.vapi_public_key,
        hosts=hosts,
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url.strip(" <>")).hostname or ""
    except ValueError:
        return ""
