"""What a supervisor and its workers agree on, in one process; as processes they are in e2e/test_workers."""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from scene import ACCOUNT, STOP, call_sid, start, stream_url
from wire import connected, nothing_left, on_both_loops, until
from workers_here import bridges, inside, supervising

from vapimedia import Bridge, Call
from vapimedia.errors import ConfigError
from vapimedia.io.config import BridgeConfig
from vapimedia.io.desk import FrontDesk, Seat, Ticket
from vapimedia.io.errands import Errand
from vapimedia.io.http_head import Head
from vapimedia.io.workers.messages import Body
from vapimedia.io.workers.process import WorkerProcess
from vapimedia.io.workers.switchboard import Switchboard
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.seen import Use


def worker_of(media_url: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(urlsplit(media_url).path.rpartition("/")[2])[:3])


@on_both_loops
async def test_calls_are_shared_out_and_found_by_their_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch) as (scene, supervisor):
        for number in (1, 2):
            url = stream_url(await scene.voice(number))
            async with scene.socket(url) as phone:
                phone.text(start(number))
                await scene.vapi.leg(number)
                owner = bridges(supervisor)[worker_of(url)]
                assert [call.call_id for call in owner.calls] == [call_sid(number)]
                snapshot = await supervisor.snapshot()
                assert [call.worker for call in snapshot.calls] == [worker_of(url)]
                assert [worker.worker for worker in snapshot.workers] == [1, 2]
                phone.text(STOP)
                assert await phone.close_code() == 1000
        ended = [sum(bridge.book.ended_by_reason.values()) for bridge in bridges(supervisor).values()]
        assert ended == [1, 1]


async def test_a_request_about_a_call_is_done_where_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch, n_workers=3) as (scene, supervisor):
        first = await scene.voice()
        owner = bridges(supervisor)[worker_of(stream_url(first))]
        for _ in range(3):
            assert (await scene.voice()).body == first.body
        told: list[object] = []
        owner.on_event(lambda call, event: told.append((call and call.id, type(event).__name__)))
        await until(lambda: owner.calls[0].vapi_call_id)
        for _ in range(3):
            await scene.vapi_webhook({"type": "hang", "call": {"id": "vapi-call-1"}})
        assert told == [(call_sid(), "Hang")] * 3
        fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(), "CallStatus": "completed"}
        assert (await scene.webhook("/twilio/status", fields)).status == 204
        await until(lambda: not owner.calls)
        assert len(scene.vapi.requests) == 1


async def test_all_workers_together_take_max_calls_and_every_seat_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with supervising(monkeypatch, max_calls=2) as (scene, supervisor):
        for _ in range(3):
            answers = await asyncio.gather(*(scene.voice(number) for number in range(1, 6)))
            assert sorted(answer.status for answer in answers) == [200, 200, 503, 503, 503]
            assert (await scene.get("/readyz")).status == 503
            for bridge in bridges(supervisor).values():
                for call in bridge.calls:
                    call.hang_up("enough")
            await until(lambda: supervisor._front.admission() is None)
            await until(lambda: supervisor._front._n_taken == 0)
        assert [worker.n_seats for worker in supervisor._roster.workers.values()] == [0, 0]
        assert supervisor._front._tickets == {} and supervisor._calls._live == {}


async def test_bare_sockets_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch, auth=False, max_calls=1) as (scene, supervisor):
        async with connected(supervisor.port) as first, connected(supervisor.port) as second:
            assert (await first.upgrade("/twilio/media")).status == 101
            assert (await second.upgrade("/twilio/media")).status == 503
        await until(lambda: supervisor._front.admission() is None)
        assert scene.vapi.requests


@on_both_loops
async def test_a_drain_waits_for_every_worker_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with nothing_left(), supervising(monkeypatch) as (scene, supervisor), scene.phone() as phone:
        draining = asyncio.create_task(supervisor.drain())
        await until(lambda: len(supervisor._roster.workers) == 1)
        assert (await scene.voice(2)).status == 503
        assert not draining.done()
        phone.text(STOP)
        assert await phone.close_code() == 1000
        phone.close()
        await draining
        await supervisor.wait_closed()


