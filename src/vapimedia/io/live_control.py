"""Live control: what is said to a call while it runs, by POST to its control URL.

Source: docs.vapi.ai (live call control). Its answers are not documented: any 2xx counts as taken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import picows

from vapimedia.errors import CallOver, VapiError
from vapimedia.io.call_lookup import CallLike, control_url_of, id_of
from vapimedia.io.vapi_requests import CONTROL, USER_AGENT, revealed
from vapimedia.protocols.vapi import CallRecord, TransportMessage, check_url_from_api, commands
from vapimedia.protocols.vapi.call_records import refused
from vapimedia.protocols.vapi.call_urls import is_url
from vapimedia.protocols.vapi.destinations import AssistantDestination, PhoneDestination
from vapimedia.secret import Secret

if TYPE_CHECKING:
    from vapimedia.io.vapi_client import VapiClient

__all__ = ["LiveControl", "begun_call", "end_call"]

_GONE = frozenset({404, 410})
_NOT_BEGUN = frozenset({"scheduled", "queued", "ringing"})
_SOCKET_TIMEOUT_S = 5.0
_BEGUN_PAUSE_S = 0.5


class LiveControl:
    """Speaks to one running call. Made by ``VapiClient.control``.

    Each method returns once Vapi has taken the message and raises ``VapiError`` if it has not: ``CallOver`` when
    the call does not run (any more). What may have been taken is not sent a second time. Wrong arguments raise
    ``ConfigError``. The first message to an id costs a request more, for the call's control URL.
    """

    def __init__(self, client: VapiClient, call: CallLike, *, timeout_s: float = 5.0) -> None:
        self._client = client
        self._call = call
        self._timeout_s = timeout_s
        self._url = Secret()

    async def say(
        self,
        content: str,
        *,
        end_call_after_spoken: bool | None = None,
        interruptions_enabled: bool | None = None,
        interrupt_assistant_enabled: bool | None = None,
    ) -> None:
        """Have the assistant say *content*; ``interrupt_assistant_enabled`` instead of what it is saying now."""
        await self.send(
            commands.say(
                content,
                end_call_after_spoken=end_call_after_spoken,
                interruptions_enabled=interruptions_enabled,
                interrupt_assistant_enabled=interrupt_assistant_enabled,
            )
        )

    async def add_message(self, role: commands.Role, content: str, trigger_response: bool = True) -> None:
        """Put a message into the conversation; the assistant answers it if *trigger_response*."""
        await self.send(commands.add_message(role, content, trigger_response))

    async def append_context(self, kind: commands.ContextKind, content: str) -> None:
        """Give the assistant context without a turn of its own."""
        await self.send(commands.append_context(kind, content))

    async def mute_assistant(self) -> None:
        """Keep the assistant from being heard."""
        await self.send(commands.control("mute-assistant"))

    async def unmute_assistant(self) -> None:
        """Let the assistant be heard again."""
        await self.send(commands.control("unmute-assistant"))

    async def mute_customer(self) -> None:
        """Keep the assistant from hearing the customer."""
        await self.send(commands.control("mute-customer"))

    async def unmute_customer(self) -> None:
        """Let the assistant hear the customer again."""
        await self.send(commands.control("unmute-customer"))

    async def say_first_message(self) -> None:
        """Have the assistant say its first message."""
        await self.send(commands.control("say-first-message"))

    async def end_call(self) -> None:
        """End the call."""
        await self.send(commands.end_call())

    async def transfer(self, destination: PhoneDestination | str, content: str = "") -> None:
        """Send the call to a number or a ``sip:`` address, after *content* was spoken.

        A call on the WebSocket transport has no phone leg of Vapi's: have the bridge forward it instead.
        """
        await self.send(commands.transfer(destination, content))

    async def handoff(self, destination: AssistantDestination | str, content: str = "") -> None:
        """Hand the call to another assistant, or the one with that id, after *content* was spoken."""
        await self.send(commands.handoff(destination, content))

    async def send_transport_message(self, message: TransportMessage) -> None:
        """Tell the transport of a phone call something. Not for calls on the WebSocket transport."""
        await self.send(commands.send_transport_message(message))

    async def send(self, message: bytes) -> None:
        """Send a message of ``vapimedia.protocols.vapi.commands``."""
        self._url = self._url or await control_url_of(self._client, self._call)
        headers: dict[str, str | Secret] = {"Content-Type": "application/json"}
        headers |= self._client.monitor_authorization
        answer = await self._client.request(
            "POST", self._url, headers=headers, body=message, rule=CONTROL, timeout_s=self._timeout_s
        )
        if answer.status in range(200, 300):
            return
        if answer.status in _GONE:
            raise CallOver(
                "the call does not run: it is over, or has not begun (begun_call waits for that)",
                status=answer.status,
            )
        error = refused(answer.status, answer.body, what="the message to the call")
        if answer.status in (401, 403) and not headers.get("Authorization"):
            hint = "its monitorPlan.controlAuthenticationEnabled may want the public key (public_key)"
            error = VapiError(f"{error}; {hint}", status=answer.status)
        raise error

    def __repr__(self) -> str:
        return "LiveControl()"


async def begun_call(client: VapiClient, call: CallLike, timeout_s: float) -> CallRecord:
    """Do what ``VapiClient.begun_call`` says."""
    now = asyncio.get_running_loop().time
    deadline = now() + timeout_s
    while True:
        record = await client.get_call(id_of(call))
        if record.has_ended:
            raise CallOver(f"the call is over: {record.ended_reason or 'no reason is known'}")
        if record.status not in _NOT_BEGUN:
            return record
        if now() + _BEGUN_PAUSE_S > deadline:
            raise VapiError(f"the call is still {record.status} after {timeout_s:g} s")
        await asyncio.sleep(_BEGUN_PAUSE_S)


async def end_call(client: VapiClient, call: CallLike) -> bool:
    """Do what ``VapiClient.end_call`` says."""
    by_url = isinstance(call, str | Secret) and is_url(call)
    try:
        await client.control(call).end_call()
    except CallOver as over:
        if over.status is None or by_url:
            return False
        # 404 and 410 are also the answers about a call that waits for its socket or its phone.
        record = await client.get_call(id_of(call))
        if record.status in _NOT_BEGUN:
            raise VapiError(
                f"the call is {record.status}: Vapi ends it when it has begun, not before"
            ) from None
        return False
    except VapiError as error:
        if by_url or error.status is not None:
            raise
        record = await client.get_call(id_of(call))
        if record.control_url or not record.websocket_call_url:
            raise
        await _end_by_socket(client, record)
    return True


class _Goodbye(picows.WSListener):
    """Says on a call's own socket that the call shall end."""

    def __init__(self) -> None:
        self.is_closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        transport.send(picows.WSMsgType.TEXT, commands.end_call())
        transport.send_close(picows.WSCloseCode.OK)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if not self.is_closed.done():
            self.is_closed.set_result(None)


async def _end_by_socket(client: VapiClient, record: CallRecord) -> None:
    url = record.websocket_call_url
    refusal = check_url_from_api(url, client.base_url, client.hosts)
    if refusal is not None:
        raise VapiError(f"the call's socket cannot be used: {refusal.reason}")
    headers: dict[str, str | Secret] = {"User-Agent": USER_AGENT, **client.authorization}
    try:
        async with asyncio.timeout(_SOCKET_TIMEOUT_S):
            goodbye = _Goodbye()
            transport, _ = await picows.ws_connect(
                lambda: goodbye, url.reveal(), extra_headers=revealed(headers), max_redirects=0
            )
            try:
                await goodbye.is_closed
            finally:
                transport.disconnect()
    except TimeoutError:
        raise VapiError(f"the call's socket did not close within {_SOCKET_TIMEOUT_S:g} s") from None
    except (OSError, ValueError, RuntimeError, picows.WSError) as error:
        # The text of these may hold the URL, which is a secret.
        raise VapiError(f"the call's socket could not be opened: {type(error).__name__}") from None
