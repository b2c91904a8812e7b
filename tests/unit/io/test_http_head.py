from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.io.http_head import MAX_HEAD_BYTES, read_head, refusal

UPGRADE = (
    b"GET /twilio/media/abc?x=1 HTTP/1.1\r\nHost: b\r\nUpgrade: WebSocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nX-Two: first\r\nX-Two: second\r\n\r\n"
)


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
