"""`aimd db`: the database's schema, and how much of the history it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output import Json, emit, epilog, friendly, say, table

if TYPE_CHECKING:
    from rich.table import Table

    from state.schema import SchemaStatus

app = typer.Typer(no_args_is_help=True, help="The database's schema and size.")


@app.command(epilog=epilog("aimd db current", "AIMD_DATABASE_URL=sqlite:///aimd.db aimd db current --json"))
def current(as_json: Json = False) -> None:
    """Show the schema's revision.

    Of the database of AIMD_DATABASE_URL, beside the newest revision that this program knows. Changes nothing.
    """
    from state.schema import status
    from state.store import default_url

    with friendly(as_json):
        found = status(default_url())
        if not found.exists:
            say(f"There is no database {found.url} yet; the first sync, or `aimd db upgrade`, makes it.")
        _emit(found, as_json=as_json)


@app.command(epilog=epilog("aimd db upgrade", codes="0 up to date, 2 the database cannot be used; it is as it was."))
def upgrade(as_json: Json = False) -> None:
    """Bring the schema up to date.

    Makes the database if there is none. Every command that opens one, but for `aimd db current`, brings its schema up
    to date by itself; this one is for those who want to do it at a time of their own.
    """
    from state.schema import status, upgrade_url
    from state.store import default_url

    with friendly(as_json):
        url = default_url()
        before = status(url)
        after = upgrade_url(url)
        if before.revision == after.revision:
            say(f"The database {after.url} was up to date.")
        else:
            say(f"The database {after.url} went from {before.revision or 'nothing'} to {after.revision}.")
        _emit(after, as_json=as_json)


@app.command(epilog=epilog("aimd db prune", "aimd db prune --days 90 --rows 10000"))
def prune(
    days: Annotated[float | None, typer.Option(min=0, help="Keep events of the last so many days.")] = None,
    rows: Annotated[int | None, typer.Option(min=0, help="Keep at most so many events of each limiter.")] = None,
    as_json: Json = False,
) -> None:
    """Let old history of the limiters go.

    By default what is older than 400 days, and what is more than 100,000 events of a limiter; that much goes by itself
    as new events come. What a limiter knows, its newest event, and all evidence stay.
    """
    from flows.cli.opening import existing_store

    with friendly(as_json), existing_store() as store:
        pruned = store.prune(days=days, rows=rows)
        say(f"{pruned:,} events went from the database {store.url}.")
        emit({"url": store.url, "pruned": pruned}, as_json=as_json, table=lambda: _pruned(store.url, pruned))


def _pruned(url: str, pruned: int) -> Table:
    return table(("database", "pruned"), [(url, pruned)])


def _emit(status: SchemaStatus, *, as_json: bool) -> None:
    shown = {"url": status.url, "exists": status.exists, "revision": status.revision, "head": status.head}
    emit(shown, as_json=as_json, table=lambda: _table(shown))


def _table(shown: dict[str, Any]) -> Table:
    return table(("database", "revision", "newest"), [(shown["url"], shown["revision"], shown["head"])])
