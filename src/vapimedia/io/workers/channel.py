"""Messages between two processes over a stream socket, each with a descriptor if need be.

On the wire a message is its length in 4 bytes, big-endian, and a ``_Frame`` in MessagePack. Descriptors travel
beside the bytes, in the order of the frames that say they have one; the kernel delivers each with the first byte
of its frame at the latest.
"""

from __future__ import annotations

import array
import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from vapimedia.io.call_log import told_of
from vapimedia.io.workers.messages import Body, Broken
from vapimedia.secret import hide_received, reveal_to_ourselves

__all__ = ["Channel"]

_log = logging.getLogger("vapimedia.workers")

_READ_BYTES = 1 << 16
_LENGTH = 4
_RETRY_S = 0.05
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_INT_BYTES = array.array("i").itemsize
# Too many descriptors are under way, or no memory for them now.
_LATER = frozenset({errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM})


class _Frame(msgspec.Struct, array_like=True):
    kind: Literal["tell", "ask", "answer"]
    id: int
    has_connection: bool
    body: Body


_encode = msgspec.msgpack.Encoder(enc_hook=reveal_to_ourselves).encode
_decode = msgspec.msgpack.Decoder(_Frame, dec_hook=hide_received).decode


class Channel:
    """One end. Messages arrive in order: *told* gets what needs no answer, *asked* answers what does.

    *told* owns the connection that came, ``None`` if there was none or if it was lost on the way. *closed* is
    called once when the other end is gone. Nothing here blocks: what the other end does not take waits here.
    """

    def __init__(
        self,
        end: socket.socket,
        told: Callable[[Body, socket.socket | None], None],
        asked: Callable[[Body], Awaitable[Body]],
        closed: Callable[[], None],
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._told, self._asked, self._closed = told, asked, closed
        self._loop = asyncio.get_running_loop()
        self._read = bytearray()
        self._came: deque[socket.socket | None] = deque()
        self._unsent: deque[tuple[bytes, socket.socket | None]] = deque()
        self._waiting: dict[int, asyncio.Future[Body]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._n_asked = 0
        self._is_blocked = False
        self.is_open = True
        self._loop.add_reader(end, self._readable)

    @property
    def backlog(self) -> int:
        """Messages that the other end has not taken yet, nor its kernel."""
        return len(self._unsent)

    def tell(self, body: Body, connection: socket.socket | None = None) -> None:
        """Send *body*, and *connection* with it: ours is closed once it has been sent, or cannot be."""
        self._send("tell", 0, body, connection)

    def ask(self, body: Body) -> asyncio.Future[Body]:
        """Send *body*; the future gets the answer, ``Broken`` if there will be none."""
        self._n_asked += 1
        answer: asyncio.Future[Body] = self._loop.create_future()
        if not self.is_open:
            answer.set_result(Broken())
            return answer
        self._waiting[self._n_asked] = answer
        self._send("ask", self._n_asked, body)
        return answer

    def close(self) -> None:
        """Close this end. *closed* is not called any more; who waits for an answer gets ``Broken``."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._end)
        if self._is_blocked:
            self._loop.remove_writer(self._end)
        self._end.close()
        for connection in (*self._came, *(one for _, one in self._unsent)):
            if connection is not None:
                connection.close()
        self._came.clear()
        self._unsent.clear()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(Broken())
        self._waiting.clear()
        for task in self._answering:
            task.cancel()

    # --- sending ---------------------------------------------------------------------------------

    def _send(
        self,
        kind: Literal["tell", "ask", "answer"],
        id_: int,
        body: Body,
        connection: socket.socket | None = None,
    ) -> None:
        if not self.is_open:
            if connection is not None:
                connection.close()
            return
        frame = _encode(_Frame(kind, id_, connection is not None, body))
        self._unsent.append((len(frame).to_bytes(_LENGTH) + frame, connection))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            data, connection = self._unsent[0]
            try:
                if connection is None:
                    n_sent = self._end.send(data)
                else:
                    n_sent = socket.send_fds(self._end, [data], [connection.fileno()])
                    connection.close()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in _LATER:
                    self._lost()
                    return
                self._watch(is_blocked=False)  # it is writable all the time
                self._loop.call_later(_RETRY_S, self._flush)
                return
            if n_sent == len(data):
                self._unsent.popleft()
            else:
                self._unsent[0] = data[n_sent:], None
        if self.is_open:
            self._watch(is_blocked=bool(self._unsent))

    def _watch(self, *, is_blocked: bool) -> None:
        if is_blocked != self._is_blocked:
            self._is_blocked = is_blocked
            if is_blocked:
                self._loop.add_writer(self._end, self._flush)
            else:
                self._loop.remove_writer(self._end)

    # --- receiving -------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data, beside, flags, _ = self._end.recvmsg(_READ_BYTES, socket.CMSG_SPACE(_INT_BYTES), _CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, beside, flags = b"", [], 0
        for level, kind, fds in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(fds) >= _INT_BYTES:
                self._came.append(_socket_of(int(array.array("i", fds[:_INT_BYTES])[0])))
        if flags & socket.MSG_CTRUNC:
            self._came.append(None)  # there was no descriptor free for it
        if not data:
            self._lost()
            return
        self._read += data
        self._parse()

    def _parse(self) -> None:
        at, read = 0, self._read
        while len(read) - at >= _LENGTH:
            end = at + _LENGTH + int.from_bytes(read[at : at + _LENGTH])
            if len(read) < end:
                break
            self._take(_decode(bytes(read[at + _LENGTH : end])))
            at = end
        del read[:at]

    def _take(self, frame: _Frame) -> None:
        connection = self._came.popleft() if frame.has_connection and self._came else None
        if frame.kind == "tell":
            # One by one, so that a fault in one keeps nothing from the others; in order with what is asked.
            self._loop.call_soon(self._told, frame.body, connection)
        elif frame.kind == "ask":
            task = self._loop.create_task(self._answer(frame.id, frame.body))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (answer := self._waiting.pop(frame.id, None)) is not None and not answer.done():
            answer.set_result(frame.body)

    async def _answer(self, id_: int, body: Body) -> None:
        try:
            answer = await self._asked(body)
        except Exception as error:  # whatever broke, the other side must not wait for good
            _log.error("a question of the other process could not be answered: %r: %s", body, told_of(error))
            answer = Broken()
        self._send("answer", id_, answer)

    def _lost(self) -> None:
        if self.is_open:
            self.close()
            self._closed()


def _socket_of(descriptor: int) -> socket.socket:
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    connection.setblocking(False)
    return connection
