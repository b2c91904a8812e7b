"""The bridge under test as a process: start it, read what it costs from /proc, end it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from vapimedia.errors import VapimediaError

__all__ = ["BridgeProcess", "Meter", "command_of", "free_port"]

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_CPU_CLOCK = 2  # of a process, as the kernel numbers such clocks: ~pid << 3 | 2


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def command_of(text: str, *, port: int, vapi_url: str) -> list[str]:
    """Return the words of a command line in which ``{port}`` and ``{vapi_url}`` stand for these."""
    return [word.replace("{port}", str(port)).replace("{vapi_url}", vapi_url) for word in shlex.split(text)]


class Meter:
    """What a process and its children use. All figures are ``None`` once the process is gone."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last: dict[int, int] = {}

    def cpu_ns(self) -> int | None:
        """Return the processor time of all threads so far, ended children of before included."""
        for pid in self._tree():
            with contextlib.suppress(OSError):
                self._last[pid] = time.clock_gettime_ns((~pid << 3) | _CPU_CLOCK)
        return sum(self._last.values()) if self._pid in self._last else None

    def rss_kb(self) -> int | None:
        """Return the resident memory; what processes share is counted in each."""
        page_kb = os.sysconf("SC_PAGE_SIZE") // 1024
        sizes = []
        for pid in self._tree():
            with contextlib.suppress(OSError):
                sizes.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page_kb)
        return sum(sizes) if sizes else None

    def n_descriptors(self) -> int | None:
        """Return how many descriptors are open."""
        counts = []
        for pid in self._tree():
            with contextlib.suppress(OSError):
                counts.append(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))
        return sum(counts) if counts else None

    def _tree(self) -> list[int]:
        parents = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError, ValueError):
                    # The name, in brackets, may hold anything.
                    parents[int(folder.name)] = int(
                        (folder / "stat").read_text().rpartition(")")[2].split()[1]
                    )
        tree = [self._pid]
        for pid in tree:
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree


class BridgeProcess:
    """A context manager; inside, the bridge listens on *port*. Its output goes to a file of its own."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        environ: Mapping[str, str] | None = None,
        cpu: int | None = None,
    ) -> None:
        self._command, self._port, self._cpu = command, port, cpu
        self._environ = dict(os.environ if environ is None else environ)
        self._process: subprocess.Popen[bytes] | None = None
        self.output = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(  # noqa: S603  the command is the user's
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the parent's
            )
            if self._cpu is not None:
                os.sched_setaffinity(self._process.pid, {self._cpu})
        except OSError as error:
            self.output.close()
            raise VapimediaError(f"cannot start {self._command[0]!r}: {error.strerror}") from None
        try:
            self._wait_until_it_listens()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise VapimediaError("the bridge is not started")
        return self._process.pid

    def check(self) -> None:
        """Raise ``VapimediaError`` when the bridge has ended."""
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process is not None else None
            raise VapimediaError(f"the bridge ended by itself with exit code {code}: {self._last_words()}")

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise VapimediaError(f"the bridge does not listen on port {self._port}: {self._last_words()}")

    def _last_words(self) -> str:
        self.output.seek(0)
        # The messages of a command line stand in a box.
        said = (
            line.strip(" \t│╭╮╰╯─") for line in self.output.read().decode("utf-8", "replace").splitlines()
        )
        return next((line for line in reversed(list(said)) if line), "it said nothing")

    def _end(self) -> None:
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what is left of its group
            process.wait()
        self.output.close()