@pytest.mark.slow
async def test_a_tool_that_was_relayed_is_answered_though_its_worker_drains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def slow(call: Call | None, args: dict[str, object]) -> str:
        asked.set()
        await gate.wait()
        return "nobody's" if call is None else call.id

    async with supervising(monkeypatch) as (scene, supervisor), scene.phone() as phone:
        for bridge in bridges(supervisor).values():
            bridge.tools.add("slow", slow)
        owner = next(bridge for bridge in bridges(supervisor).values() if bridge.calls)
        await until(lambda: owner.calls[0].vapi_call_id)
        supervisor._roster.workers[owner.desk.worker].n_seats += 10  # the webhook goes to the other one
        wanted = {"id": "c1", "type": "function", "function": {"name": "slow", "arguments": {}}}
        message = {"type": "tool-calls", "toolCallList": [wanted], "call": {"id": "vapi-call-1"}}
        asking = asyncio.create_task(scene.vapi_webhook(message))
        await asked.wait()
        supervisor._roster.workers[owner.desk.worker].n_seats -= 10
        draining = asyncio.create_task(supervisor.drain())
        await asyncio.sleep(2.5)  # longer than a bridge that closes waits for requests
        gate.set()
        assert call_sid().encode() in (await asking).body
        await until(lambda: len(supervisor._roster.workers) == 1)
        phone.text(STOP)
        await phone.close_code()
        phone.close()
        await draining


async def test_a_call_that_vapi_made_too_late_leaves_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def create(_request: web.Request, _body: object) -> web.Response:
        await asyncio.sleep(0.1)
        return web.json_response(scene.vapi.answer(), status=201)

    async with supervising(monkeypatch) as (scene, supervisor):
        scene.vapi.create = create
        await scene.voice()
        await until(lambda: scene.vapi.requests)
        fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(), "CallStatus": "completed"}
        await scene.webhook("/twilio/status", fields)
        await until(lambda: scene.vapi.controls)
        assert supervisor._calls._live == {}
        assert (await scene.voice()).status == 200  # the same id is a call anew, wherever it comes
        await until(lambda: len(scene.vapi.requests) == 2)


async def test_a_bridge_in_a_program_is_one_process() -> None:
    with pytest.raises(ConfigError, match="vapimedia serve --workers"):
        await Bridge(BridgeConfig(workers=2, auth=False, vapi_api_key="k", assistant_id="a")).start()


async def test_what_a_lost_worker_had_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch, max_calls=1) as (scene, supervisor):
        url = stream_url(await scene.voice())
        await supervisor.snapshot()
        lost = supervisor._roster.workers[worker_of(url)]
        supervisor._lost(lost)
        lost.n_seats = 0
        with pytest.raises(AssertionError, match="the call of this media token is over"):
            async with scene.socket(url):
                pass
        assert supervisor._front.admission() is None
        assert (await supervisor.snapshot()).ended == {"worker_lost": 1}


async def test_a_worker_that_has_just_died_is_passed_over_before_its_end_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with supervising(monkeypatch) as (scene, supervisor):
        dead = supervisor._least_loaded()
        assert dead is not None
        with monkeypatch.context() as patch:
            patch.setattr(WorkerProcess, "has_room", property(lambda self: self is not dead))
            for _ in range(3):
                other = supervisor._least_loaded()
                assert other is not None and other is not dead
            await scene.voice()


async def test_calls_that_the_limit_of_a_drain_ends_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch, drain_s=0.05) as (scene, supervisor), scene.phone() as phone:
        live = {number for number, bridge in bridges(supervisor).items() if bridge.calls}
        (leaving,) = (worker for worker in inside(supervisor) if worker._number in live)
        leaving._leave_alone()
        assert await phone.close_code() == 1001
        phone.close()
        await until(lambda: not live & supervisor._roster.workers.keys())
        assert (await supervisor.snapshot()).ended == {"drain": 1}


async def test_totals_do_not_go_back_while_workers_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch) as (scene, supervisor):
        async with scene.phone() as phone:
            phone.text(STOP)
            assert await phone.close_code() == 1000
        before = await supervisor.snapshot()
        assert sum(before.ended.values()) == 1
        for worker in supervisor._roster.workers.values():
            worker.has_left = True
        after = await supervisor.snapshot()
        assert after.ended == before.ended and after.paths == before.paths and not after.workers


async def test_a_worker_that_ends_while_others_are_asked_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch) as (scene, supervisor):
        async with scene.phone() as phone:
            phone.text(STOP)
            assert await phone.close_code() == 1000
        ask, workers = WorkerProcess.ask, supervisor._roster.workers

        async def ask_and_lose_one(worker: WorkerProcess, body: Body) -> Body:
            answer = await ask(worker, body)
            if worker.number == 2:
                await asyncio.sleep(0.05)
                for lost in [one for one in workers.values() if one.number == 1]:
                    supervisor._lost(workers.pop(lost.number))
            return answer

        monkeypatch.setattr(WorkerProcess, "ask", ask_and_lose_one)
        lost = workers[1]
        assert sum((await supervisor.snapshot()).ended.values()) == 1
        workers[1] = lost  # it runs on, and must end


