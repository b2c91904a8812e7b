"""When Vapi cannot be reached as it must be: one typed error, soon, and nothing in the clear."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vapimedia import AudioFormat, VapiClient, VapiError
from vapimedia.io import vapi_requests
from vapimedia.protocols.vapi import CreateCall

KEY = "sk-canary-5f3a"
REQUEST = CreateCall(format=AudioFormat("mulaw", 8000), assistant_id="asst_1")


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("is_tls", [True, False])
async def test_tls_that_fails_is_refused_once_and_never_gone_around(is_tls: bool, tmp_path: Path) -> None:
    n_connections, heard = 0, b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.read(4096)
        writer.write(b"HTTP/1.1 201 Created\r\n\r\n")
        writer.close()

    def count(*streams: Any) -> Any:
        nonlocal n_connections
        n_connections += 1
        return serve(*streams)

    server = await asyncio.start_server(count, "127.0.0.1", 0, ssl=self_signed(tmp_path) if is_tls else None)
    async with (
        server,
        VapiClient(KEY, base_url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as vapi,
    ):
        with pytest.raises(
            VapiError, match="certificate is not good" if is_tls else "TLS handshake"
        ) as caught:
            await vapi.create_call(REQUEST)
        assert caught.value.status is None
        assert n_connections <= 1  # a server sees none whose handshake failed
        assert b"POST" not in heard and KEY.encode() not in heard


async def test_a_name_that_is_not_resolved_in_time_is_an_error_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vapi_requests, "_CONNECT_S", 0.2)
    may_fail = threading.Event()

    def hang(*_: object, **__: object) -> None:
        may_fail.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    n_turns = 0

    async def turn() -> None:
        nonlocal n_turns
        while True:
            await asyncio.sleep(0.01)
            n_turns += 1

    turning = asyncio.create_task(turn())
    try:
        async with VapiClient(KEY, base_url="https://api.vapi.example") as vapi:
            with pytest.raises(
                VapiError, match=r"cannot connect to Vapi at api\.vapi\.example: nobody answers"
            ):
                await vapi.create_call(REQUEST)
        assert n_turns > 2
    finally:
        may_fail.set()
        turning.cancel()


async def test_a_name_that_does_not_exist_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(vapi_requests, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    async with VapiClient(KEY, base_url="https://api.vapi.example") as vapi:
        with pytest.raises(VapiError, match="its name cannot be resolved"):
            await vapi.create_call(REQUEST)


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 64}.example"])
async def test_a_name_that_no_resolver_takes_is_said_so(host: str) -> None:
    async with VapiClient("key", base_url=f"https://{host}") as client:
        with pytest.raises(VapiError, match="cannot be resolved"):
            await client.get_call("call-1")
