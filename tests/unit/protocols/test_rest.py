"""What a provider's API says is told without what is private, and in time, however long it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError
from vapimedia.protocols._rest import check_ring_timeout, read_object, told_safely

LONG = 1 << 20


class TestReadObject:
    def test_an_object_is_read(self) -> None:
        assert read_object(b'{"a":[1]}') == {"a": [1]}

    @pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b"\xff", b'{"a":' * 5000])
    def test_anything_else_is_an_empty_one(self, body: bytes) -> None:
        assert read_object(body) == {}


class TestToldSafely:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("No such number", "No such number"),
            (" a\nb\x00 ", "a?b?"),
            ("to +1 (415) 555-0100.", "to ...."),
            ("open wss://h/secret now", "open ... now"),
            ("open wss://", "open ..."),
            ("<Stream url='secret'/> is wrong", "... is wrong"),
            ("<Stream url='secret", "..."),
            ("call client:joey or sips:joey@h", "call ... or ..."),
            ("key " + "a" * 40, "key ..."),
            ("word " + "a" * 39, "word " + "a" * 39),
        ],
    )
    def test_what_is_private_is_left_out(self, text: str, told: str) -> None:
        assert told_safely(text) == told

    @pytest.mark.parametrize("unit", ["a", "a+", "1", "1 ", "<", "a:", "sip:", ".", " ", "a://", "+1-"])
    def test_of_a_long_text_only_the_head_is_looked_at(self, unit: str) -> None:
        # Looked at as a whole, some of these would take hours.
        assert len(told_safely(unit * (LONG // len(unit)))) <= 500

    @given(st.integers(400, 520), st.sampled_from(["wss://h/", "<a b='", "sip:", "", "key="]))
    def test_a_secret_at_the_cut_is_not_shown_in_part(self, n_before: int, head: str) -> None:
        secret = "s3cr3t" * 10
        told = told_safely(("word " * 200)[:n_before] + " " + head + secret + " more" * 100)
        assert "s3cr" not in told

    @given(st.integers(470, 510))
    def test_of_a_number_at_the_cut_four_digits_remain_at_most(self, n_before: int) -> None:
        told = told_safely("x" * (n_before - 1) + " +1 (415) 555-0100 " * 5)
        assert sum(char.isdigit() for char in told) <= 4

    @given(st.text())
    def test_whatever_is_said_is_printable(self, text: str) -> None:
        assert told_safely(text).isprintable()


class TestRingTimeout:
    def test_what_the_provider_does_not_know_is_refused_with_what_it_knows(self) -> None:
        check_ring_timeout(1, range(1, 121), "Vonage")
        check_ring_timeout(120, range(1, 121), "Vonage")
        for seconds in (0, 121):
            with pytest.raises(ConfigError, match=f"ring_timeout_s is {seconds}; Vonage rings for 1 to 120"):
                check_ring_timeout(seconds, range(1, 121), "Vonage")
