"""What came of a sync: counted by stream, with the reason where a listing did not end complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from state.records import Counts


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a listing could not go on.

    Attributes:
        message: One sentence: what happened, what was kept, what to do.
        retry_at: When the same would work, epoch seconds; 0.0 if waiting does not help or nobody knows.
        follows: It comes of another stream's problem, and is gone with that.
    """

    message: str
    retry_at: float = 0.0
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What it took.

    Attributes:
        requests: Requests sent, retries included.
        throttled: Those that the vendor refused for their rate.
        waited: Seconds spent waiting for the limiter, summed over everyone who waited.
    """

    requests: int = 0
    throttled: int = 0
    waited: float = 0.0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.requests + other.requests, self.throttled + other.throttled, self.waited + other.waited)

    def __sub__(self, other: Sent) -> Sent:
        return Sent(self.requests - other.requests, self.throttled - other.throttled, self.waited - other.waited)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What came of some pages.

    Attributes:
        counts: What they brought.
        sent: What it took.
        complete: The listing has ended, whole.
        problem: Why it did not go on, or None. Neither complete nor with a problem: there are more pages.
        listed: Records met by the listing so far, earlier runs included.
        expected: Records that the last complete full listing met; 0 before the first.
    """

    counts: Counts = field(default_factory=Counts)
    sent: Sent = field(default_factory=Sent)
    complete: bool = False
    problem: Problem | None = None
    listed: int = 0
    expected: int = 0

    @property
    def more(self) -> bool:
        """Whether the listing goes on."""
        return not self.complete and self.problem is None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What came of a sync.

    Attributes:
        source: The vendor.
        tenant: Whose evidence.
        streams: By stream, all its chunks together.
        sent: What it took, together.
        failure: Why the sync as a whole could not be done, or None.
    """

    source: str
    tenant: str
    streams: Mapping[str, Chunk] = field(default_factory=dict)
    failure: Problem | None = None

    @property
    def sent(self) -> Sent:
        """What it took, over all streams."""
        return sum((chunk.sent for chunk in self.streams.values()), Sent())

    @property
    def counts(self) -> Counts:
        """What it brought, over all streams."""
        return sum((chunk.counts for chunk in self.streams.values()), Counts())

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was collected."""
        return self.failure is None and all(chunk.complete for chunk in self.streams.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong, the same thing once."""
        each = [self.failure, *(chunk.problem for chunk in self.streams.values())]
        return tuple(dict.fromkeys(problem for problem in each if problem is not None))

    @property
    def retry_at(self) -> float:
        """When it is worth trying again, epoch seconds; 0.0 unless waiting is all it takes."""
        times = [problem.retry_at for problem in self.problems if not problem.follows]
        return max(times) if times and all(times) else 0.0

    @property
    def state(self) -> str:
        """`complete`, `incomplete` (said which stream and why) or `failed` (nothing could be done)."""
        if self.complete:
            return "complete"
        return "failed" if self.failure else "incomplete"

    @property
    def sentence(self) -> str:
        """The outcome for people."""
        counts = self.counts
        came = (
            f"{counts.records:,} records: {counts.new:,} new, {counts.changed:,} changed, "
            f"{counts.unchanged:,} unchanged, {counts.deleted:,} deleted"
        )
        if self.complete:
            return came
        left = [name for name, chunk in self.streams.items() if not chunk.complete]
        reasons = " ".join(problem.message for problem in self.problems)
        what = f"Not complete: {', '.join(left)}. " if left else ""
        return f"{what}{reasons} Kept: {came}."

    def with_chunk(self, stream: str, chunk: Chunk) -> SyncReport:
        """The report with what some more pages of a stream brought."""
        before = self.streams.get(stream, Chunk())
        total = replace(chunk, counts=before.counts + chunk.counts, sent=before.sent + chunk.sent)
        return replace(self, streams={**self.streams, stream: total})

    def as_json(self) -> dict[str, Any]:
        """The report as `aimd sync --json` prints it and the run's record keeps it."""
        return {
            "source": self.source,
            "tenant": self.tenant,
            "streams": {name: _stream_json(chunk) for name, chunk in self.streams.items()},
            "requests": self.sent.requests,
            "throttled": self.sent.throttled,
            "waited": round(self.sent.waited, 3),
            "state": self.state,
            "problems": [problem.message for problem in self.problems],
            "retry_at": self.retry_at,
        }


def _stream_json(chunk: Chunk) -> dict[str, Any]:
    problem = chunk.problem.message if chunk.problem else None
    return {**asdict(chunk.counts), "complete": chunk.complete, "problem": problem}


def progress(chunks: Iterable[Chunk]) -> float:
    """How far a sync is, in percent: a complete listing counts whole, one in progress by what is expected of it.

    Example:
        >>> progress([Chunk(complete=True), Chunk(listed=50, expected=200), Chunk()])
        41.7
    """
    shares = [_share(chunk) for chunk in chunks]
    return round(100 * sum(shares) / len(shares), 1) if shares else 100.0


def _share(chunk: Chunk) -> float:
    if chunk.complete:
        return 1.0
    return min(0.99, chunk.listed / chunk.expected) if chunk.expected else 0.0
