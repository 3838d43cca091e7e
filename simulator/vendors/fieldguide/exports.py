"""Fieldguide's exports: a job that is asked for, looked at again after a moment that it names, and fetched."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from simulator.draw import iso_ms


@dataclass(slots=True)
class Job:
    """One export.

    Attributes:
        id: UUID, of the job and of what it makes.
        engagement: UUID of the engagement.
        polls: How often it is still looked at before it is complete.
        due: Epoch seconds before which nobody should look again.
    """

    id: str
    engagement: str
    polls: int
    due: float

    @property
    def complete(self) -> bool:
        """Whether the export can be fetched."""
        return self.polls <= 0

    @property
    def headers(self) -> dict[str, str]:
        """Where to look, and when: an ISO 8601 time, as the OpenAPI description has it."""
        return {"Location": f"/v1/jobs/{self.id}", "Retry-After": iso_ms(self.due + 0.000_999)}  # never before


class Jobs:
    """The exports of one simulator. Belongs to one event loop; not locked.

    Args:
        polls: How often a job is looked at before it is complete.
        delay: Seconds until it should be looked at again.
        clock: Epoch seconds.
    """

    def __init__(self, polls: int, delay: float, clock: Callable[[], float]) -> None:
        self._polls = polls
        self._delay = delay
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self.early = 0
        """How often someone looked before the time that was named."""

    def begin(self, engagement: str) -> Job:
        """Begin an export."""
        job = Job(str(uuid.uuid4()), engagement, self._polls, self._clock() + self._delay)
        self._jobs[job.id] = job
        return job

    def look(self, id: str) -> Job:
        """Look at a job; `KeyError` if there is none. One that is looked at too early does not get on."""
        job, now = self._jobs[id], self._clock()
        if job.complete:
            return job
        if now < job.due:
            self.early += 1
            return job
        job.polls -= 1
        job.due = now + self._delay
        return job

    def get(self, id: str) -> Job:
        """Return a job without looking; `KeyError` if there is none."""
        return self._jobs[id]


def binder(files: dict[str, object]) -> bytes:
    """Return a zip of JSON files, the same for the same data."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), json.dumps(content, sort_keys=True))
    return buffer.getvalue()
