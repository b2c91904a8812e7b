"""Vapi's webhooks about calls that no worker has: a repeat comes to the one that had it first."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from workers_here import bridges, supervising

from vapimedia import Call
from vapimedia.io import server_url
from vapimedia.io.errands import Reply
from vapimedia.io.workers.remote_desk import RemoteDesk
from vapimedia.io.workers.switchboard import Switchboard
from vapimedia.protocols.vapi import AssistantReply, AssistantRequest


@pytest.mark.parametrize("call", [{"id": "of-vapi"}, {}])
async def test_a_repeat_is_answered_by_the_worker_that_had_it_first(
    monkeypatch: pytest.MonkeyPatch, call: dict[str, Any]
) -> None:
    asked: list[int] = []
    async with supervising(monkeypatch, n_workers=3) as (scene, supervisor):
        for number, bridge in bridges(supervisor).items():

            async def choose(
                call: Call | None, request: AssistantRequest, number: int = number
            ) -> AssistantReply:
                asked.append(number)
                return AssistantReply(assistant_id=f"asst_{number}")

            bridge.handlers.add("on_assistant_request", choose)
        message = {"type": "assistant-request", "timestamp": 1.0, "call": call}
        answers = [json.loads((await scene.vapi_webhook(message)).body) for _ in range(6)]
        assert len(asked) == 1 and answers == [{"assistantId": f"asst_{asked[0]}"}] * 6
        for timestamp in range(2, 8):
            await scene.vapi_webhook(message | {"timestamp": timestamp})
        assert len(asked) == 7


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "campaign.predial"}, {"eligible": False}),
        ({"type": "hang"}, {}),
        (
            {"type": "tool-calls", "toolCallList": [{"id": "t1", "name": "t"}]},
            {"results": [{"name": "t", "toolCallId": "t1", "error": "the tools did not answer in time"}]},
        ),
    ],
)
async def test_a_worker_that_stands_still_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, message: dict[str, Any], expected: dict[str, Any]
) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(server_url, "_NEWS_S", 0.01)
    monkeypatch.setattr(server_url, "_RELAY_S", 0.0)
    monkeypatch.setattr(RemoteDesk, "relay", never)
    async with supervising(monkeypatch, webhook_timeout_s=0.01, tool_timeout_s=0.01) as (scene, supervisor):
        answer = await scene.vapi_webhook(message | {"timestamp": 1.0, "call": {"id": "of-vapi"}})
        assert (answer.status, json.loads(answer.body)) == (200, expected)
        assert sum(bridge.counters["relay_late"] for bridge in bridges(supervisor).values()) == 1


async def test_a_worker_that_dies_at_it_leaves_nobody_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(*_: object) -> Reply:
        return Reply(503)

    monkeypatch.setattr(RemoteDesk, "relay", gone)
    error = {"name": "t", "toolCallId": "t1", "error": "the tools did not answer in time"}
    async with supervising(monkeypatch) as (scene, supervisor):
        for message, expected in (
            ({"type": "campaign.predial"}, {"eligible": False}),
            ({"type": "tool-calls", "toolCallList": [{"id": "t1", "name": "t"}]}, {"results": [error]}),
        ):
            answer = await scene.vapi_webhook(message | {"timestamp": 1.0, "call": {"id": "of-vapi"}})
            assert (answer.status, json.loads(answer.body)) == (200, expected)
        assert sum(bridge.counters["relay_lost"] for bridge in bridges(supervisor).values()) == 2
        news = {"type": "hang", "timestamp": 1.0, "call": {"id": "of-vapi"}}
        assert (await scene.vapi_webhook(news)).status == 503


def test_the_first_to_ask_is_remembered_until_it_is_gone_and_for_a_while_only() -> None:
    board = Switchboard()
    assert [board.first(worker, "k") for worker in (1, 2, 1)] == [1, 1, 1]
    board.forget(1)
    assert board.first(2, "k") == 2
    for number in range(10_001):
        board.first(3, str(number))
    assert board.first(3, "k") == 3
