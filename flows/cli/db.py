"""`aimd db`: the database's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from flows.cli.output import Json, emit, epilog, friendly, say, table

if TYPE_CHECKING:
    from rich.table import Table

    from state.schema import SchemaStatus

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


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

    Makes the database if there is none. Every command that writes does the same by itself; this one is for those who
    want to do it at a time of their own.
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


def _emit(status: SchemaStatus, *, as_json: bool) -> None:
    shown = {"url": status.url, "exists": status.exists, "revision": status.revision, "head": status.head}
    emit(shown, as_json=as_json, table=lambda: _table(shown))


def _table(shown: dict[str, Any]) -> Table:
    return table(("database", "revision", "newest"), [(shown["url"], shown["revision"], shown["head"])])
