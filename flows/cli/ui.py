"""`aimd ui`: the Prefect UI on what was recorded on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.output import Exit, Json, emit, fail, friendly, say

DEMO_HOME = Path(".aimd") / "prefect"
"""Where the demo keeps Prefect's database, from the folder in which it was started."""
PREFECT_PORT = 4200
"""Prefect's own; the addresses in its documentation have it."""
PATIENCE = 90.0
"""Seconds for the server to answer: twelve on a fast machine when it first makes its database."""


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
        port = port or _free_port()
        if not _is_free(port):
            fail(f"Port {port} is taken, so nothing was started. Leave --port out for a free one.")
        say("Starting the server; this takes some seconds ...")
        with _stopping() as asked, _server(chosen, port) as server:
            address = f"http://127.0.0.1:{port}"
            if _answers(server, address, asked):
                _tell(address, chosen, open_browser, as_json=as_json)
                say("Ctrl-C stops it.")
            while not asked() and server.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(timeout=0.2)
            if not asked():
                fail(f"The Prefect server ended by itself with code {server.returncode}; its last words are above.")


def _tell(address: str, home: Path | None, open_browser: bool, *, as_json: bool) -> None:
    if as_json:
        emit({"url": address, "home": home and str(home), "started": home is not None}, as_json=True)
    else:
        typer.echo(address)
    if open_browser and not webbrowser.open(address):
        say("There is no browser to open here.")


def _configured() -> str | None:
    """The UI's address of the server that Prefect is set to use, or None."""
    from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

    api: str | None = PREFECT_API_URL.value()
    return api and (PREFECT_UI_URL.value() or api.removesuffix("/").removesuffix("/api"))


def _home() -> Path:
    if DEMO_HOME.is_dir():
        return DEMO_HOME.resolve()
    from prefect.settings import PREFECT_HOME

    return Path(PREFECT_HOME.value())


def _environment(home: Path, port: int) -> Mapping[str, str]:
    from flows.environment import PRIVATE

    # A database or server named in the environment would be shown in place of the home's own.
    others = ("PREFECT_API_URL", "PREFECT_API_DATABASE_", "PREFECT_SERVER_DATABASE_", "PREFECT_UI_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        **PRIVATE,
        "PREFECT_HOME": str(home),
        # As settings and not as options: from these the UI learns where its API is.
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
    }


@contextlib.contextmanager
def _server(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    # A session of its own: Ctrl-C reaches this process alone, which then ends the server and all that it started.
    with subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start"],
        env=_environment(home, port),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            yield server
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(timeout=10)


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and the like, so that they end the server and not just this process."""
    numbers: list[int] = []
    watched = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda number, _: numbers.append(number)) for number in watched}
    try:
        yield lambda: bool(numbers)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(server: subprocess.Popen[bytes], address: str, asked: Callable[[], bool]) -> bool:
    """Whether the server came to answer; not if it ended, or a stop was asked for meanwhile."""
    import httpx

    deadline = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False, timeout=5) as client:
        while server.poll() is None and not asked():
            with contextlib.suppress(httpx.HTTPError):
                if client.get(f"{address}/api/health").is_success:
                    return True
            if time.monotonic() > deadline:
                fail(f"The Prefect server did not answer within {PATIENCE:g} s and was stopped.")
            time.sleep(0.1)
    return False


def _free_port() -> int:
    if _is_free(PREFECT_PORT):
        return PREFECT_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
