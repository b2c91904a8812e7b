"""A socket opened to Vapi: what the far side says is read whole, however its answer and its first frames come."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from recorder import Recorder
from wire import BINARY, CLOSE, PING, PONG, TEXT, Wire, frame, on_both_loops, until

from vapimedia import Secret
from vapimedia.io import media_transport, tls
from vapimedia.io.lane import Reactor
from vapimedia.io.media_socket import MediaSocket

READERS = ["lane", pytest.param("loop", marks=pytest.mark.slow), "encrypted"]
FIRST = frame(TEXT, b'{"type":"hello"}', masked=False)
SECOND = frame(BINARY, bytes(700), masked=False)
MESSAGES = [(b'{"type":"hello"}', True), (bytes(700), False)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a far side")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "far.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


class FarSide:
    """Answers one upgrade with *chunks*, the first of which begin its answer."""

    def __init__(self, reader: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader = reader
        self.context: ssl.SSLContext | None = None
        if reader == "encrypted":
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)

    @asynccontextmanager
    async def answering(self, after: bytes, cuts: list[int]) -> AsyncIterator[tuple[Wire, Recorder]]:
        """A socket that is open; its far side's answer, and *after*, came cut at *cuts*."""
        wires: asyncio.Queue[Wire] = asyncio.Queue()

        async def serve(streams: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await streams.readuntil(b"\r\n\r\n")
            (key,) = (line[19:] for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
            digest = hashlib.sha1(key.strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            stream = (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"X-Long: " + b"x" * 5000 + b"\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n" + after
            )
            head = len(stream) - len(after)
            at = [0, *(head + cut for cut in cuts), len(stream)]
            for start, end in itertools.pairwise(at):
                writer.write(stream[start:end])
                await writer.drain()
                await asyncio.sleep(0.005)
            wires.put_nowait(Wire(streams, writer))

        reactor = Reactor(asyncio.get_running_loop()) if self.reader == "lane" else None
        recorder = Recorder(reactor)
        socket = MediaSocket(recorder, "vapi", reactor)
        recorder.sockets.append(socket)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self.context)
        async with server:
            scheme = "wss" if self.context else "ws"
            url = Secret(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            await media_transport.connect(url, socket, {}, 20)
            wire = await wires.get()
            yield wire, recorder
            socket.abort()
            await until(lambda: recorder.closed)
            wire.writer.transport.abort()
        if reactor is not None:
            assert reactor.n_lanes == 0
            reactor.close()


@pytest.fixture(params=READERS)
def far_side(
    request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FarSide]:
    tls._made.cache_clear()  # what other tests trusted
    yield FarSide(str(request.param), certificate, monkeypatch)
    tls._made.cache_clear()


@on_both_loops
@pytest.mark.parametrize("cuts", [[], [0], [-2, 3], [-1, 0, len(FIRST)]])
async def test_what_comes_with_the_answer_is_read_after_it(far_side: FarSide, cuts: list[int]) -> None:
    async with far_side.answering(FIRST + SECOND, cuts) as (wire, recorder):
        await until(lambda: recorder.messages == MESSAGES)
        assert recorder.sockets[0].is_in_lane == (far_side.reader == "lane")
        wire.frame(PING, b"here", masked=False)
        opcode, payload = await masked_frame(wire)
        assert (opcode, payload) == (PONG, b"here")


@on_both_loops
async def test_the_far_sides_end_is_told_with_its_code(far_side: FarSide) -> None:
    async with far_side.answering(FIRST, []) as (wire, recorder):
        wire.frame(CLOSE, b"\x03\xe9", masked=False)
        assert await masked_frame(wire) == (CLOSE, b"\x03\xe9")
        await until(lambda: recorder.closed == [1001])
        assert await wire.rest() == b""


@on_both_loops
async def test_a_far_side_that_leaves_without_a_close_is_1006(far_side: FarSide) -> None:
    async with far_side.answering(FIRST, []) as (wire, recorder):
        wire.writer.close()
        await until(lambda: recorder.closed == [1006])


@on_both_loops
async def test_a_second_close_changes_nothing(far_side: FarSide) -> None:
    close = frame(CLOSE, b"\x03\xe8", masked=False)
    async with far_side.answering(FIRST, []) as (wire, recorder):
        wire.send(close + frame(CLOSE, b"\x03", masked=False))
        assert await masked_frame(wire) == (CLOSE, b"\x03\xe8")
        await until(lambda: recorder.closed == [1000])
        assert not recorder.sockets[0].was_breach
        assert await wire.rest() == b""


@on_both_loops
async def test_what_came_whole_before_a_breach_is_told(far_side: FarSide) -> None:
    async with far_side.answering(FIRST, []) as (wire, recorder):
        wire.send(SECOND + frame(3, b"", masked=False))
        assert await masked_frame(wire) == (CLOSE, b"\x03\xeawhat came is no WebSocket frame")
        await until(lambda: recorder.closed == [1002])
        assert recorder.messages == MESSAGES


class Broken(list[int]):
    """Takes the end of a socket, and raises what holds a secret."""

    def append(self, code: int) -> None:
        super().append(code)
        raise RuntimeError("a secret")


@on_both_loops
async def test_an_owner_that_fails_at_the_end_is_told_of_without_its_words(
    far_side: FarSide, caplog: pytest.LogCaptureFixture
) -> None:
    async with far_side.answering(FIRST, []) as (wire, recorder):
        recorder.closed = Broken()
        wire.writer.close()
        await until(lambda: recorder.closed == [1006])
    assert "leg_failed" in caplog.text and "RuntimeError" in caplog.text
    assert "a secret" not in caplog.text


async def masked_frame(wire: Wire) -> tuple[int, bytes]:
    """Read one short frame as a client sends it."""
    async with asyncio.timeout(5):
        first, second = await wire.reader.readexactly(2)
        assert first & 0x70 == 0 and second & 0x80
        key = await wire.reader.readexactly(4)
        masked = await wire.reader.readexactly(second & 0x7F)
    return first & 0x0F, bytes(byte ^ key[i % 4] for i, byte in enumerate(masked))
