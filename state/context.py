"""Which Prefect flow run the work belongs to, for the history; set by `flows`, so that nothing here imports Prefect."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

run_id: ContextVar[str | None] = ContextVar("aimd_run_id", default=None)
"""The id of the flow run on whose behalf this thread or task works."""


@contextmanager
def of_run(flow_run: str | None) -> Iterator[None]:
    """Let what is done meanwhile belong to a flow run."""
    before = run_id.get()
    run_id.set(flow_run)
    try:
        yield
    finally:
        run_id.set(before)  # not by a token: a generator may be closed in another context than it began in
