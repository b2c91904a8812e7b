"""``vapimedia listen``: hear a live call of Vapi's, see how loud it is, and keep it as a WAV file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from vapimedia.cli import options, report
from vapimedia.cli.vapi_access import call_settings
from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.protocols.vapi.call_urls import bare_url, check_monitor_url, is_url

if TYPE_CHECKING:
    from vapimedia.cli.listen_report import Levels, ListenRecord
    from vapimedia.cli.listen_sinks import Sink
    from vapimedia.io.listen import AudioChunk, Listening

__all__ = ["EPILOG", "listen"]

EPILOG = """
An id needs VAPI_API_KEY; a URL does not, but with the key it is known sooner when the call is over. Calls with
monitorPlan.listenAuthenticationEnabled need VAPI_PUBLIC_KEY. What has no flag here is a variable or a key of the TOML
file, as for serve.

Exit codes: 0 it was heard to its end, or for --seconds; 1 it was not; 2 settings; 130 Ctrl-C, which keeps the file.

Examples:

  vapimedia listen 7420f27a-30fd-4f49-a995-5549ae7cc00d -o call.wav

  vapimedia listen wss://.../listen -o - | aplay -t raw -f S16_LE -r 16000 -c 1
"""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_REFRESH_S = 0.1
_PLAIN_EVERY_S = 10.0
_FLUSH_EVERY_S = 0.5
_LATE_S = 1.0  # what the last audio of --seconds may be late
_STDOUT = Path("-")

_Refresh = Callable[[float], None]
"""Shows what there is now; the argument is the time, 0 at the end."""


@report.ends_with_exit_code
def listen(
    call: Annotated[
        str,
        typer.Argument(
            metavar="CALL", help="The call's id, or its listenUrl (quote it).", show_default=False
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="WAV file, written as the audio comes; - is raw PCM on standard output."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Let --out replace a file that exists.")
    ] = False,
    channels: Annotated[
        int, typer.Option("--channels", min=1, max=2, help="1, or 2: customer, assistant. Unless Vapi says.")
    ] = 1,
    sample_rate: Annotated[
        int, typer.Option("--sample-rate", min=1000, max=192_000, help="In Hz. Unless Vapi says.")
    ] = 16000,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.02, help="Stop this long after the first audio.")
    ] = None,
    give_up_s: Annotated[
        float, typer.Option("--give-up-s", min=0.1, help="How long to try without a connection.")
    ] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object at the end, and nothing before.")
    ] = False,
    vapi_url: options.VapiUrl = None,
    vapi_host: options.VapiHosts = None,
    config: options.ConfigFile = None,
) -> int:
    """Hear a live call: levels in the terminal, and a WAV file that plays at any moment, even if this is killed.

    Connects again while the call lives; what was missed meanwhile is silence in the file.
    """
    if out == _STDOUT and as_json:
        raise ConfigError("--json and -o - both want standard output; choose one")
    heard = bare_url(call)
    settings = call_settings(
        heard, vapi_url=vapi_url, vapi_hosts=vapi_host, file=config, url_name="listenUrl"
    )
    if is_url(heard):
        check_monitor_url(heard, "listen")
    sink = _sink(out, overwrite=overwrite)
    from vapimedia.cli.listen_report import ListenRecord  # noqa: PLC0415  loads numpy
    from vapimedia.io.loop import run  # noqa: PLC0415
    from vapimedia.io.vapi_client import VapiClient  # noqa: PLC0415  loads aiohttp

    console = report.stderr() if out == _STDOUT else report.stdout()
    # What the file's log would say is shown here; without a handler Python prints it too.
    logging.getLogger("vapimedia.io").addHandler(logging.NullHandler())
    session = _Session(sink, None if as_json else console, seconds)
    record = ListenRecord()

    async def main() -> None:
        async with VapiClient.of(settings) as client:
            listening = client.listen(heard, channels=channels, sample_rate=sample_rate, give_up_s=give_up_s)
            await session.run(listening, record)

    try:
        run(main())
    except ConfigError:
        raise
    except VapimediaError as error:
        record.error = str(error)
    finally:
        sink.close()
    return _finish(record, session, sink, console, as_json=as_json)


def _sink(out: Path | None, *, overwrite: bool) -> Sink:
    from vapimedia.cli.listen_sinks import NoSink, RawSink, WavSink  # noqa: PLC0415  loads numpy

    if out is None:
        return NoSink()
    if out == _STDOUT:
        if sys.stdout.isatty():
            raise ConfigError("-o - would fill the terminal with samples; pipe it to a player or a file")
        return RawSink(sys.stdout.fileno())
    if out.is_dir():
        raise ConfigError(f"--out: {out} is a folder; name a file in it, such as {out / 'call.wav'}")
    if out.exists() and not overwrite:
        raise ConfigError(f"--out: {out} exists already; choose another name, or pass --overwrite")
    report.check_writable(out)
    return WavSink(out, overwrite=overwrite)


class _Session:
    """One run of the command."""

    def __init__(self, sink: Sink, console: Console | None, seconds: float | None) -> None:
        from vapimedia.cli.listen_report import Levels  # noqa: PLC0415  loads numpy

        self.levels: Levels = Levels()
        self.received: list[int] = []
        self._sink, self._console, self._seconds = sink, console, seconds
        self._trouble = self._doubt = ""

    async def run(self, listening: Listening, record: ListenRecord) -> None:
        """Listen to the end; *record* tells it, whatever is raised."""
        from vapimedia.io.listen import AudioChunk, ListenEnded  # noqa: PLC0415  loads aiohttp

        loop = asyncio.get_running_loop()
        closing: list[asyncio.Task[None]] = []

        def stop(number: int = 0) -> None:
            if number:
                self.received.append(number)
            if not closing:
                closing.append(asyncio.ensure_future(listening.close()))

        for number in _SIGNALS:
            loop.add_signal_handler(number, stop, number)
        try:
            async with listening, self._showing(listening):
                async for item in listening:
                    if isinstance(item, ListenEnded):
                        record.ended = item.reason
                    elif isinstance(item, AudioChunk) and not closing:
                        if self._seconds is not None and not self.levels.channels:
                            loop.call_later(self._seconds + _LATE_S, stop)
                        if not self._take(item) or self._sink.is_broken:
                            stop()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            self._fill(record, listening)

    def _take(self, chunk: AudioChunk) -> bool:
        """Take *chunk*, or what of it is wanted; return whether more is."""
        left = (
            math.inf if self._seconds is None else round(self._seconds * chunk.sample_rate) - chunk.at_sample
        )
        if left < chunk.n_samples:
            chunk = msgspec.structs.replace(chunk, pcm=chunk.pcm[: max(0, int(left)) * 2 * chunk.channels])
        if chunk.pcm:
            self.levels.add(chunk)
            self._sink.take(chunk)
        return left > chunk.n_samples

    def _fill(self, record: ListenRecord, listening: Listening) -> None:
        stats = listening.stats
        record.duration_ms = round(self.levels.end_ms)
        record.sample_rate, record.channels = listening.sample_rate, listening.channels
        record.peak_dbfs, record.rms_dbfs = self.levels.overall()
        record.events, record.reconnects = stats.events, stats.reconnects
        record.failed_connects = stats.failed_connects
        record.gap_ms, record.dropped_ms = round(stats.gap_ms), round(stats.dropped_ms)

    # --- what is shown ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _showing(self, listening: Listening) -> AsyncIterator[None]:
        with self._display(listening) as refresh:
            ticking = asyncio.ensure_future(self._tick(listening, refresh))
            try:
                yield
            finally:
                ticking.cancel()
                await asyncio.gather(ticking, return_exceptions=True)
                refresh(0.0)

    @contextlib.contextmanager
    def _display(self, listening: Listening) -> Iterator[_Refresh]:
        from vapimedia.cli import listen_report  # noqa: PLC0415  loads numpy

        console = self._console
        if console is None:
            yield lambda _: None
        elif console.is_terminal:
            is_ascii = console.options.ascii_only
            with Live(console=console, auto_refresh=False) as live:
                yield lambda _: live.update(
                    listen_report.meter(listening, self.levels, is_ascii=is_ascii), refresh=True
                )
        else:
            told = [0.0]

            def refresh(now_s: float) -> None:
                if now_s and now_s - told[0] >= _PLAIN_EVERY_S:
                    told[0] = now_s
                    console.print(escape(listen_report.plain_line(listening, self.levels)), soft_wrap=True)

            yield refresh

    async def _tick(self, listening: Listening, refresh: _Refresh) -> None:
        from vapimedia.cli.listen_report import doubt  # noqa: PLC0415  loads numpy

        loop = asyncio.get_running_loop()
        flushed_s = loop.time()
        while True:
            await asyncio.sleep(_REFRESH_S)
            now_s = loop.time()
            refresh(now_s)
            if now_s - flushed_s >= _FLUSH_EVERY_S:
                flushed_s = now_s
                self._sink.flush()
                self._doubt = self._warn(self._doubt, doubt(listening))
                self._trouble = self._warn(self._trouble, self._sink.trouble)

    def _warn(self, before: str, text: str) -> str:
        """Print *text*, once, unless it is empty; return what was printed."""
        if text and not before:
            if self._console is not None:
                self._console.print(f"[bold yellow]warning:[/] {escape(text)}", soft_wrap=True)
            return text
        return before


def _finish(record: ListenRecord, session: _Session, sink: Sink, console: Console, *, as_json: bool) -> int:
    from vapimedia.cli.listen_sinks import WavSink  # noqa: PLC0415  loads numpy

    files = sink.files if isinstance(sink, WavSink) else []
    record.files = [str(file.path) for file in files]
    record.lost_ms = round(sink.lost_ms)
    if session.received:
        record.error = f"interrupted by {signal.Signals(session.received[0]).name}"
    elif record.error is None:
        record.error = _failure(record, sink)
    if as_json:
        typer.echo(msgspec.json.encode(record).decode())
    else:
        for file in files:
            seconds = file.n_samples / file.sample_rate
            text = f"{file.path}: {seconds:.1f} s, {file.sample_rate} Hz, {file.channels} ch"
            console.print(escape(text), soft_wrap=True)
    if session.received:
        return 128 + session.received[0]  # what a shell reports
    if record.error is not None:
        report.print_error(record.error)
    return 0 if record.error is None else report.FAILED_EXIT


def _failure(record: ListenRecord, sink: Sink) -> str | None:
    if sink.trouble:
        return sink.trouble
    if record.ended == "lost":
        return "the connection was lost, and could not be made again; the call may go on"
    if not record.duration_ms:
        return "nothing was heard: the call is over, or has not begun"
    return None
