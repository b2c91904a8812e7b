"""Recordings of calls: both legs in stereo, one WAV file a call, written by one thread beside the loop.

What the paths carry is copied into bounded memory in C (``vapimedia.media.tap``); the thread does everything else.
A call never waits for the disk: what does not fit meanwhile is silence in its recording, and counted.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from vapimedia.errors import ConfigError
from vapimedia.io.call_log import NOBODY, CallLog, plain
from vapimedia.io.config import check_folder
from vapimedia.io.pump import now_ns
from vapimedia.io.wav_file import WavFile
from vapimedia.media.tap import Tap, read_stereo
from vapimedia.session import CallSession

__all__ = ["Recorder", "Recording", "RecordingFile"]

_log = logging.getLogger("vapimedia.recording")

_PERIOD_S: Final = 0.2
_SETTLE_NS: Final = 250_000_000
"""How old audio is when it is written: by then it shows whether a pause was one, and what a barge-in has cut."""
_MAX_PARTS: Final = 8
_STALL_MS: Final = 10_000
"""What is kept of a leg while the disk does not take it."""
_LEAD_MS: Final = 60_000
"""The furthest that audio is sent ahead of its time."""
_CLOSE_S: Final = 3.0
_MAX_NAME: Final = 64
_MAX_TWINS: Final = 100


class RecordingFile(Protocol):
    """What the thread writes to (``WavFile``)."""

    path: Path

    def append(self, pcm: bytes) -> bool:
        """Return whether all of it is in the file."""

    def flush(self) -> None: ...
    def close(self) -> None: ...


OpenFile = Callable[[Path, int, int], RecordingFile]


class Recording:
    """One call's. Made on the loop; ``write`` and ``_open`` are the thread's, ``fail`` is either's."""

    def __init__(self, recorder: Recorder, session: CallSession, log: CallLog) -> None:
        self._recorder = recorder
        self.log = log
        self._session = session
        fmt = session.downlink.target  # the provider's, in both directions
        self._caller = Tap(fmt, is_live=True, max_ms=_STALL_MS)
        self._assistant = Tap(fmt, is_live=False, max_ms=_STALL_MS + _LEAD_MS)
        session.uplink.tap, session.downlink.tap = self._caller, self._assistant
        self.path: Path | None = None
        """The file; ``None`` until the call has started, and if it could not be made."""
        self._file: RecordingFile | None = None
        self._end_ns: int | None = None

    @property
    def dropped_ms(self) -> float:
        """Audio of either leg that is silence in the file, as the disk did not keep up."""
        return self._caller.dropped_ms + self._assistant.dropped_ms

    @property
    def is_finished(self) -> bool:
        """Whether its call is over."""
        return self._end_ns is not None

    def begin(self, provider: str, call_id: str) -> None:
        """The call has started: its recording runs from now on."""
        if self.path is None:
            at_ns = now_ns()
            self._caller.begin(at_ns)
            self._assistant.begin(at_ns)
            self.path = self._recorder.folder / _name(provider, call_id)
            self._recorder.add(self)

    def finish(self) -> None:
        """The call is over: nothing is heard from now on."""
        self.let_go()
        if self._end_ns is None:
            self._end_ns = now_ns()
            self._recorder.wake()

    def let_go(self) -> None:
        """Take nothing more from the call."""
        self._session.uplink.tap = self._session.downlink.tap = None

    # --- the thread ------------------------------------------------------------------------------

    def write(self, at_ns: int) -> bool:
        """Write what is settled by *at_ns*; return whether there is more to come."""
        end_ns = self._end_ns
        until_ns = at_ns - _SETTLE_NS if end_ns is None else end_ns
        try:
            if self._file is None:
                self._file = self._open()
            while pcm := read_stereo(self._caller, self._assistant, until_ns):
                if not self._file.append(pcm):
                    return self.fail()  # the file has told why
            self._file.flush()
        except (ConfigError, OSError) as error:
            self.log.fault("recording_ended", "the recording has ended: %s", plain(str(error)))
            return self.fail()
        if end_ns is not None:
            self._file.close()
        return end_ns is None

    def _open(self) -> RecordingFile:
        path = first = self.path or self._recorder.folder
        for number in range(2, _MAX_TWINS):
            try:
                file = self._recorder.open_file(path, self._caller.fmt.sample_rate, 2)
            except ConfigError:
                if not path.exists():
                    raise
                # Another call's, perhaps of another worker's: to look first would leave a moment between.
                path = first.with_stem(f"{first.stem}-{number}")
            else:
                self.path = path
                return file
        raise ConfigError(f"{first} and its twins exist already")

    def fail(self) -> bool:
        """Give it up, the call goes on; return ``False``, as ``write`` does."""
        if self._file is not None:
            self._file.close()
        else:
            self.path = None  # nobody is to look for it
        self._recorder.failed(self)
        return False


