from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import listening
from wire import TEXT, connected, frame, nothing_left, on_both_loops, until, upgrade_request

from vapimedia.io.http_head import MAX_HEAD_BYTES, read_head, refusal

UPGRADE = (
    b"GET /twilio/media/abc?x=1 HTTP/1.1\r\nHost: b\r\nUpgrade: WebSocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nX-Two: first\r\nX-Two: second\r\n\r\n"
)
# The example of RFC 6455 s. 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_head_is_read_with_its_target_and_lower_case_names() -> None:
    head = read_head(UPGRADE + b"body that is not looked at")
    assert head is not None
    assert (head.method, head.target, head.headers["host"]) == ("GET", "/twilio/media/abc?x=1", "b")
    assert head.is_upgrade


def test_the_first_of_equal_headers_wins() -> None:
    head = read_head(UPGRADE)
    assert head is not None and head.headers["x-two"] == "first"


@given(st.integers(0, len(UPGRADE) - 1))
@settings(max_examples=50)
def test_a_head_is_incomplete_until_its_last_byte(n: int) -> None:
    assert read_head(UPGRADE[:n]) is None


def test_a_post_that_asks_for_an_upgrade_is_no_upgrade() -> None:
    head = read_head(UPGRADE.replace(b"GET", b"POST"))
    assert head is not None and not head.is_upgrade


def test_a_head_shows_neither_its_target_nor_its_headers() -> None:
    assert repr(read_head(UPGRADE)) == "<Head GET with 4 headers>"


@pytest.mark.parametrize("line", [b"/media/token-of-a-call", b"G\0ET / HTTP/1.1", b"a\rb", b"", b"\xff\n"])
def test_a_head_that_begins_with_no_method_does_not_show_what_it_begins_with(line: bytes) -> None:
    assert repr(read_head(line + b"\r\nHost: h\r\n\r\n")) == "<Head ? with 1 headers>"


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    read_head(data + b"\r\n\r\n")


@given(st.sampled_from([400, 403, 404, 413, 426, 431, 500, 503]), st.text(max_size=40))
@settings(max_examples=40)
def test_a_refusal_says_its_length_and_closes(status: int, reason: str) -> None:
    head, _, body = refusal(status, reason.replace("\r", "").replace("\n", "")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert MAX_HEAD_BYTES == 8192


CONNECTION_HEADERS = [
    "keep-alive, Upgrade",
    "Upgrade, keep-alive",
    "keep-alive,upgrade",
    " \tUPGRADE ,, close",
    "keep-alive\r\nConnection: Upgrade",
    "Upgrade\r\nConnection: keep-alive",
]


@on_both_loops
@pytest.mark.parametrize("connection", CONNECTION_HEADERS)
async def test_an_upgrade_may_stand_beside_other_words_in_connection(connection: str) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        answer = await wire.upgrade("/media", {"Connection": connection, "Sec-WebSocket-Key": KEY})
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, ACCEPT)
        wire.text("hello")
        await until(lambda: recorder.messages == [(b"hello", True)])
        assert recorder.opened == 1
        recorder.sockets[0].send_text(b"you too")
        assert await wire.read_frame() == (TEXT, b"you too")
        wire.close()
        assert await wire.close_code() == 1000


@on_both_loops
async def test_such_an_upgrade_and_the_first_frame_may_come_together() -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        wire.send(upgrade_request("/media", {"Connection": "keep-alive, Upgrade"}) + frame(TEXT, b"hi"))
        assert (await wire.head()).status == 101
        await until(lambda: recorder.messages == [(b"hi", True)])


@on_both_loops
async def test_such_an_upgrade_may_come_byte_by_byte_and_be_long() -> None:
    request = upgrade_request("/media", {"Connection": "keep-alive, Upgrade", "Cookie": "x" * 7000})
    async with listening() as recorder, connected(recorder.port) as wire:
        for at in range(0, len(request), 97):
            wire.send(request[at : at + 97])
            await asyncio.sleep(0)
        assert (await wire.head()).status == 101
        assert recorder.heads[0].headers["cookie"] == "x" * 7000


@on_both_loops
async def test_a_client_that_leaves_with_such_an_upgrade_leaves_nothing_behind() -> None:
    async with listening() as recorder, nothing_left():
        async with connected(recorder.port) as wire:
            wire.send(upgrade_request("/media", {"Connection": "keep-alive, Upgrade"}))
            wire.reset()
        async with connected(recorder.port) as wire:
            assert (await wire.upgrade("/media", {"Connection": "keep-alive, Upgrade"})).status == 101
            wire.reset()
        await until(lambda: recorder.closed[-1:] == [1006])


@on_both_loops
@pytest.mark.parametrize("connection", ["keep-alive", "close", "upgraded", "x-upgrade", "Up grade", ""])
async def test_connection_must_have_the_word_upgrade(connection: str) -> None:
    async with listening() as recorder, connected(recorder.port) as wire:
        assert (await wire.upgrade("/media", {"Connection": connection})).status == 400
        assert recorder.heads == []


def test_a_head_made_plain_says_the_same_handshake_and_nothing_else() -> None:
    head = read_head(
        upgrade_request(
            "/media?key=k", {"Connection": "keep-alive, Upgrade", "Sec-WebSocket-Key": KEY, "Cookie": "c"}
        )
    )
    assert head is not None
    again = read_head(head.plain())
    assert again is not None and not again.upgrade_flaw
    assert again.headers == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
