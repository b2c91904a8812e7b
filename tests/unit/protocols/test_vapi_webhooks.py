"""Vapi's webhooks are authenticated; tool calls and running calls are answered in the documented form."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError
from vapimedia.protocols import vapi
from vapimedia.protocols.vapi import (
    ToolResult,
    WebhookSecrets,
    check_webhook_secret,
    encode_tool_results,
    single_line,
)

DATA = Path(__file__).parents[2] / "data" / "vapi"
BODY, NOW = b'{"message":{"type":"hang"}}', 1_790_000_000.0


def fixture(name: str) -> Any:
    return json.loads((DATA / name).read_bytes())


def signed(secret: str, stamp: str, body: bytes = BODY, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, getattr(hashlib, algorithm)).hexdigest()


class TestSecrets:
    @pytest.mark.parametrize(
        "headers",
        [
            {"x-vapi-secret": "s3cret"},
            {"authorization": "Bearer s3cret"},
            {"authorization": "bearer  s3cret"},
        ],
    )
    def test_the_shared_secret_is_accepted_in_either_header(self, headers: dict[str, str]) -> None:
        assert check_webhook_secret(headers, BODY, WebhookSecrets.any_of("s3cret"), NOW) is None

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"x-vapi-secret": ""},
            {"x-vapi-secret": "s3cre"},
            {"x-vapi-secret": "é\ud800"},
            {"authorization": "Basic s3cret"},
            {"authorization": "Bearer"},
            {"x-signature": ""},
            {"x-signature": "00"},
        ],
    )
    def test_anything_else_is_refused(self, headers: dict[str, str]) -> None:
        refusal = check_webhook_secret(headers, BODY, WebhookSecrets.any_of("s3cret"), NOW)
        assert refusal is not None
        assert refusal.status == 403

    def test_without_a_configured_secret_everything_is_refused(self) -> None:
        refusal = check_webhook_secret({"x-vapi-secret": ""}, BODY, WebhookSecrets(), NOW)
        assert refusal is not None
        assert "VAPI_WEBHOOK_SECRET" in refusal.reason

    def test_only_the_configured_kind_counts(self) -> None:
        secrets = WebhookSecrets(bearer="s3cret")
        assert check_webhook_secret({"x-vapi-secret": "s3cret"}, BODY, secrets, NOW) is not None

    def test_no_secret_shows(self) -> None:
        secrets = WebhookSecrets.any_of("canary")
        refusal = check_webhook_secret({"x-vapi-secret": "canary2"}, BODY, secrets, NOW)
        assert "canary" not in repr([secrets, refusal])


class TestHmac:
    SECRETS = WebhookSecrets(hmac_secret="key")

    @pytest.mark.parametrize("stamp", ["1790000000", "1790000000.5", "1790000000123", "2026-09-21T14:13:20Z"])
    def test_seconds_milliseconds_and_iso_are_read(self, stamp: str) -> None:
        headers = {"x-signature": signed("key", stamp), "x-timestamp": stamp}
        assert check_webhook_secret(headers, BODY, self.SECRETS, NOW) is None

    @pytest.mark.parametrize(
        "stamp", ["1789999699", "1790000301", "", "soon", "nan", "inf", "9" * 400, "0001-01-01"]
    )
    def test_a_stale_or_unreadable_time_is_refused(self, stamp: str) -> None:
        headers = {"x-signature": signed("key", stamp), "x-timestamp": stamp}
        refusal = check_webhook_secret(headers, BODY, self.SECRETS, NOW)
        assert refusal is not None
        assert "timestamp" in refusal.reason

    def test_a_changed_body_or_time_is_refused(self) -> None:
        headers = {"x-signature": signed("key", "1790000000"), "x-timestamp": "1790000000"}
        assert check_webhook_secret(headers, BODY + b" ", self.SECRETS, NOW) is not None
        assert (
            check_webhook_secret(headers | {"x-timestamp": "1790000001"}, BODY, self.SECRETS, NOW) is not None
        )

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
    def test_the_credentials_options_are_followed(self, algorithm: Any) -> None:
        secrets = WebhookSecrets(
            hmac_secret=base64.b64encode(b"key").decode(),
            hmac_secret_is_base64=True,
            algorithm=algorithm,
            encoding="base64",
            signature_header="X-My-Signature",
            signature_prefix="v1,",
            payload_format="<{body}>",
            include_timestamp=False,
        )
        digest = hmac.new(b"key", b"<" + BODY + b">", algorithm).digest()
        headers = {"x-my-signature": "v1," + base64.b64encode(digest).decode()}
        assert check_webhook_secret(headers, BODY, secrets, NOW) is None

    def test_a_placeholder_in_the_body_is_only_text(self) -> None:
        body = b'{"x":"{timestamp}"}'
        headers = {"x-signature": signed("key", "1790000000", body), "x-timestamp": "1790000000"}
        assert check_webhook_secret(headers, body, self.SECRETS, NOW) is None

    @pytest.mark.parametrize(
        "fields",
        [
            {"payload_format": "{timestamp}"},
            {"payload_format": "{timestamp}{body}{uri}"},
            {"algorithm": "md5"},
            {"encoding": "hexa"},
            {"hmac_secret": "*", "hmac_secret_is_base64": True},
        ],
    )
    def test_a_wrong_setting_is_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            WebhookSecrets(**fields)

    @given(st.text(max_size=30), st.text(max_size=30), st.binary(max_size=30))
    def test_no_request_raises(self, signature: str, stamp: str, body: bytes) -> None:
        headers = {
            "x-signature": signature,
            "x-timestamp": stamp,
            "authorization": signature,
            "x-vapi-secret": stamp,
        }
        assert check_webhook_secret(headers, body, WebhookSecrets.any_of("a-secret-that-is-long-enough"), NOW)


class TestToolResults:
    @pytest.mark.parametrize(
        ("name", "result"),
        [
            ("response.tool-calls.json", ToolResult("call_A1b2C3", "store_hours", "open 9 to 18")),
            (
                "response.tool-calls.error.json",
                ToolResult("call_A1b2C3", "store_hours", error="backend down"),
            ),
        ],
    )
    def test_the_answer_is_the_documented_one(self, name: str, result: ToolResult) -> None:
        assert json.loads(encode_tool_results([result])) == fixture(name)

    def test_no_calls_give_an_empty_list(self) -> None:
        assert encode_tool_results([]) == b'{"results":[]}'

    @given(st.lists(st.text(max_size=10), max_size=5))
    def test_order_and_ids_are_kept_exactly(self, ids: list[str]) -> None:
        answer = json.loads(encode_tool_results([ToolResult(i, "t", i) for i in ids]))
        expected = [i.encode("utf-8", "replace").decode() for i in ids]
        assert [entry["toolCallId"] for entry in answer["results"]] == expected

    @given(st.text(st.sampled_from("ab \r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=12))
    def test_every_string_is_on_one_line(self, text: str) -> None:
        assert len(single_line(text).splitlines()) <= 1
        for result in (
            ToolResult("i", "n", text),
            ToolResult("i", "n", {"k": text}),
            ToolResult("i", "n", error=text),
        ):
            [entry] = json.loads(encode_tool_results([result]))["results"]
            assert all(len(value.splitlines()) == 1 for key, value in entry.items() if value)

    def test_a_line_end_becomes_one_blank(self) -> None:
        assert single_line("a\r\nb\n\n c\u2028d\n") == "a b  c d"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"a": [1, None]}, '{"a":[1,null]}'),
            (True, "true"),
            (None, "null"),
            (4.5, "4.5"),
            ("x", "x"),
            ("", ""),
        ],
    )
    def test_what_is_no_string_goes_out_as_compact_json(self, value: Any, text: str) -> None:
        [entry] = json.loads(encode_tool_results([ToolResult("i", "n", value)]))["results"]
        assert entry["result"] == text

    def test_what_cannot_be_written_is_an_error_entry(self) -> None:
        cycle: list[Any] = []
        cycle.append(cycle)
        values = [object(), {object(): 1}, cycle, {"a": "\ud800"}]
        entries = json.loads(encode_tool_results([ToolResult("i", "n", value) for value in values]))[
            "results"
        ]
        assert all("error" in entry and "result" not in entry for entry in entries)

    def test_no_result_shows(self) -> None:
        assert "canary" not in repr([ToolResult("i", "n", "canary"), ToolResult("i", "n", error="canary")])


class TestCommands:
    @pytest.mark.parametrize(
        ("name", "ours"),
        [
            ("end-call", vapi.end_call()),
            ("hangup", vapi.hangup()),
            ("add-message", vapi.add_message("system", "Caller is VIP.", trigger_response=False)),
            ("append-context", vapi.append_context("thinking", "Caller is VIP.")),
            *((f"control.{name}", vapi.control(name)) for name in ("mute-assistant", "unmute-assistant")),
            *((f"control.{name}", vapi.control(name)) for name in ("mute-customer", "unmute-customer")),
            ("control.say-first-message", vapi.control("say-first-message")),
            (
                "say",
                vapi.say(
                    "One moment.",
                    end_call_after_spoken=False,
                    interruptions_enabled=True,
                    interrupt_assistant_enabled=False,
                ),
            ),
        ],
    )
    def test_every_command_is_the_documented_message(self, name: str, ours: bytes) -> None:
        assert json.loads(ours) == fixture(f"control.{name}.json")

    def test_what_is_not_said_is_left_to_vapi(self) -> None:
        assert vapi.say("Hi.") == b'{"type":"say","content":"Hi."}'

    def test_a_wrong_word_is_refused_with_the_known_ones(self) -> None:
        for wrong, known in (
            (lambda: vapi.control("explode"), "mute"),
            (lambda: vapi.add_message("me", "x"), "user"),
        ):
            with pytest.raises(ConfigError, match=known):
                wrong()

    @pytest.mark.parametrize("content", ["", None, 5])
    def test_nothing_to_say_is_refused(self, content: Any) -> None:
        with pytest.raises(ConfigError):
            vapi.say(content)

    @given(st.text(st.characters(), min_size=1, max_size=8))
    def test_any_text_can_be_said(self, content: str) -> None:
        assert json.loads(vapi.say(content))["content"] == content.encode("utf-8", "replace").decode()
