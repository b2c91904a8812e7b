"""Certificates made for a test, and a TLS front that shows what was tried at it."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "Front", "front"]

_HERE = ipaddress.ip_address("127.0.0.1")


class Authority:
    """Signs certificates of servers; *folder* gets its own as ``ca.pem``, and theirs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("an authority of the test")
        self.file = folder / "ca.pem"
        own = self._certificate(self._name, self._key.public_key(), is_authority=True)
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def context(self, kind: str) -> ssl.SSLContext:
        """Return a server's context: ``good``, ``expired``, ``wrong host`` or ``self-signed`` is its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.IPAddress(_HERE), x509.DNSName("localhost")]
        if kind == "wrong host":
            names = [x509.DNSName("another.test")]
        certificate = self._certificate(
            _name("a server of the test"),
            key.public_key(),
            names=names,
            signed_by=key if kind == "self-signed" else None,
            days_left=-1 if kind == "expired" else 1,
        )
        file = self._folder / f"{kind}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self,
        name: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        *,
        names: list[x509.GeneralName] | None = None,
        signed_by: ec.EllipticCurvePrivateKey | None = None,
        days_left: int = 1,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if signed_by is not None else self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days_left))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signed_by or self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Front:
    """What came: the first bytes of each connection as they were on the wire, and all that was decrypted."""

    port: int = 0
    beginnings: list[bytes] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)

    @property
    def is_tls_only(self) -> bool:
        """Whether every connection began with a TLS handshake record (RFC 8446 s. 5.1)."""
        return all(begun[:1] == b"\x16" for begun in self.beginnings)


@asynccontextmanager
async def front(context: ssl.SSLContext, target_port: int) -> AsyncIterator[Front]:
    """Serve TLS before a plain server on this machine."""
    seen, pumping = Front(), set()

    async def decrypted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, target_port, seen.heard)

    async def on_the_wire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        pumping.add(task)
        begun = bytearray()
        seen.beginnings.append(begun)  # type: ignore[arg-type]
        await _join(reader, writer, secure.sockets[0].getsockname()[1], begun)

    secure = await asyncio.start_server(decrypted, "127.0.0.1", 0, ssl=context)
    tap = await asyncio.start_server(on_the_wire, "127.0.0.1", 0)
    async with secure, tap:
        seen.port = tap.sockets[0].getsockname()[1]
        yield seen
        for task in pumping:
            task.cancel()
        await asyncio.gather(*pumping, return_exceptions=True)


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, noted: bytearray
) -> None:
    to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, copy: bytearray | None) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if copy is not None:
                    copy += data
                sink.write(data)
                await sink.drain()
        with suppress(OSError):
            sink.close()

    try:
        await asyncio.gather(pump(reader, to_writer, noted), pump(to_reader, writer, None))
    finally:
        writer.transport.abort()
        to_writer.transport.abort()
