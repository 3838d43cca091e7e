"""A stream that is listed once for each of its parents: the branch protection of every repository.

The children of each parent are a partition with a cursor of its own, so a killed sync goes on where it was, and one
parent's children are never taken for missing in another's listing. For the report it is one stream, complete when the
children of every parent there is now have been listed. What stands in the way for one parent (it may not be read, its
answer is broken) is said and does not keep the others. The children of a parent that is gone are gone with it.

Parents come from the store: what the parent's own stream, which is always listed first, has brought.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from weakref import WeakKeyDictionary

from flows.errors import CollectError, ParentsLeft, ParentsUnknown, Refused
from flows.members import are_all_known, is_due, members, orphans
from flows.outcome import Chunk
from flows.sources import Task
from flows.stopping import Stopped
from flows.walk import Wanted, walk
from limiter import AimdClient
from state.evidence import EvidenceStore
from state.records import Collection, Counts, Cursor, Provenance
from state.store import Store

GONE = "gone"
"""The watermark of a partition whose parent is gone and whose records have been buried."""
IN_A_ROW = 10
"""Parents whose children cannot be had, one after the other, before the rest is not even asked for."""


@dataclass(slots=True)
class _Round:
    """How far one sync has come with a family in this process. A fresh one finds out from the store.

    Attributes:
        run: The sync.
        pending: Whose children are still to be listed.
        met: The partitions that are or were pending. The clock does not tell, since it may be set back.
        failed: Why they cannot be listed, by partition.
        in_a_row: How many since the last that could.
        listed: Records met.
        expected: Records met by the last complete listings of all.
    """

    run: str
    pending: deque[Task] = field(default_factory=deque)
    met: set[str] = field(default_factory=set)
    failed: dict[str, CollectError] = field(default_factory=dict)
    in_a_row: int = 0
    listed: int = 0
    expected: int = 0


_rounds: WeakKeyDictionary[EvidenceStore, dict[Collection, _Round]] = WeakKeyDictionary()


def walk_family(
    client: AimdClient,
    store: Store,
    task: Task,
    wanted: Wanted,
    provenance: Provenance,
    sleep: Callable[[float], None],
) -> Iterator[Chunk]:
    """As `flows.walk.walk`, for a stream that has a parent.

    Raises:
        ParentsLeft: Some parents' children could not be listed.
        ParentsUnknown: Not all parents are known.
        Exception: As `walk`.
    """
    sleep(0.0)  # where a sync that is stopped ends before it looks for parents
    evidence, counts = store.evidence, Counts()
    round_ = _round_of(evidence, task, provenance.run_id)
    begun_with = round_.listed
    while _fill(round_, evidence, task, wanted):
        while round_.pending:
            child, done = round_.pending[0], Chunk()
            try:
                while not done.complete:  # one that an earlier run began is listed again
                    left, before = wanted.pages - counts.pages, counts
                    if left <= 0:
                        return
                    for done in walk(client, store, child, replace(wanted, pages=left), provenance, sleep):
                        counts = before + done.counts
                        round_.listed = begun_with + counts.records
                        yield Chunk(counts, listed=round_.listed, expected=round_.expected)
                round_.in_a_row = 0
            except CollectError as error:
                _note(round_, evidence, task, child, error)
            round_.pending.popleft()
    for child, cursor in orphans(evidence, task):
        counts += _bury(evidence, child, cursor, provenance)
    known = are_all_known(evidence, task, wanted)
    yield Chunk(counts, complete=known and not round_.failed, listed=round_.listed, expected=round_.listed)
    if round_.failed:
        raise _left(task, round_)
    if not known:
        raise ParentsUnknown(
            f"{task.source.title} was asked for {task.stream.name} only of those {task.above.stream.name} that are "
            "known, since their own listing did not end complete"
        )


def _round_of(evidence: EvidenceStore, task: Task, run: str) -> _Round:
    rounds = _rounds.setdefault(evidence, {})
    round_ = rounds.get(task.collection)
    if round_ is None or round_.run != run:
        round_ = rounds[task.collection] = _Round(run)
    return round_


def _fill(round_: _Round, evidence: EvidenceStore, task: Task, wanted: Wanted) -> bool:
    """Find whose children are to be listed, unless that is known; whether there are any."""
    if round_.pending:
        return True
    now, cursors = evidence.now(), evidence.cursors(task.collection)
    family = [(child, cursors.get(child.collection.partition, Cursor())) for child in members(evidence, task)]
    round_.expected = sum(cursor.expected for _, cursor in family)
    due = [
        (child, cursor)
        for child, cursor in family
        if child.collection.partition not in round_.met and is_due(child, cursor, wanted, now)
    ]
    round_.pending.extend(_in_turn(due))
    round_.met.update(child.collection.partition for child in round_.pending)
    return bool(due)


def _in_turn(due: list[tuple[Task, Cursor]]) -> Iterator[Task]:
    """What is half done first, then what was listed longest ago: a sync that is always killed gets round, too.

    What could be had the last time stands between what could not and what nobody has asked for: so refusals in a row
    keep from a sync nothing that it can have, and it asks for little more that is refused than for what is not.
    """
    half_done, had, others = list[Task](), list[Task](), list[Task]()
    for child, cursor in sorted(due, key=lambda each: _last_tried(each[1])):
        if _is_half_done(cursor):
            half_done.append(child)
        elif cursor.listing is None and cursor.completed_at:
            had.append(child)
        else:
            others.append(child)
    yield from half_done
    yield from (child for pair in zip_longest(others, had) for child in pair if child is not None)


def _last_tried(cursor: Cursor) -> float:
    return cursor.completed_at if cursor.listing is None else cursor.listing.began_at


def _is_half_done(cursor: Cursor) -> bool:
    return cursor.listing is not None and cursor.listing.pages > 0


def _note(round_: _Round, evidence: EvidenceStore, task: Task, child: Task, error: CollectError) -> None:
    """Keep why a parent's children cannot be had, unless it concerns all of them."""
    if isinstance(error, Stopped) or (isinstance(error, Refused) and error.status == 401):
        raise error
    round_.failed[child.collection.partition] = error
    if _is_half_done(evidence.cursor(child.collection)):  # some could be had, which says nothing of the others
        return
    round_.in_a_row += 1
    if round_.in_a_row >= IN_A_ROW:
        failed = _left(task, round_)
        round_.in_a_row = 0
        raise ParentsLeft(f"{failed}; after {IN_A_ROW} in a row the rest was not asked for") from error


def _left(task: Task, round_: _Round) -> ParentsLeft:
    first, count = next(iter(round_.failed.values())), len(round_.failed)
    others = f" (and {count - 1:,} more of {task.above.stream.name} failed)" if count > 1 else ""
    return ParentsLeft(f"{first}{others}")


def _bury(evidence: EvidenceStore, child: Task, cursor: Cursor, provenance: Provenance) -> Counts:
    """Bury the children of a parent that is gone: as an empty listing that ended complete would."""
    if (cursor.watermark == GONE and cursor.listing is None) or not child.stream.exhaustive:
        return Counts()
    cursor = evidence.begin_listing(child.collection, full=True)
    if cursor.listing is not None and cursor.listing.pages:  # what it has met would be spared
        cursor = evidence.restart_listing(child.collection, cursor.listing)
    assert cursor.listing is not None, "a listing was begun"
    listing = cursor.listing
    ended = replace(listing, candidate=GONE)
    counts, _ = evidence.commit_page(
        child.collection, [], provenance, before=listing, after=ended, ends=True, buries=True
    )
    return replace(counts, pages=0)
