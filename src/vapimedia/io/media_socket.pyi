"""One leg's WebSocket: a message layer, and the C path for media."""

import asyncio
from typing import Protocol

from picows import WSListener

from vapimedia.io.call_log import CallLog
from vapimedia.io.lane import Reactor
from vapimedia.media import MediaPath

class SocketOwner(Protocol):
    """Who is told about one leg's socket. Called on the loop; never on the path of plain media."""

    def socket_opened(self, socket: MediaSocket) -> None: ...
    def socket_message(self, socket: MediaSocket, message: bytes, is_text: bool) -> None: ...
    def socket_mark_due(self, socket: MediaSocket) -> None:
        """Audio from this socket went to its peer: a mark may be due there. At most every ``mark_every_ms``."""
    def socket_closed(self, socket: MediaSocket, code: int) -> None:
        """The connection is gone, or as good as gone because the peer broke the protocol. Called once.

        *code* is the peer's close code, 1006 without one, or ours (1002, 1007, 1009) if ``socket.was_breach``.
        """

class MediaSocket(WSListener):
    """One leg's WebSocket: a message layer, and the C path for media.

    picows shakes hands, and no more. Then *reactor* reads a plain TCP connection, where there is one and it can, and
    the event loop reads every other; the frames are ours either way. Writes go straight to the kernel unless
    something waits before them.

    The message layer answers CLOSE and disconnects, assembles fragments within a bound (``max_message``, 64
    fragments: 1009), refuses reserved bits (1002) and invalid UTF-8 (1007). Sends after the close are counted,
    not made. A peer that does not read gets no pong but the newest, and is cut off (1006) once 256 KiB wait.
    """

    max_message: int
    """Bytes of one message, fragments together: 64 KiB, unless set before there is a connection."""
    mark_every_ms: int
    """Audio between two questions for a mark; how often one is sent is the owner's. 100 unless set."""
    was_breach: bool
    """The peer broke the protocol, and we closed for it; known once ``socket_closed`` is called."""
    def __init__(self, owner: SocketOwner, name: str, reactor: Reactor | None = None) -> None: ...
    name: str
    """``provider`` or ``vapi``."""
    log: CallLog
    """Where what befalls the socket is told; about no call that is known, unless set."""
    unsent: int
    """Messages that came after the close."""
    @property
    def is_open(self) -> bool: ...
    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, even if its closing handshake has begun."""
    @property
    def is_in_lane(self) -> bool:
        """Whether the reactor reads it."""
    @property
    def write_backlog(self) -> int:
        """Bytes that the kernel has not taken yet."""
    def take_over(self, protocol: asyncio.BufferedProtocol, early: bytes) -> None:
        """Read the connection from now on in place of *protocol*, which has shaken hands; *early* came after that."""
    def connect_media(
        self, inbound: MediaPath | None, outbound: MediaPath | None, peer: MediaSocket | None
    ) -> None:
        """From now on media goes through *inbound* to *peer*, and *outbound* is what the peer sends here."""
    def drop_inbound_until(self, until_ns: int) -> None:
        """Drop (and count in ``guarded``) media that arrives before *until_ns*."""
    guarded: int
    late_echoes: int
    """How often a ping was unanswered for a second: the path to this socket counts as stalled meanwhile."""
    held_bytes: int
    """What the kernel had not taken, when it was looked at last; the pump looks once a second."""
    unsent_bytes: int
    """What the kernel had taken and not sent then, where it tells."""
    max_backlog_bytes: int
    """The most of both together that was seen."""
    def keep_alive(self, ping_interval_s: float) -> None:
        """Give the peer up that is not heard of for so long, and pinged in between. Before there is a connection."""
    def send_text(self, data: bytes) -> None: ...
    def send_binary(self, data: bytes) -> None: ...
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake; the connection is cut if the peer does not answer within 0.5 s."""
    def abort(self) -> None: ...
