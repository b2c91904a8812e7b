"""Echo every message through the sockets of a call, for the Autobahn test suite to judge: see tools/autobahn.sh.

    python echo.py serve --port 9101 --reader lane --loop uvloop
    python echo.py ask --url ws://127.0.0.1:9100 --agent ours --reader loop --loop asyncio

What is served comes through the front door and ``media_transport.accept``, as a phone's socket does; what is asked
is opened by ``media_transport.connect``, as Vapi's is. Only pings are off: the suite counts each frame it gets.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
from collections.abc import Coroutine
from typing import Any
from urllib.parse import quote

import uvloop

from vapimedia.io import media_transport
from vapimedia.io.front_door import FrontDoor
from vapimedia.io.http_head import Head
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.pump import Pump
from vapimedia.secret import Secret

_NO_PINGS = 0.0
_CASE_S = 120.0


class Echo:
    """The owner of one socket, driven by *pump* as a call's is; *reader* says who reads its connection."""

    def __init__(self, pump: Pump, reader: str, name: str, *, answers: bool = True) -> None:
        self.socket = MediaSocket(self, name, pump.reactor if reader == "lane" else None)
        self.messages: list[bytes] = []
        self.closed = asyncio.Event()
        self.was_in_lane = False
        self._answers = answers
        self._pump = pump
        pump.add(self.socket, None)

    def socket_opened(self, socket: MediaSocket) -> None:
        """Nothing to say first."""

    def socket_message(self, socket: MediaSocket, message: bytes, is_text: bool) -> None:
        self.was_in_lane = socket.is_in_lane
        if not self._answers:
            self.messages.append(message)
        elif is_text:
            socket.send_text(message)
        else:
            socket.send_binary(message)

    def socket_mark_due(self, socket: MediaSocket) -> None:
        """No marks here."""

    def socket_closed(self, socket: MediaSocket, code: int) -> None:
        self._pump.remove(socket)
        self.closed.set()


async def serve(port: int, reader: str) -> None:
    """Echo on *port* until SIGTERM."""
    pump = Pump(asyncio.get_running_loop())
    sockets: set[MediaSocket] = set()

    def take(connection: socket.socket, head: Head) -> None:
        echo = Echo(pump, reader, "provider")
        sockets.add(echo.socket)  # picows holds its listener weakly, as the call holds its sockets
        door.handovers.give(connection, media_transport.accept(connection, echo.socket, _NO_PINGS, head))

    door = FrontDoor(take)
    door.bind("127.0.0.1", port)
    door.open()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await door.close()
    for each in sockets:
        each.abort()
    pump.close()


async def ask(url: str, agent: str, reader: str) -> None:
    """Go through the cases of the fuzzing server at *url*, and have it write its report on *agent*."""
    pump = Pump(asyncio.get_running_loop())

    async def visit(path: str, *, answers: bool = True) -> list[bytes]:
        echo = Echo(pump, reader, "vapi", answers=answers)
        await media_transport.connect(Secret(url + path), echo.socket, {}, _NO_PINGS)
        async with asyncio.timeout(_CASE_S):
            await echo.closed.wait()
            while echo.socket.is_connected:
                await asyncio.sleep(0.005)
        return echo.messages

    (n_cases,) = await visit("/getCaseCount", answers=False)
    for case in range(1, int(n_cases) + 1):
        await visit(f"/runCase?case={case}&agent={quote(agent)}")
    await visit(f"/updateReports?agent={quote(agent)}")
    pump.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="echo messages for the Autobahn test suite")
    parser.add_argument("side", choices=["serve", "ask"])
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--url", default="ws://127.0.0.1:9100")
    parser.add_argument("--agent", default="vapimedia")
    parser.add_argument("--reader", choices=["lane", "loop"], default="lane")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    side: Coroutine[Any, Any, None]
    if arguments.side == "serve":
        side = serve(arguments.port, arguments.reader)
    else:
        side = ask(arguments.url, arguments.agent, arguments.reader)
    media_transport.HANDSHAKE_TIMEOUT_S = 60.0  # the suite writes its reports meanwhile
    factory = uvloop.new_event_loop if arguments.loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(side)


if __name__ == "__main__":
    main()
