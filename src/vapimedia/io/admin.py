"""The admin port: metrics for Prometheus, live calls as JSON, health. Loopback unless told otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from vapimedia.io.http_port import close_after_answer
from vapimedia.io.metrics import expose
from vapimedia.io.snapshot import CallFigures, Snapshot
from vapimedia.media import HopStats, distribution

__all__ = ["Status", "WorkerStatus", "admin_app"]


class WorkerStatus(msgspec.Struct):
    """One process, as ``/status`` tells it."""

    worker: int
    pid: int
    taken_ns: int
    calls: int
    ended: int
    cpu_s: float
    memory_bytes: int | None
    loop_lag: HopStats | None
    allocated_bytes: int | None = None
    python_blocks: int = 0


class Status(msgspec.Struct):
    """What ``/status`` answers: the processes, how calls ended, and the calls that live."""

    version: str
    simd: str
    workers: list[WorkerStatus]
    ended: dict[str, int]
    calls: list[CallFigures]


def admin_app(source: Callable[[], Awaitable[Snapshot]]) -> web.Application:
    """Return the application behind the admin port. *source* is asked once for each request."""

    async def metrics(request: web.Request) -> web.Response:
        parts, content_type = expose(await source(), request.headers.get("Accept", ""))
        body = bytearray()
        for part in parts:
            body += part
            await asyncio.sleep(0)  # media has its turn
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def calls(_request: web.Request) -> web.Response:
        return _json((await source()).calls)

    async def status(_request: web.Request) -> web.Response:
        return _json(_status(await source()))

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.on_response_prepare.append(close_after_answer)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/calls", calls)
    app.router.add_get("/status", status)
    app.router.add_get("/healthz", healthz)
    return app


def _status(snapshot: Snapshot) -> Status:
    workers = [
        WorkerStatus(
            worker=one.worker,
            pid=one.pid,
            taken_ns=one.taken_ns,
            calls=one.calls,
            ended=one.ended,
            cpu_s=one.cpu_s,
            memory_bytes=one.memory_bytes,
            allocated_bytes=one.allocated_bytes,
            python_blocks=one.python_blocks,
            loop_lag=distribution.hop_of(one.loop_lag),
        )
        for one in snapshot.workers
    ]
    return Status(snapshot.version, snapshot.simd, workers, snapshot.ended, snapshot.calls)


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
