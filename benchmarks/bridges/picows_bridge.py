"""A bridge with picows in plain Python: its listeners, msgspec for the envelope, uvloop. Codec: ``audioop.ratecv``."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode

import msgspec
import uvloop
from common import RatecvCodec, arguments, create_call, media
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)


class Media(msgspec.Struct):
    payload: str


class Message(msgspec.Struct):
    event: str
    streamSid: str = ""  # noqa: N815 - as Twilio spells it
    media: Media | None = None


class VapiEvent(msgspec.Struct):
    type: str = ""


decode_message = msgspec.json.Decoder(Message).decode
decode_event = msgspec.json.Decoder(VapiEvent).decode


class Vapi(WSListener):
    """The leg to Vapi; what it says before the stream has started waits."""

    transport: WSTransport

    def __init__(self, phone: Phone) -> None:
        self.phone = phone

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        if not self.phone.before:
            transport.underlying_transport.pause_reading()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        phone = self.phone
        if frame.msg_type == WSMsgType.BINARY:
            mulaw = phone.codec.downlink(frame.get_payload_as_bytes())
            text = f"{phone.before}{b64encode(mulaw).decode()}{phone.after}"
            phone.transport.send(WSMsgType.TEXT, text.encode())
        elif frame.msg_type == WSMsgType.TEXT:
            if decode_event(frame.get_payload_as_memoryview()).type == "user-interrupted":
                phone.transport.send(WSMsgType.TEXT, phone.clear)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.phone.end()


class Phone(WSListener):
    """The leg to Twilio, which owns the call."""

    transport: WSTransport

    def __init__(self, vapi_url: str) -> None:
        self.codec = RatecvCodec()
        self.vapi_url = vapi_url
        self.vapi: Vapi | None = None
        self.before = self.after = ""
        self.clear = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        transport.underlying_transport.pause_reading()
        self.opening = asyncio.create_task(self.open())

    async def open(self) -> None:
        url = await create_call(self.vapi_url)
        vapi = Vapi(self)
        await ws_connect(lambda: vapi, url)
        self.vapi = vapi
        self.transport.underlying_transport.resume_reading()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            message = decode_message(frame.get_payload_as_memoryview())
            if message.event == "media" and message.media and self.vapi:
                pcm = self.codec.uplink(b64decode(message.media.payload))
                self.vapi.transport.send(WSMsgType.BINARY, pcm)
            elif message.event == "start" and self.vapi:
                self.before, self.after = media(message.streamSid)
                self.clear = msgspec.json.encode({"event": "clear", "streamSid": message.streamSid})
                self.vapi.transport.underlying_transport.resume_reading()
            elif message.event == "stop":
                self.end()
        elif frame.msg_type == WSMsgType.CLOSE:
            self.end()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.end()

    def end(self) -> None:
        for transport in (self.transport, self.vapi.transport if self.vapi else None):
            if transport is not None and not transport.underlying_transport.is_closing():
                transport.send_close(WSCloseCode.OK)
                transport.disconnect()


async def main() -> None:
    options = arguments()

    def accept(request: WSUpgradeRequest) -> Phone | None:
        return Phone(options.vapi_url) if request.path.startswith(b"/twilio/media") else None

    server = await ws_create_server(accept, "127.0.0.1", options.port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
