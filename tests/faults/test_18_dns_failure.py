"""A name of Vapi's that is not resolved, or not in time, is a typed error within 5 s; the loop is never held up for
more than 20 ms, and the caller gets the fallback."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import vonage_scene
from canaries import CANARIES
from fault_scene import elapsed_ms, faulty
from loop_lag import loop_lag
from scene import Vapi
from skipped_time import in_skipped_time
from wire import on_both_loops, until

from vapimedia import AudioFormat, Bridge, CallInfo, VapiClient, VapiError
from vapimedia.io import vapi_requests
from vapimedia.protocols.vapi import CreateCall

REQUEST = CreateCall(format=AudioFormat("mulaw", 8000), assistant_id="asst_1")
KEY, TOKEN = CANARIES["the API key"], CANARIES["the token in Vapi's URLs"]
API = "https://api.vapi.invalid"  # RFC 6761 s. 6.4: no such name exists
SOCKET = f"wss://call.vapi.invalid/vapi-call-1/transport?{TOKEN}"
HOSTS = {"the API": "api.vapi.invalid", "the call socket": "call.vapi.invalid"}
FALLBACK = [{"action": "talk", "text": "Our assistant is not available."}]
N_TRIES = 8
"""A busy machine holds everything up now and then; the loop itself has been free if it was in one of them."""


@contextmanager
def resolver(says: Callable[[], None]) -> Iterator[dict[str, float]]:
    """What resolves names does *says* for Vapi's first, and then knows none. Yields when each was first asked for."""
    resolve = socket.getaddrinfo
    asked_s: dict[str, float] = {}

    def asked(host: Any, *given: Any, **named: Any) -> Any:
        if not str(host).endswith(".invalid"):
            return resolve(host, *given, **named)
        asked_s.setdefault(str(host), time.monotonic())
        says()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with patch("socket.getaddrinfo", asked):
        yield asked_s


@contextmanager
def no_answer() -> Iterator[dict[str, float]]:
    """A resolver that says nothing until the end of the block."""
    is_over = threading.Event()
    with resolver(lambda: is_over.wait(60) and None) as asked_s:
        try:
            yield asked_s
        finally:
            is_over.set()


async def fail(client: VapiClient) -> tuple[str, float]:
    """Create a call that cannot be created; return the error's words and how long it took, in ms."""
    begun_s = asyncio.get_running_loop().time()
    with pytest.raises(VapiError) as caught:
        await client.create_call(REQUEST)
    assert caught.value.status is None
    return str(caught.value), elapsed_ms(begun_s)


@on_both_loops
async def test_a_name_that_does_not_exist_is_a_typed_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vapi_requests, "_FIRST_PAUSE_S", 0.01)
    async with VapiClient(KEY, base_url=API) as client:
        said, took_ms = await fail(client)
    assert "api.vapi.invalid: its name cannot be resolved" in said or "nobody answers" in said
    assert took_ms < 5000


@pytest.mark.parametrize("host", ["a..invalid", f"{'a' * 64}.invalid"])
async def test_a_name_that_no_resolver_takes_is_said_so(host: str) -> None:
    async with VapiClient(KEY, base_url=f"https://{host}") as client:
        with pytest.raises(VapiError, match="cannot be resolved"):
            await client.get_call("call-1")


@in_skipped_time
async def test_a_resolver_that_does_not_answer_is_given_up_within_5_s() -> None:
    with no_answer():
        async with VapiClient(KEY, base_url=API) as client:
            said, took_ms = await fail(client)
        assert "cannot connect to Vapi at api.vapi.invalid: nobody answers" in said
        assert 1000 < took_ms < 5000


@in_skipped_time
async def test_a_name_that_stays_unknown_is_given_up_within_5_s() -> None:
    with resolver(lambda: None):
        async with VapiClient(KEY, base_url=API) as client:
            said, took_ms = await fail(client)
        assert "its name cannot be resolved" in said
        assert took_ms < 5000


