"""What we answer to Vapi is checked where it is made; what it checks, Vapi takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, ProtocolError, StateError
from vapimedia.protocols import vapi
from vapimedia.protocols.vapi import (
    AssistantDestination,
    AssistantReply,
    Document,
    EndpointingReply,
    HandoffReply,
    KnowledgeBaseReply,
    NumberDestination,
    PredialReply,
    SipDestination,
    ToolCall,
    ToolMessage,
    ToolResult,
    TransferReply,
    decode_reply,
    encode_tool_results,
)

NUMBER = NumberDestination(number="+15005550002")
BILLING = AssistantDestination(assistant_name="billing")
CYCLE: dict[str, Any] = {}
CYCLE["itself"] = CYCLE


class TestAnswers:
    @pytest.mark.parametrize(
        ("reply", "body"),
        [
            (AssistantReply(assistant_id="a"), {"assistantId": "a"}),
            (
                AssistantReply(squad={"members": []}, squad_overrides={"name": "x"}),
                {"squad": {"members": []}, "squadOverrides": {"name": "x"}},
            ),
            (
                AssistantReply(destination=SipDestination(sip_uri="sip:a@b", message="")),
                {"destination": {"type": "sip", "sipUri": "sip:a@b", "message": ""}},
            ),
            (
                TransferReply(destination=BILLING, message=ToolMessage(content="Bye.")),
                {
                    "destination": {"type": "assistant", "assistantName": "billing"},
                    "message": {"type": "request-start", "content": "Bye."},
                },
            ),
            (TransferReply(error="no"), {"error": "no"}),
            (
                HandoffReply(destination={"type": "squad", "squadId": "s"}, result="ok"),
                {"destination": {"type": "squad", "squadId": "s"}, "result": "ok"},
            ),
            (HandoffReply(error="no"), {"destination": {}, "error": "no"}),
            (KnowledgeBaseReply(documents=[]), {"documents": []}),
            (
                KnowledgeBaseReply(message="At nine."),
                {"message": {"type": "custom-message", "content": "At nine."}},
            ),
            (EndpointingReply(timeout_seconds=0), {"timeoutSeconds": 0}),
            (PredialReply(eligible=False), {"eligible": False}),
        ],
    )
    def test_each_is_the_documented_body_and_is_read_back(self, reply: vapi.Reply, body: Any) -> None:
        assert json.loads(reply.encode()) == body
        asked = next(entry.type for entry in vapi.CATALOGUE if entry.reply is type(reply))
        assert json.loads(decode_reply(asked, reply.encode()).encode()) == body

    @pytest.mark.parametrize(
        "make",
        [
            AssistantReply,
            lambda: AssistantReply(assistant_id="a", error="b"),
            lambda: AssistantReply(assistant_id="a", assistant={"name": "b"}),
            lambda: AssistantReply(assistant_id=""),
            lambda: AssistantReply(assistant_id=5),  # type: ignore[arg-type]
            lambda: AssistantReply(
                destination=NumberDestination(number="+15005550002", transfer_plan="x")  # type: ignore[arg-type]
            ),
            lambda: AssistantReply(assistant_overrides={}),
            lambda: AssistantReply(squad_id="s", assistant_overrides={"name": "x"}),
            lambda: AssistantReply(error="no", assistant_overrides={"name": "x"}),
            lambda: AssistantReply(destination=BILLING),  # type: ignore[arg-type]
            lambda: AssistantReply(assistant={"name": object()}),
            lambda: AssistantReply(assistant=CYCLE),
            lambda: AssistantReply(error="\ud800"),
            TransferReply,
            lambda: TransferReply(destination=NUMBER, error="no"),
            lambda: TransferReply(message="Bye."),  # type: ignore[arg-type]
            lambda: HandoffReply(result="ok"),
            lambda: HandoffReply(destination=NUMBER),
            lambda: HandoffReply(destination={"assistantName": "b"}),
            KnowledgeBaseReply,
            lambda: KnowledgeBaseReply(documents=[], message="x"),
            lambda: KnowledgeBaseReply(documents=[Document(content="x", similarity=float("nan"))]),
            lambda: KnowledgeBaseReply(documents=[{"content": "x"}]),  # type: ignore[list-item]
            lambda: EndpointingReply(timeout_seconds=15.1),
            lambda: EndpointingReply(timeout_seconds=-1),
            lambda: EndpointingReply(timeout_seconds=float("nan")),
            lambda: EndpointingReply(timeout_seconds=True),
            lambda: PredialReply(eligible="yes"),  # type: ignore[arg-type]
            lambda: NumberDestination(number="+1"),
            lambda: NumberDestination(number="1" * 41),
            lambda: NumberDestination(number="+15005550002", extension="1" * 11),
            lambda: SipDestination(sip_uri="desk@example.test"),
            lambda: AssistantDestination(message="x"),
        ],
    )
    def test_what_vapi_would_not_take_is_refused_when_it_is_made(self, make: Any) -> None:
        with pytest.raises(ConfigError):
            make()

    @given(st.floats(0, 15) | st.integers(0, 15))
    def test_any_time_in_range_is_read_back(self, timeout: float) -> None:
        reply = EndpointingReply(timeout_seconds=timeout)
        assert decode_reply("call.endpointing.request", reply.encode()) == reply

    @given(st.sampled_from([e.type for e in vapi.CATALOGUE]), st.binary(max_size=20) | st.just(b"{}"))
    def test_what_is_no_answer_is_the_peers_fault(self, type_: str, data: bytes) -> None:
        if (type_, data) != ("tool-calls", b"{}"):
            with pytest.raises(ProtocolError):
                decode_reply(type_, data)

    def test_no_repr_shows_what_a_reply_holds(self) -> None:
        number = NumberDestination(number="canary", caller_id="canary", message="canary")
        shown = repr(
            [
                AssistantReply(error="canary"),
                TransferReply(destination=number, message=ToolMessage(content="canary")),
                TransferReply(destination=number).destination,
                KnowledgeBaseReply(documents=[Document(content="canary", similarity=1)]).documents,
                vapi.CustomMessage(content="canary"),
                ToolMessage(content="canary"),
                vapi.ToolCallsReply([ToolResult("i", "n", "canary", message="canary")]),
            ]
        )
        assert "canary" not in shown
        assert "AssistantReply(error)" in shown


class TestDestinationsInMessages:
    @pytest.mark.parametrize(
        "type_", ["status-update", "transfer-update", "phone-call-control", "end-of-call-report"]
    )
    def test_a_destination_is_read_where_it_comes(self, type_: str) -> None:
        for destination in (
            NumberDestination(number="+15005550002", extension="7", caller_id="+15005550003"),
            SipDestination(sip_uri="sips:a@b", sip_headers={"x": "y"}),
        ):
            body = {"type": type_, "destination": json.loads(vapi_json(destination))}
            event: Any = vapi.decode_server_message(json.dumps(body))
            assert event.destination == destination

    def test_an_empty_extension_is_none(self) -> None:
        body = {
            "type": "transfer-update",
            "destination": {"type": "number", "number": "112", "extension": ""},
        }
        event: Any = vapi.decode_server_message(json.dumps(body))
        assert event.destination == NumberDestination(number="112")

    @pytest.mark.parametrize("destination", [None, "text", {"type": "step"}, {"type": "number"}, {}])
    def test_what_is_none_of_them_is_none(self, destination: Any) -> None:
        body = {"type": "phone-call-control", "request": "forward", "destination": destination}
        event: Any = vapi.decode_server_message(json.dumps(body))
        assert (event.destination, event.request) == (None, "forward")


def vapi_json(destination: vapi.Destination) -> bytes:
    reply = json.loads(TransferReply(destination=destination).encode())
    return json.dumps(reply["destination"]).encode()


class TestToolResultsOfWantedCalls:
    WANTED = (ToolCall("1", "one"), ToolCall("2", "two"), ToolCall("3", "three"))

    def test_they_go_out_in_the_order_of_the_calls_and_none_is_missing(self) -> None:
        results = [ToolResult("3", "three", "c"), ToolResult("1", "one", "a")]
        entries = json.loads(encode_tool_results(results, wanted=self.WANTED))["results"]
        assert [entry["toolCallId"] for entry in entries] == ["1", "2", "3"]
        assert [entry.get("result") for entry in entries] == ["a", None, "c"]
        assert "no result" in entries[1]["error"]

    @pytest.mark.parametrize(
        ("ids", "why"), [(["1", "4"], "'4' was not asked for"), (["1", "1"], "'1' is answered twice")]
    )
    def test_a_result_that_was_not_asked_for_is_refused_here(self, ids: list[str], why: str) -> None:
        with pytest.raises(StateError, match=why):
            encode_tool_results([ToolResult(id_, "t", "x") for id_ in ids], wanted=self.WANTED)

    def test_an_id_that_vapi_sent_twice_is_answered_twice(self) -> None:
        wanted = [ToolCall("1", "a"), ToolCall("1", "b")]
        results = [ToolResult("1", "a", "x"), ToolResult("1", "b", "y")]
        assert encode_tool_results(results, wanted=wanted) == encode_tool_results(results)

    def test_a_message_and_metadata_go_along(self) -> None:
        message = ToolMessage(type="request-complete", content="Booked.")
        result = ToolResult("1", "book", "ok", message=message, metadata={"id": 5})
        [entry] = json.loads(encode_tool_results([result]))["results"]
        assert entry["message"] == {"type": "request-complete", "content": "Booked."}
        assert (entry["metadata"], entry["result"]) == ({"id": 5}, "ok")
        [entry] = json.loads(encode_tool_results([ToolResult("1", "b", "ok", metadata={"x": object()})]))[
            "results"
        ]
        assert "error" in entry
        assert "result" not in entry

    def test_all_of_it_may_have_failed(self) -> None:
        reply = vapi.ToolCallsReply(error="down\nagain")
        assert reply.encode() == b'{"error":"down again"}'
        assert decode_reply("tool-calls", reply.encode()) == vapi.ToolCallsReply(error="down again")
