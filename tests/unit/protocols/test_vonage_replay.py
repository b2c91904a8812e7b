"""Recorded calls of Vonage through its dialect: webhooks, NCCO, upgrade, socket, hang-up, events."""

from __future__ import annotations

import base64
import json
from typing import Any

from vapimedia.protocols import (
    Cleared,
    CloseSocket,
    Dtmf,
    HttpCall,
    LegFormat,
    MarkPlayed,
    Media,
    Started,
    StatusReport,
    Stopped,
    UpgradeRequest,
    WebhookRequest,
)
from vapimedia.protocols.vonage import VonageDialect, VonageSettings

CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
SECRET = "vonage-signature-secret-0123456789abcdef"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
IAT = 1_795_000_000.0
ORIGIN = "https://bridge.example.com"
SETTINGS = VonageSettings(api_key="abcd1234", application_id=APPLICATION, signature_secret=SECRET)


def lower(entry: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in entry.get("headers", {}).items()}


def webhook_of(entry: dict[str, Any]) -> WebhookRequest:
    path = entry["url"].removeprefix(ORIGIN)
    return WebhookRequest(entry["method"], path, lower(entry), entry["wire"].encode(), received_s=IAT)


def of_kind(entries: list[dict[str, Any]], direction: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if (entry["dir"], entry["kind"]) == (direction, kind)]


def without_places(ncco: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An NCCO apart from where our routes are."""
    endpoint = {name: value for name, value in ncco[0]["endpoint"][0].items() if name != "uri"}
    return [ncco[0] | {"endpoint": [endpoint], "eventUrl": [""]}]


def test_a_recorded_call_is_let_in_answered_and_hung_up(
    vonage_call: tuple[int, list[dict[str, Any]]], rsa_pem: str
) -> None:
    rate, entries = vonage_call
    settings = VonageSettings(
        api_key="abcd1234",
        application_id=APPLICATION,
        signature_secret=SECRET,
        private_key=rsa_pem,
        sample_rate=rate,
    )
    dialect = VonageDialect(settings)
    webhook, told = entries[0], json.loads(entries[1]["wire"])
    assert dialect.check_webhook(webhook_of(webhook)) is None
    call = dialect.read_voice_webhook(webhook_of(webhook))
    assert (call.call_id, call.from_, call.to, call.direction) == (
        CALL,
        "14155550100",
        "14155550199",
        "inbound",
    )
    assert call.fields["conversation_uuid"] == f"CON-{CALL}"

    document = dialect.answer("wss://h/vonage/media/t", "https://h/e", {"caller-id": "14155550100"})
    assert document.content_type == entries[1]["headers"]["Content-Type"] == "application/json"
    assert without_places(json.loads(document.body)) == without_places(told)

    [upgrade] = of_kind(entries, "in", "ws-open")
    request = UpgradeRequest("/vonage/media/t", lower(upgrade), received_s=IAT)
    assert dialect.check_upgrade(request) is None
    assert dialect.check_upgrade(request) is not None

    [first, *_] = of_kind(entries, "in", "text")
    [start] = dialect.feed(first["wire"].encode(), True)
    assert start == Started(CALL, CALL, LegFormat("pcm_s16le", rate), parameters={"caller-id": "14155550100"})

    [put] = [entry for entry in of_kind(entries, "out", "http") if "method" in entry]
    hangup, close = dialect.hangup()
    assert isinstance(hangup, HttpCall)
    assert (hangup.method, hangup.url, hangup.body.decode()) == (put["method"], put["url"], put["wire"])
    assert hangup.sign is not None
    assert set(hangup.headers | hangup.sign(IAT)) == set(put["headers"])
    assert hangup.gone == {404}
    assert close == CloseSocket(1000, grace_ms=2000)


def test_every_message_of_a_recorded_call_gives_its_event(
    vonage_call: tuple[int, list[dict[str, Any]]],
) -> None:
    rate, entries = vonage_call
    dialect = VonageDialect(VonageSettings(sample_rate=rate), call_id=CALL)
    names = []
    for entry in entries:
        if entry["dir"] != "in" or entry["kind"] not in ("text", "binary"):
            continue
        if entry["kind"] == "binary":
            audio = base64.b64decode(entry["b64"])
            assert dialect.feed(audio, False) == [Media(audio)]
            continue
        message = json.loads(entry["wire"])
        [event] = dialect.feed(entry["wire"].encode(), True)
        names.append(message["event"])
        match message["event"]:
            case "websocket:connected":
                assert isinstance(event, Started)
            case "websocket:dtmf":
                assert event == Dtmf(message["digit"], message["duration"])
            case "websocket:notify":
                assert event == MarkPlayed(message["payload"]["name"])
            case "websocket:cleared":
                assert event == Cleared()
    assert len(set(names)) == 4


def test_what_we_send_is_what_the_recorded_bridge_sent(vonage_call: tuple[int, list[dict[str, Any]]]) -> None:
    rate, entries = vonage_call
    dialect = VonageDialect(VonageSettings(sample_rate=rate))
    dialect.feed(of_kind(entries, "in", "text")[0]["wire"].encode(), True)
    sent = [json.loads(entry["wire"]) for entry in of_kind(entries, "out", "text")]
    assert {message["action"] for message in sent} == {"notify", "clear"}
    for message in sent:
        ours = dialect.clear() if message["action"] == "clear" else dialect.mark(message["payload"]["name"])
        assert ours is not None
        assert json.loads(ours.data) == message


def test_the_recorded_events_are_of_the_call_and_only_the_last_ends_it(
    vonage_call: tuple[int, list[dict[str, Any]]],
) -> None:
    rate, entries = vonage_call
    told = [entry for entry in of_kind(entries, "in", "http") if entry.get("url", "").endswith("/events")]
    dialect = VonageDialect(VonageSettings(sample_rate=rate))
    reports = [dialect.read_status_webhook(webhook_of(entry)) for entry in told]
    assert reports == [
        StatusReport(CALL),
        StatusReport(CALL),
        StatusReport(CALL, (Stopped("completed"),)),
    ]


def test_a_socket_that_was_not_reached_gets_the_recorded_fallback(
    vonage_unanswered: list[dict[str, Any]],
) -> None:
    *_, event, answer = vonage_unanswered
    report = VonageDialect(SETTINGS).read_status_webhook(webhook_of(event))
    assert report == StatusReport(CALL, (Stopped("unanswered", "media_lost"),), media_lost="unanswered")
    document = VonageDialect(SETTINGS).fallback(json.loads(answer["wire"]))
    assert document.content_type == answer["headers"]["Content-Type"]
    assert json.loads(document.body) == json.loads(answer["wire"])
