"""What a sync shows in Prefect, as far as Prefect's server can be reached: it collects without it all the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

EVERY = 5.0
"""Seconds between two updates of a progress artifact: nobody looks more often, and each costs 35 ms."""
PAUSE = 30.0
"""Seconds until the next try once the server has not answered: whatever hangs, hangs the next tasks too."""


@contextlib.contextmanager
def tolerated(what: str) -> Iterator[None]:
    """Make a server that cannot be reached a line in the log, and at once.

    Prefect's client tries again for a minute, which is right for the state of a run and too long for a picture of it.

    Args:
        what: Is not shown then; the subject of the sentence.
    """
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        try:
            yield
        except (httpx.HTTPError, PrefectException) as error:
            get_run_logger().warning("%s is not shown: Prefect's server failed (%s).", what, _said(error))


def wait_for_server() -> None:
    """At the end of a run, give a server that is away as long to come back as the run's last state gets anyway.

    That is what Prefect's client tries for, a minute by default. Artifacts are made by clients that do not try again.
    """
    get_client(sync_client=True).api_healthcheck()  # within a run this is the run's client; it returns what it met


class ProgressArtifact:
    """A bar in the Prefect UI. A server that is away is asked again now and then.

    Args:
        key: The artifact's.
        description: What stands below the bar.
    """

    def __init__(self, key: str, description: str) -> None:
        self._id: UUID | None = None
        self._due = 0.0
        self._key = key
        self._show(0.0, description)

    def update(self, percent: float, description: str, *, last: bool = False) -> None:
        """Move the bar.

        Args:
            percent: How far it is.
            description: What stands below it.
            last: Nothing comes after this, so it is shown in any case.
        """
        if last or time.monotonic() >= self._due:
            self._show(percent, description)

    def _show(self, percent: float, description: str) -> None:
        self._due = time.monotonic() + PAUSE
        with tolerated("The progress"):
            if self._id is None:
                made = create_progress_artifact(percent, key=self._key, description=description)
                assert isinstance(made, UUID), "called from a sync flow"
                self._id = made
            else:
                update_progress_artifact(self._id, percent, description=description)
            self._due = time.monotonic() + EVERY


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
