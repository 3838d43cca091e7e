"""What a flow run did before it gave its worker back: it goes on with the rest, and does not begin anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import takewhile

from flows.outcome import Chunk
from state.records import Counts, SyncRun

WAITING = "waiting"
"""The state of a run that goes on when a cooldown has ended."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """How far a flow run has come.

    Attributes:
        since: When it began, epoch seconds. What has been listed since then need not be listed again.
        streams: What each stream has brought. Those that are complete are done.
    """

    since: float
    streams: Mapping[str, Chunk] = field(default_factory=dict)


def earlier(runs: Iterable[SyncRun], now: float) -> Earlier:
    """How far a flow run has come, from its records.

    Without this, a vendor whose quota does not suffice for a whole sync would be asked for the same first part of it
    after every cooldown. A run that ended is over: who starts it once more wants everything anew.

    Args:
        runs: Those of the flow run, newest first.
        now: Epoch seconds.

    Example:
        >>> earlier([], 1000.0)
        Earlier(since=1000.0, streams={})
    """
    waited = list(takewhile(lambda run: run.state == WAITING, runs))
    if not waited:
        return Earlier(now)
    brought = waited[0].outcome["streams"]  # which has what came before, too
    return Earlier(
        min(now, waited[-1].started_at),
        {name: Chunk(_counts(found), complete=found["complete"]) for name, found in brought.items()},
    )


def _counts(found: Mapping[str, int]) -> Counts:
    return Counts(**{each.name: found[each.name] for each in fields(Counts)})
