"""Vapi's webhooks about calls that no worker has: a repeat comes to the one that had it first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from workers_here import bridges, supervising

from vapimedia import Call
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


def test_the_first_to_ask_is_remembered_until_it_is_gone_and_for_a_while_only() -> None:
    board = Switchboard()
    assert [board.first(worker, "k") for worker in (1, 2, 1)] == [1, 1, 1]
    board.forget(1)
    assert board.first(2, "k") == 2
    for number in range(10_001):
        board.first(3, str(number))
    assert board.first(3, "k") == 3
