"""Who is compared: each candidate is a command with ``{port}`` and ``{vapi_url}``, and what it needs to run."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridges.compile_epoll import CompilerMissingError, compile_epoll
from peers import MissingPeerError

__all__ = ["CANDIDATES", "OURS", "C", "Candidate", "runnable"]

_HERE = Path(__file__).parent
_WHERE = ["--port", "{port}", "--vapi-url", "{vapi_url}"]
_NPM = f"npm install --no-save --no-package-lock --prefix {_HERE} ws"

OURS, C = "vapimedia", "c"


@dataclass(frozen=True)
class Candidate:
    """*start* returns the command, none for ours, or raises ``MissingPeerError`` with what installs it.

    *carries_audio* is false for what only receives and sends.
    """

    name: str
    title: str
    start: Callable[[], list[str]]
    carries_audio: bool = True


@functools.cache
def _built() -> str:
    """Return the program; its folder goes when this process does."""
    folder = tempfile.mkdtemp(prefix="vapimedia-bridges-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        return str(compile_epoll(Path(folder)))
    except CompilerMissingError as missing:
        raise MissingPeerError(str(missing)) from None


def _c() -> list[str]:
    return [_built(), *_WHERE]


def _relay() -> list[str]:
    return [*_c(), "--relay"]


def _python(script: str, needed: Mapping[str, str]) -> Callable[[], list[str]]:
    """*needed* names what installs each module."""

    def start() -> list[str]:
        missing = sorted(name for module, name in needed.items() if importlib.util.find_spec(module) is None)
        if missing:
            raise MissingPeerError(f"{', '.join(missing)} not installed: pip install {' '.join(missing)}")
        return [sys.executable, str(_HERE / script), *_WHERE]

    return start


def _node() -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise MissingPeerError("Node is not installed: apt-get install nodejs npm")
    find = [node, "-e", "require.resolve('ws')"]
    if subprocess.run(find, cwd=_HERE, capture_output=True, check=False).returncode:
        raise MissingPeerError(f"ws is not installed: {_NPM}")
    return [node, str(_HERE / "ws_bridge.mjs"), *_WHERE]


_AUDIOOP = {"aiohttp": "aiohttp", "uvloop": "uvloop", "audioop": "audioop-lts"}
_PICOWS = {"picows": "picows", "msgspec": "msgspec"}
_WEBSOCKETS = {"websockets": "websockets"}
_FASTAPI = {"fastapi": "fastapi", "uvicorn": "uvicorn", "soxr": "soxr"}
CANDIDATES = [
    Candidate(C, "C, epoll", _c),
    Candidate("relay", "C, recv and send only", _relay, carries_audio=False),
    Candidate(OURS, "vapimedia serve", list),
    Candidate("picows", "picows in plain Python", _python("picows_bridge.py", _AUDIOOP | _PICOWS)),
    Candidate("aiohttp", "aiohttp", _python("aiohttp_bridge.py", _AUDIOOP)),
    Candidate("websockets", "websockets", _python("websockets_bridge.py", _AUDIOOP | _WEBSOCKETS)),
    Candidate(
        "fastapi", "FastAPI, soxr VHQ", _python("fastapi_bridge.py", _AUDIOOP | _WEBSOCKETS | _FASTAPI)
    ),
    Candidate("ws", "Node ws", _node),
]


def runnable(only: Iterable[str] = ()) -> tuple[list[tuple[Candidate, list[str]]], list[str]]:
    """Return the candidates that can run here with their commands, and a sentence for each that cannot."""
    wanted = set(only)
    known = {candidate.name for candidate in CANDIDATES}
    if not wanted <= known:
        raise SystemExit(
            f"no bridge is called {', '.join(sorted(wanted - known))}; there are {', '.join(sorted(known))}"
        )
    found, absent = [], []
    for candidate in CANDIDATES:
        if wanted and candidate.name not in wanted:
            continue
        try:
            found.append((candidate, candidate.start()))
        except MissingPeerError as missing:
            absent.append(f"{candidate.title} is left out: {missing}")
    return found, absent