@pytest.mark.parametrize("of", HOSTS)
async def test_a_name_that_is_being_resolved_holds_the_loop_for_20_ms_at_most(of: str) -> None:
    vapi = Vapi(socket_url=SOCKET)
    changes: dict[str, Any] = {"vapi_url": API} if of == "the API" else {"vapi_hosts": ("vapi.invalid",)}
    worst_ms = []
    async with faulty(vapi, **changes) as scene:
        for number in range(1, N_TRIES + 1):
            is_asked, may_answer = threading.Event(), threading.Event()

            def think(is_asked: Any = is_asked, may_answer: Any = may_answer) -> None:
                is_asked.set()
                may_answer.wait(5)

            with resolver(think):
                async with scene.phone(number) as phone:
                    await until(is_asked.is_set)
                    async with loop_lag() as lag:
                        await asyncio.sleep(0.06)
                    may_answer.set()
                    for call in scene.bridge.calls:
                        call.hang_up("enough")
                    phone.close()
            assert lag.n_turns > 1
            worst_ms.append(lag.worst_ms)
            if lag.worst_ms <= 20:
                break
    assert min(worst_ms) <= 20, worst_ms


@on_both_loops
async def test_a_call_socket_whose_name_is_unknown_ends_the_call_at_both_ends() -> None:
    vapi = Vapi(socket_url=SOCKET)
    async with faulty(vapi, vapi_hosts=("vapi.invalid",)) as scene:
        begun_s = asyncio.get_running_loop().time()
        async with scene.phone() as phone:
            assert await phone.close_code(timeout_s=8) == 1000
            assert elapsed_ms(begun_s) < 5000
            phone.close()
        await until(lambda: scene.ended and vapi.controls)
        assert [end.reason for end in scene.ended] == ["vapi_failed"]
        assert (
            "its name cannot be resolved" in scene.ended[0].detail or "did not open" in scene.ended[0].detail
        )
        assert vapi.controls == [("vapi-call-1", {"type": "end-call"})]


async def hear_the_fallback(of: str, asked_s: dict[str, float]) -> float:
    """Call a bridge that cannot find Vapi; expect the fallback. Return how long its name was waited for, in ms."""
    asked: list[str] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_fallback
        async def fall_back(_info: CallInfo, status: str) -> Any:
            asked.append(status)
            return FALLBACK

    async with Vapi(socket_url=SOCKET).serving() as vapi:
        changes: dict[str, Any] = {"vapi_url": API if of == "the API" else vapi.url, "vapi_api_key": KEY}
        changes |= {"vapi_hosts": ("vapi.invalid",), "on_vapi_lost": "continue"}
        async with vonage_scene.running(None, prepare, **changes) as scene:
            call = asyncio.create_task(scene.phone().run())
            await until(lambda: scene.ended, timeout_s=10)
            took_ms = 1000 * (time.monotonic() - asked_s[HOSTS[of]])
            phone = await call
            assert [end.reason for end in scene.ended] == ["vapi_failed"]
            assert phone.fallback_ncco == FALLBACK
            assert len(asked) == 1
    return took_ms


@pytest.mark.parametrize("of", HOSTS)
async def test_the_caller_gets_the_fallback_when_a_name_is_unknown(
    of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vapi_requests, "_FIRST_PAUSE_S", 0.01)
    with resolver(lambda: None) as asked_s:
        assert await hear_the_fallback(of, asked_s) < 5000


@pytest.mark.slow
@pytest.mark.long
async def test_the_caller_gets_the_fallback_when_the_resolver_does_not_answer() -> None:
    took_ms: list[tuple[float, ...]] = []
    while not took_ms or (max(took_ms[-1]) >= 5000 and len(took_ms) < 3):
        with no_answer() as asked_s:
            took_ms.append(tuple(await asyncio.gather(*(hear_the_fallback(of, asked_s) for of in HOSTS))))
    assert max(took_ms[-1]) < 5000, took_ms
