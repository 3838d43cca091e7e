"""`aimd sync`: one run of the sync flow, from a terminal or a script."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output import Exit, Json, emit, fail, friendly, say, table
from flows.cli.signals import as_ctrl_c

if TYPE_CHECKING:
    from rich.table import Table

    from flows.outcome import SyncReport


def sync(
    source: Annotated[str, typer.Argument(help="Whose evidence, such as notion.")],
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; may be given several times.")] = None,
    tenant: Annotated[str, typer.Option(help="On whose behalf; also whose quota.")] = "default",
    full: Annotated[bool, typer.Option("--full", help="List everything anew, so that deletions are noticed.")] = False,
    param: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="What a stream needs, such as data_source=ID.")
    ] = None,
    credentials: Annotated[
        str | None, typer.Option(metavar="BLOCK", help="A Prefect block with the credential, before the environment.")
    ] = None,
    pages_per_task: Annotated[int, typer.Option(min=1, max=1000, help="Pages a Prefect task collects.")] = 20,
    release_after: Annotated[
        float,
        typer.Option(min=1, max=86_400, metavar="SECONDS", help="Longest cooldown to wait out; after it, exit 75."),
    ] = 120.0,
    as_json: Json = False,
) -> None:
    """Collect a source's evidence at the rate that was learned, from where the last run stopped."""
    with friendly(as_json):
        params = _parameters(param or [])
        _check(source, stream, tenant, params, credentials)
        report, failed = _run(
            source=source,
            streams=stream or None,
            tenant=tenant,
            full=full,
            params=params,
            credentials=credentials,
            pages_per_task=pages_per_task,
            release_after=release_after,
        )
        emit(report.as_json(), as_json=as_json, table=lambda: _table(report))
        for problem in report.problems:
            say(problem.message)
        code = Exit.TRY_LATER if report.retry_at else Exit.DONE if report.complete else Exit.INCOMPLETE
        if failed:
            say(failed)
            _leave(code or Exit.INCOMPLETE)
        if code:
            raise typer.Exit(code)


def _parameters(given: list[str]) -> dict[str, str]:
    from limiter import ConfigurationError

    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--param takes KEY=VALUE, not {text!r}. Nothing was sent.")
        if name in pairs:
            raise ConfigurationError(
                f"--param {name} is given twice: {pairs[name]!r} and {value!r}. Nothing was sent; give one."
            )
        pairs[name] = value
    return pairs


def _check(
    source: str, streams: list[str] | None, tenant: str, params: dict[str, str], credentials: str | None
) -> None:
    """Find out what cannot work before ten seconds are spent on starting Prefect."""
    from flows.credentials import credential_for
    from flows.sources import plan, source_named
    from limiter import api_config
    from state.store import shared_store

    plan(source_named(source), streams, tenant, params)
    api_config(source)
    if credentials is None:
        credential_for(source)
    shared_store().evidence.runs(limit=1)


def _run(**arguments: Any) -> tuple[SyncReport, str]:
    """What came of it, and what Prefect's server made of that if it failed."""
    from flows.environment import be_quiet

    be_quiet()
    # After that Prefect gives up on its server: a restart takes five seconds, and somebody is waiting for an answer.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")
    # A temporary server takes ten seconds, on a busy machine more than the twenty that Prefect gives it.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    _check_server()
    import httpx
    from prefect.exceptions import PrefectException

    from flows.credentials import credential_for
    from flows.progress import listener, listener_for
    from flows.sync import reported
    from flows.sync import sync as flow

    reports: list[SyncReport] = []
    with listener_for() as shown, as_ctrl_c():
        listener.set(shown)
        reported.set(reports.append)
        try:
            credential_for(arguments["source"], arguments["credentials"])  # a block is on the server
            state: Any = flow(**arguments, return_state=True)
        except KeyboardInterrupt:
            fail("Stopped; what was collected is kept. Run again to go on.", Exit.INTERRUPTED)
        except (httpx.HTTPError, PrefectException) as error:
            failed = f"Prefect's server failed during the run ({type(error).__name__})"
        else:
            failed = "" if reports else f"The run ended as {state.name}: {state.message}"
    if not reports:
        fail(f"{failed}. What was collected is kept; run again to go on.")
    return reports[0], failed and f"{failed}: its UI does not show how the run ended. What was collected is kept."


def _leave(code: Exit) -> None:
    """End the process, if its server is away: Prefect would first try for minutes to tell it of each event."""
    from prefect.settings import get_current_settings

    if get_current_settings().api.url:  # a temporary one is this process's own, and has to be stopped
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)


def _check_server() -> None:
    from flows.configured_server import check_server, server_address

    address = server_address()
    if address:
        check_server(address, "unset PREFECT_API_URL to do without")
        return
    say(
        "No Prefect server is configured: starting a temporary one, which takes about ten seconds. "
        "`prefect server start` and PREFECT_API_URL=http://127.0.0.1:4200/api save them."
    )


def _table(report: SyncReport) -> Table:
    columns = ["stream", "records", "new", "changed", "unchanged", "deleted", "pages", "complete"]
    rows = [
        [
            name,
            chunk.counts.records,
            chunk.counts.new,
            chunk.counts.changed,
            chunk.counts.unchanged,
            chunk.counts.deleted,
            chunk.counts.pages,
            "yes" if chunk.complete else "no",
        ]
        for name, chunk in report.streams.items()
    ]
    sent = report.sent
    title = f"{report.source}, {report.tenant}: {sent.requests} requests, {sent.throttled} throttled"
    return table(columns, rows, title=title)
