"""The public port: heads in pieces, heads that never end, and what goes where."""

from __future__ import annotations

import asyncio

import pytest
from recorder import listening
from wire import connected, descriptors, on_both_loops, until, upgrade_request

from vapimedia.io import front_door

POST = b"POST /echo HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello"


@on_both_loops
async def test_http_and_websocket_share_one_port() -> None:
    async with listening() as recorder:
        async with connected(recorder.port) as http:
            http.send(POST)
            assert (await http.answer()).body == b"hello"
        async with connected(recorder.port) as media:
            assert (await media.upgrade("/media")).status == 101
            await until(lambda: recorder.opened == 1)


@on_both_loops
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_head_may_come_byte_by_byte(kind: str) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        for byte in POST if kind == "http" else upgrade_request("/media"):
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert (await wire.head()).status == (200 if kind == "http" else 101)


@on_both_loops
async def test_a_head_and_the_first_frame_may_come_together() -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(upgrade_request("/media") + bytes.fromhex("8182000000006869"))
        assert (await wire.head()).status == 101
        await until(lambda: recorder.messages == [(b"hi", True)])


async def peeks_while_waiting(monkeypatch: pytest.MonkeyPatch, *, half_close: bool) -> int:
    """Count how often the port looks at a connection that stopped in the middle of its head."""
    n_peeks = 0
    peek = front_door.FrontDoor._peek

    def counted(self: front_door.FrontDoor, connection: object) -> None:
        nonlocal n_peeks
        n_peeks += 1
        peek(self, connection)  # type: ignore[arg-type]

    monkeypatch.setattr(front_door.FrontDoor, "_peek", counted)
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(b"GET /media HTTP/1.1\r\nHost")
        if half_close:
            wire.writer.write_eof()
        await asyncio.sleep(0.3)
    return n_peeks


@on_both_loops
async def test_a_partial_head_that_idles_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= await peeks_while_waiting(monkeypatch, half_close=False) <= 3


@on_both_loops
async def test_a_client_that_leaves_within_its_head_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= await peeks_while_waiting(monkeypatch, half_close=True) <= 3


@on_both_loops
async def test_a_client_that_leaves_within_its_head_is_let_go_of_at_once() -> None:
    async with listening() as recorder:
        held = descriptors()
        async with connected(recorder.port) as wire:
            wire.send(b"GET /media HTTP/1.1\r\nHost")
            wire.writer.write_eof()
            assert await wire.rest() == b""
        await until(lambda: not descriptors() - held)


@on_both_loops
@pytest.mark.parametrize("beginning", [b"", b"G", b"GET /media HTTP/1.1\r\nHost: b\r\n"])
async def test_a_head_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(front_door, "HANDSHAKE_TIMEOUT_S", 0.1)
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(beginning)
        drip = asyncio.create_task(_drip(wire.send)) if beginning else None
        assert await wire.rest() == b""
        if drip is not None:
            drip.cancel()


async def _drip(send: object) -> None:
    while True:
        await asyncio.sleep(0.02)
        send(b"X")  # type: ignore[operator]


@on_both_loops
async def test_a_head_over_8_kib_gets_431() -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(b"GET /media HTTP/1.1\r\nX-Long: " + b"x" * 9000)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (431, "close")


@on_both_loops
async def test_a_head_of_almost_8_kib_is_taken() -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        assert (await wire.upgrade("/media", {"X-Long": "x" * 7900})).status == 101


@on_both_loops
@pytest.mark.parametrize("version", ["8", "14", "x", ""])
async def test_another_version_than_13_gets_426_and_is_told_which(version: str) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        answer = await wire.upgrade("/media", {"Sec-WebSocket-Version": version})
        assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")
        assert recorder.sockets == []


@on_both_loops
async def test_an_unknown_media_path_gets_404() -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        answer = await wire.upgrade("/nowhere")
        assert (answer.status, answer.headers["connection"]) == (404, "close")


