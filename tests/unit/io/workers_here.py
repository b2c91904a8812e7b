"""A supervisor and its workers in one process: the same code, without the cost of starting any."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scene import Scene, Vapi, settings

from vapimedia import Bridge
from vapimedia.io.workers.channel import Channel
from vapimedia.io.workers.messages import Setup
from vapimedia.io.workers.process import WorkerProcess
from vapimedia.io.workers.supervisor import Supervisor
from vapimedia.io.workers.worker import Worker


class WorkerHere(WorkerProcess):
    """A worker that runs as a task."""

    inside: Worker

    async def start(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, self._hear, self._answer, self._silent.set)
        self._channel.tell(setup)
        self.inside = Worker(theirs)
        task = asyncio.create_task(self.inside.serve())
        process = SimpleNamespace(wait=lambda: task, returncode=0)
        self._reaper = asyncio.create_task(self._reap(cast(Any, process)))


@asynccontextmanager
async def supervising(
    monkeypatch: pytest.MonkeyPatch, n_workers: int = 2, **changes: Any
) -> AsyncIterator[tuple[Scene, Supervisor]]:
    """A supervisor of *n_workers*, and the phone and Vapi of ``scene``."""
    monkeypatch.setattr("vapimedia.io.workers.supervisor.WorkerProcess", WorkerHere)
    vapi = Vapi()
    async with vapi.serving():
        supervisor = Supervisor(settings(vapi, workers=n_workers, **changes))
        await supervisor.start()
        bridge = SimpleNamespace(port=supervisor.port, admin_port=supervisor.admin_port)
        try:
            yield Scene(cast(Bridge, bridge), vapi), supervisor
        finally:
            await supervisor.close()


def inside(supervisor: Supervisor) -> list[Worker]:
    """The workers, as they see themselves."""
    return [worker.inside for worker in cast(dict[int, WorkerHere], supervisor._roster.workers).values()]


def bridges(supervisor: Supervisor) -> dict[int, Bridge]:
    """The bridge of each worker."""
    return {worker._number: worker.bridge for worker in inside(supervisor)}
