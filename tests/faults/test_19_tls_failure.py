"""A certificate that is expired, of another host or self-signed is refused, with an error that says so, at Vapi's
API and at its call socket alike; nothing is tried again in the clear."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp.connector
import pytest
from canaries import CANARIES
from certificates import Authority, front
from fault_scene import faulty
from scene import Vapi
from wire import on_both_loops, until

from vapimedia import AudioFormat, VapiClient, VapiError
from vapimedia.io import tls
from vapimedia.protocols.vapi import CreateCall

REQUEST = CreateCall(format=AudioFormat("mulaw", 8000), assistant_id="asst_1")
KEY, TOKEN = CANARIES["the API key"], CANARIES["the token in Vapi's URLs"]
FAULTS = {
    "expired": "certificate has expired",
    "wrong host": "IP address mismatch",
    "self-signed": "self-signed certificate",
}
_of_each_fault = pytest.mark.parametrize("fault", FAULTS)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """What this process trusts, and nothing else: so a refusal is for its one reason."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    # aiohttp reads the system's certificates once, when it is imported.
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    tls._made.cache_clear()
    yield made
    tls._made.cache_clear()


def port_of(vapi: Vapi) -> int:
    return int(vapi.url.rpartition(":")[2])


@_of_each_fault
@on_both_loops
async def test_the_api_is_not_told_anything_over_a_connection_that_proves_nothing(
    fault: str, authority: Authority
) -> None:
    async with Vapi().serving() as vapi, front(authority.context(fault), port_of(vapi)) as seen:
        async with VapiClient(KEY, base_url=f"https://127.0.0.1:{seen.port}") as client:
            with pytest.raises(VapiError, match="certificate is not good") as caught:
                await client.create_call(REQUEST)
        assert FAULTS[fault] in str(caught.value)
        assert caught.value.status is None
        assert len(seen.beginnings) == 1 and seen.is_tls_only
        assert not seen.heard and not vapi.requests


async def test_a_server_that_speaks_no_tls_is_not_told_anything_either() -> None:
    async with (
        Vapi().serving() as vapi,
        VapiClient(KEY, base_url=vapi.url.replace("http", "https")) as client,
    ):
        with pytest.raises(VapiError, match="TLS handshake failed"):
            await client.create_call(REQUEST)
        assert not vapi.requests


@_of_each_fault
@on_both_loops
async def test_a_call_socket_that_proves_nothing_ends_the_call_and_hears_nothing(
    fault: str, authority: Authority
) -> None:
    vapi = Vapi()
    async with faulty(vapi) as scene, front(authority.context(fault), port_of(vapi)) as seen:
        vapi.socket_url = f"wss://127.0.0.1:{seen.port}/vapi-call-1/transport?{TOKEN}"
        async with scene.phone() as phone:
            assert await phone.close_code() == 1000
            phone.close()
        await until(lambda: scene.ended and vapi.controls)
        assert [end.reason for end in scene.ended] == ["vapi_failed"]
        assert FAULTS[fault] in scene.ended[0].detail
        assert vapi.controls == [("vapi-call-1", {"type": "end-call"})]
        assert len(seen.beginnings) == 1 and seen.is_tls_only
        assert not seen.heard and not vapi.legs


@on_both_loops
async def test_with_a_good_certificate_both_are_taken(authority: Authority) -> None:
    vapi = Vapi()
    async with faulty(vapi) as scene, front(authority.context("good"), port_of(vapi)) as seen:
        vapi.socket_url = f"wss://127.0.0.1:{seen.port}/vapi-call-1/transport?{TOKEN}"
        async with VapiClient(KEY, base_url=f"https://127.0.0.1:{seen.port}") as client:
            assert (await client.create_call(REQUEST)).id == "vapi-call-1"
        vapi.requests.clear()
        async with scene.call() as (phone, leg):
            assert leg.headers["Authorization"] == f"Bearer {KEY}"
            phone.close()
            await phone.close_code()
        assert seen.is_tls_only


async def test_the_certificates_of_the_system_are_read_once_and_never_on_the_loop(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def slow() -> ssl.SSLContext:
        made.append(threading.current_thread().name)
        time.sleep(0.05)
        return context

    context = ssl.create_default_context()
    monkeypatch.setattr(ssl, "create_default_context", slow)
    vapi = Vapi()
    async with faulty(vapi) as scene, front(authority.context("good"), port_of(vapi)) as seen:
        for number in (1, 2):
            vapi.socket_url = f"wss://127.0.0.1:{seen.port}/vapi-call-{number}/transport"
            async with scene.call(number) as (phone, _leg):
                phone.close()
                await phone.close_code()
    assert len(made) == 1 and made[0] != "MainThread"


async def test_calls_that_come_at_once_wait_for_one_reading_of_the_certificates(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []

    def slow() -> ssl.SSLContext:
        time.sleep(0.05)
        made.append(context)
        return context

    context = ssl.create_default_context()
    monkeypatch.setattr(ssl, "create_default_context", slow)
    assert await asyncio.gather(*(tls.client_context() for _ in range(4))) == [context] * 4
    assert len(made) == 1


def test_nothing_in_the_source_can_turn_the_check_off() -> None:
    words = ("CERT_NONE", "check_hostname", "_create_unverified", "verify_ssl", "ssl=False", "CERT_OPTIONAL")
    for file in (Path(tls.__file__).parents[1]).rglob("*.py*"):
        if file.suffix in (".py", ".pyx"):
            text = file.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], file
