"""Calls that go on elsewhere: where to, as users and Vapi say it, and what the provider's API answers."""

from __future__ import annotations

import msgspec

from vapimedia.errors import ProviderError
from vapimedia.io.vapi_client import VapiClient
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.forwarding import ForwardTo, forward_to
from vapimedia.session import ForwardTarget
from vapimedia.session.forwarding import destination_of

__all__ = ["trouble_with", "wanted_destination"]


def wanted_destination(told: str | ForwardTarget, message: str = "") -> ForwardTo:
    """Return where a user wants a call to go on; *message* replaces what stands in it. Raises ``ConfigError``."""
    to = forward_to(told) if isinstance(told, str) else destination_of(told)
    return msgspec.structs.replace(to, message=message) if message else to


async def trouble_with(client: VapiClient, command: HttpCall) -> str:
    """Make a request of a provider's API; return why it was in vain, empty if it was not."""
    try:
        status, _ = await client.ask(command)
    except ProviderError as error:
        return str(error)
    return "" if 200 <= status < 300 else f"the provider refused with status {status}"
