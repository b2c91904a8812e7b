"""The fake Vapi asks a bridge: an example's handlers answer, however the webhooks prove themselves."""

from __future__ import annotations

import asyncio
import base64
import runpy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scene import SECRET, running
from wire import until

from vapimedia import Bridge, Call
from vapimedia.protocols.vapi import TransferDestinationRequest, TransferReply
from vapimedia.testing import FakeVapi
from vapimedia.testing.vapi_auth import BearerAuth, HmacAuth, SecretAuth, WebhookAuth

EXAMPLE = Path(__file__).parents[2] / "examples" / "front_office.py"
DATA = Path(__file__).parents[1] / "data" / "vapi"
ASKED = {
    "assistant-request": {"assistantId": "your-assistant-id"},
    "transfer-destination-request": {
        "destination": {"type": "number", "number": "+15005550001", "message": "One moment please."}
    },
    "handoff-destination-request": {
        "destination": {"type": "assistant", "assistantId": "your-other-assistant-id"}
    },
    "knowledge-base-request": {
        "documents": [{"content": "The store is open from 9 to 18.", "similarity": 0.9}]
    },
    "call.endpointing.request": {"timeoutSeconds": 0.7},
    "campaign.predial": {"eligible": False},
    "phone-call-control.hang-up": {},
}
BASE64 = base64.b64encode(SECRET.encode()).decode()


def example() -> Bridge:
    bridge = runpy.run_path(str(EXAMPLE))["bridge"]
    assert isinstance(bridge, Bridge)
    return bridge


def message_of(type_: str) -> dict[str, Any]:
    message: dict[str, Any] = msgspec.json.decode((DATA / f"{type_}.json").read_bytes())
    return dict(message.get("message", message))


@asynccontextmanager
async def asking(bridge: Bridge | None = None, **settings: Any) -> AsyncIterator[tuple[FakeVapi, Bridge]]:
    async with running(**settings) as scene, FakeVapi() as vapi:
        vapi.server_url = f"http://127.0.0.1:{scene.bridge.port}/vapi/webhook"
        if bridge is not None:
            scene.bridge.handlers._handlers |= bridge.handlers._handlers
        yield vapi, scene.bridge


async def test_the_examples_handlers_answer_all_that_vapi_asks() -> None:
    async with asking(example()) as (vapi, bridge):
        for type_, expected in ASKED.items():
            post = await vapi.post(message_of(type_), auth=SecretAuth(SECRET))
            assert (post.status, post.json, post.problems) == (200, expected, [])
        await until(lambda: bridge.counters["phone_call_control_lost"] == 1)
        assert sum(bridge.counters.values()) == 1


@pytest.mark.parametrize("type_", ASKED)
async def test_what_goes_out_without_a_handler_is_an_answer_that_vapi_takes(type_: str) -> None:
    async with asking() as (vapi, _):
        post = await vapi.post(message_of(type_), auth=SecretAuth(SECRET))
        assert (post.status, post.problems) == (200, [])


FORMS: list[tuple[WebhookAuth, dict[str, Any]]] = [
    (SecretAuth(SECRET), {"vapi_webhook_auth": "secret"}),
    (BearerAuth(SECRET), {"vapi_webhook_auth": "bearer"}),
    (
        BearerAuth(SECRET, "X-Vapi-Secret", prefix=False),
        {"vapi_webhook_bearer_header": "X-Vapi-Secret", "vapi_webhook_bearer_prefix": ""},
    ),
    (HmacAuth(SECRET), {"vapi_webhook_auth": "hmac"}),
    (HmacAuth(SECRET, timestamp_unit="ms"), {}),
    (HmacAuth(SECRET, timestamp_unit="iso"), {}),
    (HmacAuth(SECRET, include_timestamp=False), {"vapi_webhook_untimed": True}),
    (
        HmacAuth(
            BASE64,
            "sha512",
            signature_header="X-Sig",
            timestamp_header="X-Time",
            signature_prefix="v1,",
            payload_format="{svix-id}.{timestamp}.{method}.{body}",
            message_id_header="webhook-id",
            encoding="base64",
            secret_is_base64=True,
        ),
        {
            "vapi_webhook_secret": BASE64,
            "vapi_webhook_secret_is_base64": True,
            "vapi_webhook_algorithm": "sha512",
            "vapi_webhook_signature_header": "X-Sig",
            "vapi_webhook_timestamp_header": "X-Time",
            "vapi_webhook_signature_prefix": "v1,",
            "vapi_webhook_payload": "{svix-id}.{timestamp}.{method}.{body}",
            "vapi_webhook_message_id_header": "webhook-id",
            "vapi_webhook_encoding": "base64",
        },
    ),
]


@pytest.mark.parametrize(("auth", "settings"), FORMS)
async def test_every_form_of_proof_is_let_in_and_the_same_with_another_key_is_not(
    auth: WebhookAuth, settings: dict[str, Any]
) -> None:
    async with asking(**settings) as (vapi, bridge):
        assert (await vapi.post({"type": "hang"}, auth=auth)).status == 200
        key = "secret" if hasattr(auth, "secret") else "token"
        forged = type(auth)(**(vars(auth) | {key: base64.b64encode(b"another secret").decode()}))
        assert (await vapi.post({"type": "hang"}, auth=forged)).status == 403
        if getattr(auth, "include_timestamp", False):
            old = type(auth)(**(vars(auth) | {"clock_skew_s": -400.0}))
            assert (await vapi.post({"type": "hang"}, auth=old)).status == 403
        assert bridge.counters["vapi_webhook_refused"] in (1, 2)


async def test_a_retry_after_vapi_stopped_waiting_joins_the_handler_that_still_runs() -> None:
    asked: list[object] = []

    async def transfer(call: Call | None, request: TransferDestinationRequest) -> TransferReply:
        asked.append(request)
        await asyncio.sleep(0.15)
        return TransferReply(error="closed today")

    own = Bridge()
    own.on_transfer(transfer)
    async with asking(own) as (vapi, bridge):
        message = message_of("transfer-destination-request")
        post = await vapi.post(message, auth=SecretAuth(SECRET), retries=5, timeout_s=0.05)
        assert post.json == {"error": "closed today"} and post.statuses[-1] == 200
        assert len(post.statuses) > 1 and len(asked) == 1
        assert 1 <= bridge.counters["webhook_repeated"] <= len(post.statuses) - 1
