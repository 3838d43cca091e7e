"""The command line: `aimd`. Commands import what is heavy when they run, so that `--help` answers at once."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from flows.cli import db, demo, evidence, limiter, presets, simulator, sync, ui
from flows.cli.output import Exit, emit, epilog, say

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help as plain text, the same on a terminal and in a pipe
    epilog=epilog(
        "aimd demo",
        "NOTION_TOKEN=... aimd sync notion",
        "aimd limiter show notion",
        codes="0 done, 1 could not do all of it, 2 wrong usage or configuration, 75 try later.",
    ),
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from state import __version__

        typer.echo(f"aimd {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Collect audit evidence as fast as each vendor really allows, and remember how fast that is."""


app.command(
    short_help="Show the whole story on this machine.",
    epilog=epilog("aimd demo", "aimd demo --ui", codes="0 done, 1 a part of it did not work."),
)(demo.demo)
app.command(
    short_help="Collect a source's evidence.",
    epilog=epilog(
        "NOTION_TOKEN=... aimd sync notion",
        "aimd sync notion --stream users --full --json",
        "aimd sync notion --param data_source=ID",
        codes="0 all collected, 1 not all of it, 2 nothing was attempted, 75 try later; the message says more.",
    ),
)(sync.sync)
app.command(
    short_help="Run a vendor with a hidden rate limit.",
    epilog=epilog(
        "aimd simulator --policy token:rate=5,burst=5 --port 8080",
        "aimd simulator --policy fixed:count=50,window=10 --retry-after none --fault 'reset@POST /v1/search#3x2'",
        codes="0 stopped, 1 the port is taken, 2 a bad policy, fault or number.",
    ),
)(simulator.simulator)
app.command(
    short_help="Show the Prefect UI on local runs.",
    epilog=epilog(
        "aimd ui",
        "aimd ui --home ~/.prefect --port 4300 --open",
        codes="0 stopped, 1 the server could not run, 2 there is no such home.",
    ),
)(ui.ui)
for name, group in (
    ("limiter", limiter.app),
    ("evidence", evidence.app),
    ("db", db.app),
    ("presets", presets.app),
):
    app.add_typer(group, name=name)


def main() -> None:
    """Run `aimd` with the arguments of this process, and exit with one of `flows.cli.output.Exit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run `aimd`.

    Args:
        arguments: As on the command line, without the program's name.

    Returns:
        The exit code.
    """
    try:
        return app(arguments, prog_name="aimd", standalone_mode=False) or Exit.DONE
    except (typer.Abort, KeyboardInterrupt):
        say("Stopped.")
        return Exit.INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's usage errors have no public base class
            raise
        usage: Any = error
        usage.show()
        if "--json" in arguments:
            emit({"error": usage.format_message()}, as_json=True)
        return Exit.USAGE
