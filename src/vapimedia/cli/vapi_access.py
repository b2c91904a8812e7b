"""The settings of commands about one call of Vapi's, which is told by its id or by one of its URLs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from vapimedia.cli.options import config_file
from vapimedia.errors import ConfigError
from vapimedia.io.config import BridgeConfig
from vapimedia.io.config_sources import load_config
from vapimedia.protocols.hosts import is_loopback
from vapimedia.protocols.vapi import check_url_from_api
from vapimedia.protocols.vapi.call_urls import bare_url, is_about_host, is_url
from vapimedia.secret import Secret

__all__ = ["call_settings"]


def call_settings(
    call: str | Secret | None,
    *,
    vapi_url: str | None,
    vapi_hosts: list[str] | None,
    file: Path | None,
    url_name: str,
) -> BridgeConfig:
    """Return the settings under which *call* may be used. ``None`` is no call in particular.

    Raises ``ConfigError`` for an id without an API key, and for a URL on a host that is not allowed.
    """
    flags = {"vapi_url": vapi_url, "vapi_hosts": vapi_hosts or None}
    settings = load_config(flags=flags, environ=os.environ, file=config_file(file, os.environ))
    if call is None or not is_url(call):
        if not settings.vapi_api_key:
            other = "" if call is None else f", or give the call's {url_name}"
            raise ConfigError(f"VAPI_API_KEY is not set; put Vapi's private key in the environment{other}")
        return settings
    url = bare_url(call)
    try:
        host = urlsplit(url.reveal()).hostname or ""
    except ValueError:
        host = ""
    if is_loopback(host):  # a fake on this machine: whoever types its URL means it
        settings = msgspec.structs.replace(settings, vapi_hosts=(*settings.vapi_hosts, host))
    refusal = check_url_from_api(url, settings.vapi_url, settings.vapi_hosts)
    if refusal is not None:
        hint = "; --vapi-host allows another host" if is_about_host(refusal) else ""
        raise ConfigError(f"that {url_name} cannot be used: {refusal.reason}{hint}")
    return settings