async def test_a_port_that_is_taken_is_an_error_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(monkeypatch) as (_scene, supervisor):
        with pytest.raises(ConfigError, match="choose another --host or --port"):
            async with supervising(monkeypatch, port=supervisor.port):
                pass
        with pytest.raises(ConfigError, match="choose another --admin"):
            async with supervising(monkeypatch, admin=f"127.0.0.1:{supervisor.admin_port}"):
                pass


# --- the desk ------------------------------------------------------------------------------------


def front(**changes: object) -> FrontDesk:
    values = {"vapi_api_key": "k", "assistant_id": "a", "auth": False, "max_calls": 2}
    return FrontDesk(BridgeConfig(**values | changes))  # type: ignore[arg-type]


def upgrade(desk: FrontDesk, path: str) -> object:
    return desk.judge(Head("GET", path, {}), "127.0.0.1")


def ticket(desk: FrontDesk, worker: int) -> tuple[str, Ticket]:
    token = desk.signer.issue("CA1", worker, 1e9, 3e9)
    claims = desk.signer.open(token, 2e9)
    assert not isinstance(claims, Refusal)
    return token, Ticket.of(claims, "twilio")


def test_a_ticket_lets_one_socket_in_and_names_its_worker() -> None:
    desk = front()
    token, wanted = ticket(desk, 7)
    desk.expect(wanted)
    entry = upgrade(desk, f"/twilio/media/{token}")
    assert entry.ticket.worker == 7  # type: ignore[attr-defined]
    assert upgrade(desk, f"/twilio/media/{token}") == Refusal(403, "the media token was used before")


def test_a_ticket_of_a_worker_that_is_gone_is_refused_and_another_is_not() -> None:
    desk = front()
    (old, one), (new, other) = ticket(desk, 1), ticket(desk, 2)
    desk.expect(one)
    desk.expect(other)
    desk.forget_worker(1)
    assert upgrade(desk, f"/twilio/media/{old}") == Refusal(403, "the call of this media token is over")
    assert not isinstance(upgrade(desk, f"/twilio/media/{new}"), Refusal)


def test_names_are_spent_for_all() -> None:
    desk = front()
    use = Use(b"one", 4e9)
    assert desk.spend([use]) is None
    assert desk.spend([Use(b"two", 4e9), use]) == Refusal(403, "the token was used before")


def test_a_seat_that_nobody_keeps_is_given_back() -> None:
    given: list[object] = []

    class Desk:
        def give_back(self, names: object) -> None:
            given.append(names)

    desk = Desk()
    with Seat(desk, ["twilio CA1"]):  # type: ignore[arg-type]
        pass
    with Seat(desk) as seat:  # type: ignore[arg-type]
        seat.keep()
    with pytest.raises(ZeroDivisionError), Seat(desk):  # type: ignore[arg-type]
        raise ZeroDivisionError
    assert given == [["twilio CA1"], ()]


# --- the switchboard -----------------------------------------------------------------------------


def test_a_name_is_found_while_its_call_lives_and_after_it_and_not_once_its_worker_is_gone() -> None:
    calls = Switchboard()
    calls.add(1, ["twilio a", "vapi b"])
    assert (calls.find("vapi b"), calls.find_live("vapi b"), calls.find("c")) == (1, 1, None)
    calls.retire(1, ["twilio a", "vapi b"])
    assert (calls.find("vapi b"), calls.find_live("vapi b")) == (1, None)
    calls.add(2, ["twilio a"])  # the provider calls again
    assert calls.find("twilio a") == 2
    calls.forget(1)
    assert (calls.find("vapi b"), calls.find("twilio a")) == (None, 2)
    calls.remove(["twilio a"])
    assert calls.find("twilio a") is None


def test_names_of_ended_calls_are_forgotten_at_last() -> None:
    calls = Switchboard()
    for number in range(20_000):
        calls.retire(1, [f"twilio {number}"])
    assert calls.find("twilio 0") is None and calls.find("twilio 19999") == 1
    assert len(calls._old) == 10_000


def test_what_is_relayed_shows_no_secret() -> None:
    assert repr(Errand("answer", "twilio", call_id="CA1")) == "Errand('answer')"