class Recorder:
    """All recordings of one bridge, and the thread that writes them, which runs while there are any.

    *count* is told ``recording_failed`` on the loop. Raises ``ConfigError`` if *folder* cannot be written to.
    """

    def __init__(self, folder: str, count: Callable[[str], None], *, open_file: OpenFile = WavFile) -> None:
        check_folder("record", folder)
        self.folder = Path(folder)
        self.open_file = open_file
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._new: list[Recording] = []
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, session: CallSession, log: CallLog = NOBODY) -> Recording:
        """Have a call recorded, once it starts. *log* is told what keeps it from that."""
        return Recording(self, session, log)

    def add(self, recording: Recording) -> None:
        """Write *recording* from now on."""
        with self._lock:
            self._new.append(recording)
            if self._thread is None:
                # A daemon: a disk that never answers must not keep the process.
                thread = threading.Thread(target=self._run, name="vapimedia-recorder", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # no room for another thread: the call goes on
                    _log.error("recordings have ended: %s", error)
                    lost, self._new = self._new, []
                    for one in lost:
                        one.fail()
                    return
                self._thread = thread
        self._wake.set()

    def wake(self) -> None:
        """A recording is to be finished."""
        self._wake.set()

    async def close(self) -> None:
        """Wait until every recording is written, a few seconds at most. They are all finished by now."""
        self._wake.set()
        until_s = time.monotonic() + _CLOSE_S
        while self._thread is not None:
            if time.monotonic() >= until_s:
                _log.error("the disk of %s does not answer: recordings lack their ends", self.folder)
                break
            await asyncio.sleep(0.01)

    # --- the thread ------------------------------------------------------------------------------

    def failed(self, recording: Recording) -> None:
        """Count a recording that ended before its call, which goes on without it."""

        def on_loop() -> None:
            recording.let_go()
            self._count("recording_failed")

        with suppress(RuntimeError):  # the loop is closed: nobody counts any more
            self._loop.call_soon_threadsafe(on_loop)

    def _run(self) -> None:
        active: list[Recording] = []
        n_turns = 0
        while True:
            # A few at a time: the loop is to find the interpreter free.
            n_parts = max(1, min(len(active), _MAX_PARTS))
            self._wake.wait(_PERIOD_S / n_parts)
            self._wake.clear()
            n_turns += 1
            with self._lock:
                active += self._new
                self._new.clear()
            due = [one for at, one in enumerate(active) if (at + n_turns) % n_parts == 0 or one.is_finished]
            done = {one for one in due if not self._write(one)}
            active = [one for one in active if one not in done]
            with self._lock:
                if not active and not self._new:
                    self._thread = None
                    return

    def _write(self, recording: Recording) -> bool:
        try:
            return recording.write(now_ns())
        except Exception as error:  # one recording's fault must not end the others
            recording.log.broke("recording_failed", error)
            return recording.fail()


def _name(provider: str, call_id: str) -> str:
    """Return a file name. Ids come from the wire; one without a letter might be a phone number."""
    call = re.sub(r"[^A-Za-z0-9_-]+", "", call_id)[:_MAX_NAME]
    if not re.search(r"[A-Za-z]", call):
        call = "call"
    start = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return f"{start}Z-{provider}-{call}.wav"
