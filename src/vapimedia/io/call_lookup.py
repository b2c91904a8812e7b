"""Where a running call is listened to and controlled: its URLs, from whatever stands for the call."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from vapimedia.errors import CallOver, ConfigError, VapiError
from vapimedia.protocols.vapi import CallRecord, CreatedCall, check_monitor_url, check_url_from_api
from vapimedia.protocols.vapi.call_urls import bare_url, is_about_host, is_url
from vapimedia.secret import Secret

if TYPE_CHECKING:
    from vapimedia.io.vapi_client import VapiClient

__all__ = ["CallLike", "Known", "check_call", "control_url_of", "id_in", "id_of", "listen_url_of"]

CallLike = CreatedCall | CallRecord | str | Secret
"""A call of ours, its record, its id, or one of its URLs."""

_MAX_KNOWN = 1024
_UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])")


class Known:
    """The URLs of the latest calls that a client has seen, so that an id needs no request. Bounded."""

    def __init__(self) -> None:
        self._urls: OrderedDict[str, tuple[Secret, Secret]] = OrderedDict()

    def add(self, call: CreatedCall | CallRecord) -> None:
        """Remember the URLs of *call*, if it has any."""
        if call.control_url or call.listen_url:
            self._urls[call.id] = (call.control_url, call.listen_url)
            self._urls.move_to_end(call.id)
            if len(self._urls) > _MAX_KNOWN:
                self._urls.popitem(last=False)

    def url(self, call_id: str, kind: Literal["control", "listen"]) -> Secret:
        """Return the URL; empty if it is not known."""
        urls = self._urls.get(call_id, (Secret(), Secret()))
        return urls[0] if kind == "control" else urls[1]


def check_call(call: CallLike) -> None:
    """Raise ``ConfigError`` for what stands for no call."""
    if not isinstance(call, CallLike):
        raise ConfigError(
            f"a call is a CreatedCall, a CallRecord, an id or one of its URLs, not {type(call).__name__}"
        )


def id_of(call: CallLike) -> str:
    """Return the id of a call. Raises ``ConfigError`` for what is none, a URL too."""
    check_call(call)
    if not isinstance(call, str | Secret):
        return call.id
    if is_url(call):
        raise ConfigError("a URL of a call does not tell its id; give the id, as POST /call answers it")
    return Secret(call).reveal()


def id_in(call: CallLike) -> str:
    """Return what is probably the id of a call: of a URL, the id in its path; empty if there is none."""
    if isinstance(call, str | Secret) and is_url(call):
        found = _UUID.search(Secret(call).reveal().lower())
        return found[0] if found else ""
    return id_of(call)


async def control_url_of(client: VapiClient, call: CallLike) -> Secret:
    """Return where messages to *call* go; an id is asked for at the API unless it is known.

    Raises ``ConfigError`` for another kind of URL, ``CallOver``, and ``VapiError`` for a call that has no such
    URL or one that must not be used.
    """
    return await _url_of(client, call, "control")


async def listen_url_of(client: VapiClient, call: CallLike) -> Secret:
    """Return the socket on which *call* can be heard. Raises as ``control_url_of``."""
    return await _url_of(client, call, "listen")


async def _url_of(client: VapiClient, call: CallLike, kind: Literal["control", "listen"]) -> Secret:
    if isinstance(call, str | Secret) and is_url(call):
        url = bare_url(call)
        check_monitor_url(url, kind)
        refusal = check_url_from_api(url, client.base_url, client.hosts)
        if refusal is not None:
            hint = "; allow it by hosts, or by the API's own host" if is_about_host(refusal) else ""
            raise ConfigError(f"that {kind}Url cannot be used: {refusal.reason}{hint}")
        return url
    url = _own(call, kind) or client.known.url(id_of(call), kind)
    if not url:
        call = await client.get_call(id_of(call))
        url = _own(call, kind)
    if isinstance(call, CallRecord) and call.has_ended:
        raise CallOver(f"the call is over: {call.ended_reason or 'no reason is known'}")
    if not url:
        raise VapiError(
            f"the call has no {kind}Url; its assistant's monitorPlan.{kind}Enabled must not be off"
        )
    refusal = check_url_from_api(url, client.base_url, client.hosts)
    if refusal is not None:
        raise VapiError(f"the call's {kind}Url cannot be used: {refusal.reason}")
    return url


def _own(call: CallLike, kind: Literal["control", "listen"]) -> Secret:
    if isinstance(call, str | Secret):
        return Secret()
    return call.control_url if kind == "control" else call.listen_url
