"""An error that ended a listing, as a sentence: what happened, what was kept, what to do."""

from __future__ import annotations

import httpx

from flows.errors import CursorExpired, ListingCut, ParentsUnknown
from flows.outcome import Problem
from flows.sources import Task
from limiter import TryLater, VendorError
from limiter.redaction import leave_credentials_behind
from state.errors import StateError


def problem_of(task: Task, error: Exception) -> Problem:
    """What to say of an error.

    Args:
        task: What was listed.
        error: What ended it.
    """
    kept = "What was collected is kept"
    if isinstance(error, StateError | VendorError):
        return Problem(str(error), error.until if isinstance(error, TryLater) else 0.0)
    if isinstance(error, httpx.HTTPError):
        leave_credentials_behind(error)
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Problem(
            f"{task.source.title} could not be reached for {task.stream.name} ({said}). {kept}; run again to go on."
        )
    if isinstance(error, CursorExpired | ListingCut):
        return Problem(f"{error}. {kept}; the next run lists it from the beginning.")
    said = f"{error}. {kept}, the cursor stays where it was; run again to go on."
    return Problem(said, follows=isinstance(error, ParentsUnknown))
