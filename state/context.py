"""Which Prefect flow run the work belongs to, for the history; set by `flows`, so that nothing here imports Prefect."""

from contextvars import ContextVar

run_id: ContextVar[str | None] = ContextVar("aimd_run_id", default=None)
"""The id of the flow run on whose behalf this thread or task works."""