@on_both_loops
@pytest.mark.parametrize("key", [None, "short", "%%%", "AAAA" * 10])
async def test_a_wrong_key_gets_400_before_anybody_takes_the_socket(key: str | None) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        request = upgrade_request("/media", {"Sec-WebSocket-Key": key or ""})
        wire.send(request if key else request.replace(b"Sec-WebSocket-Key: \r\n", b""))
        assert (await wire.answer()).status == 400
        assert recorder.sockets == []


@on_both_loops
@pytest.mark.parametrize(
    "request_bytes",
    [
        upgrade_request("/media", {"Connection": "close"}),
        upgrade_request("/media").replace(b"Connection: Upgrade\r\n", b""),
        upgrade_request("/media", {"Upgrade": "h2c, websocket"}),
        upgrade_request("/media", {"Content-Length": "5"}),
        upgrade_request("/media", {"Content-Length": ""}),
        upgrade_request("/media", {"Content-Length": "0\r\nContent-Length: 0"}),
        upgrade_request("/media", {"Transfer-Encoding": "chunked"}),
        upgrade_request("/media", {"X-Odd": "a\x01b"}),
        upgrade_request("/media", {"X-Odd": "a\r\n folded"}),
        upgrade_request("/media", {"X-Odd": "a\r\nno colon"}),
        upgrade_request("/media", {"Bad Name": "1"}),
        upgrade_request("/media", {"Space-Before ": "1"}),
        upgrade_request("/media", {f"X-{n}": "1" for n in range(128)}),
        upgrade_request("/media").replace(b"HTTP/1.1", b"HTTP/1.0"),
        upgrade_request("/media x"),
    ],
    ids=[
        *("connection close", "no connection", "two upgrades", "body", "empty length", "two lengths"),
        *("chunked", "control character", "folded", "no colon", "bad name", "space in name"),
        *("too many headers", "HTTP/1.0", "four words"),
    ],
)
async def test_an_upgrade_that_would_fail_is_refused_before_anybody_takes_the_socket(
    request_bytes: bytes,
) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(request_bytes)
        assert (await wire.answer()).status == 400
        assert recorder.heads == []


@on_both_loops
async def test_an_upgrade_behind_a_request_on_one_connection_is_never_read() -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(POST + upgrade_request("/media"))
        answer = await wire.answer()
        assert answer.headers["connection"] == "close"
        assert answer.body == b"hello"  # and nothing after it
        assert recorder.heads == []


@on_both_loops
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /nowhere HTTP/1.1\r\nHost: b\r\n\r\n",
        b"DELETE /echo HTTP/1.1\r\nHost: b\r\n\r\n",
        b"POST /echo HTTP/1.0\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: b\r\nContent-Length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: b\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
    ],
    ids=["404", "405", "keep-alive of 1.0", "nonsense", "bad length", "413"],
)
async def test_every_http_answer_closes_the_connection(request_bytes: bytes) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(request_bytes)
        answer = await wire.answer()
        assert answer.closes
        assert wire.reader.at_eof()


@on_both_loops
async def test_closing_the_port_lets_go_of_everything() -> None:
    held, tasks = descriptors(), asyncio.all_tasks()
    async with listening() as recorder, connected(recorder.port) as silent, connected(recorder.port) as media:
        silent.send(b"GET /me")
        assert (await media.upgrade("/media")).status == 101
        await recorder.public.close()
        assert await silent.rest() == b""
    await until(lambda: not descriptors() - held)
    assert asyncio.all_tasks() == tasks


@on_both_loops
@pytest.mark.parametrize("kind", ["http", "websocket", "refused"])
async def test_a_connection_whose_handover_is_cancelled_before_it_began_is_closed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over = front_door.FrontDoor._hand_over

    def hand_over_and_cancel(self: front_door.FrontDoor, connection: object, head: object) -> None:
        hand_over(self, connection, head)  # type: ignore[arg-type]
        self.handovers.cancel()

    monkeypatch.setattr(front_door.FrontDoor, "_hand_over", hand_over_and_cancel)
    version = {"Sec-WebSocket-Version": "7"} if kind == "refused" else {}
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(POST if kind == "http" else upgrade_request("/media", version))
        assert await wire.rest() == b""
