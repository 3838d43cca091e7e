"""`aimd ui`: the Prefect UI on what was recorded on this machine."""

from __future__ import annotations

import contextlib
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.output import Exit, Json, emit, fail, friendly, say
from flows.cli.signals import as_ctrl_c

DEMO_HOME = Path(".aimd") / "prefect"
"""Where the demo keeps Prefect's database, from the folder in which it was started."""
PREFECT_PORT = 4200
"""Prefect's own; the addresses in its documentation have it."""


def ui(
    home: Annotated[Path | None, typer.Option(metavar="DIR", help="The PREFECT_HOME to show.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="N", help="By default 4200, or another if that is taken.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Show the Prefect UI on what the demo and local syncs recorded.

    Without --home, that is the demo's record if the current folder has one (.aimd/prefect), else your own Prefect
    home. If PREFECT_API_URL names a server, its address is printed and none is started. Ctrl-C stops the server.
    """
    from flows.prefect_server import ServerDidNotStart, free_port, is_free, prefect_server

    with friendly(as_json):
        if home is None and (address := _configured()):
            say("PREFECT_API_URL is set, so your runs are on that server and none was started here.")
            if DEMO_HOME.is_dir():
                say(f"The demo's record: aimd ui --home {DEMO_HOME}")
            _tell(address, None, open_browser, as_json=as_json)
            return
        if home is not None and not home.is_dir():
            fail(f"There is no Prefect home {home}; nothing was started. Give the folder of one.", Exit.USAGE)
        chosen = _home() if home is None else home.resolve()
        say(f"The Prefect home is {chosen}.")
        if home is None and DEMO_HOME.is_dir():
            say("That is the demo's; your own: aimd ui --home ~/.prefect")
        elif home is None:
            say(f"The demo's would be {DEMO_HOME} of the folder it ran in: aimd ui --home DIR")
        port = port or free_port(PREFECT_PORT)
        if not is_free(port):
            fail(f"Port {port} is taken, so nothing was started. Leave --port out for a free one.")
        say("Starting the server; this takes some seconds ...")
        try:
            with as_ctrl_c(), prefect_server(chosen, port=port) as server:
                _tell(server.address, chosen, open_browser, as_json=as_json)
                say("Ctrl-C stops it.")
                with contextlib.suppress(KeyboardInterrupt):
                    code = server.process.wait()
                    fail(f"The Prefect server ended by itself with code {code}; its last words are above.")
        except ServerDidNotStart as error:
            fail(str(error))


def _tell(address: str, home: Path | None, open_browser: bool, *, as_json: bool) -> None:
    if as_json:
        emit({"url": address, "home": home and str(home), "started": home is not None}, as_json=True)
    else:
        typer.echo(address)
    if open_browser and not webbrowser.open(address):
        say("There is no browser to open here.")


def _configured() -> str | None:
    """The UI's address of the server that Prefect is set to use, or None."""
    from prefect.settings import PREFECT_UI_URL

    from flows.configured_server import server_address

    api = server_address()
    return api and (PREFECT_UI_URL.value() or api.removesuffix("/").removesuffix("/api"))


def _home() -> Path:
    if DEMO_HOME.is_dir():
        return DEMO_HOME.resolve()
    from prefect.settings import PREFECT_HOME

    return Path(PREFECT_HOME.value())
