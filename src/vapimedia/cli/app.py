"""The tree of commands. Each lives in its own file; what it needs is loaded when it runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from vapimedia.cli import bench, control, demo, dial, fake, listen, serve, top

__all__ = ["app"]

app = typer.Typer(
    name="vapimedia",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First: [bold]vapimedia demo[/] (a whole call on this machine, no account needed).",
)
app.command("demo")(demo.demo)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("dial", epilog=dial.EPILOG)(dial.dial)
app.command("control", epilog=control.EPILOG)(control.control)
app.command("listen", epilog=listen.EPILOG)(listen.listen)
app.command("top")(top.top)
app.add_typer(bench.app, name="bench")
app.add_typer(fake.app, name="fake")


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            number = version("vapimedia")
        except PackageNotFoundError:
            number = "unknown (not installed)"
        typer.echo(f"vapimedia {number}")
        raise typer.Exit


@app.callback()
def vapimedia(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            metavar="",
            callback=_print_version,
            is_eager=True,
            help="Print the version and stop.",
        ),
    ] = False,
) -> None:
    """Bridge phone calls and Vapi: media in 20 ms frames, microseconds each, every hop measured."""
