"""Who belongs to a family: every parent there is now as a task of its own, and the partitions that nobody is left for.

A parent's partition is its lineage: the parameters, and the ids of it and of its own parents by the names of their
streams, `{"org":"acme","repositories":"1296269"}`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

from flows.listing import as_time
from flows.sources import Task
from flows.stream import Record
from flows.walk import NO_MARK, Wanted
from state.canonical import canonical_json
from state.evidence import EvidenceStore
from state.records import Cursor

Lineage = Mapping[str, str]


def members(evidence: EvidenceStore, task: Task) -> Iterator[Task]:
    """A task for each parent that there is now, and for each record that is itself one."""
    parent = task.stream.parent
    assert parent is not None, "a family has a parent"
    queue: deque[tuple[Lineage, str | None]] = deque()
    for partition, external_id, record in _current(evidence, task.above):
        if _belongs(partition, task):
            lineage = {**_lineage(partition), parent.stream: external_id}
            mark = None if parent.changed is None else parent.changed(record) or NO_MARK
            yield (child := task.child(lineage, record, mark))
            queue.append((child.lineage, mark))
    if parent.nested is None:
        return
    name, inside = task.stream.name, dict[str, list[tuple[str, Record]]]()
    for partition, external_id, record in _current(evidence, task):
        if parent.nested(record):
            inside.setdefault(partition, []).append((external_id, record))
    met: set[str] = set()
    while queue:  # from the top, so that what hangs on something that is gone is not met
        above, mark = queue.popleft()
        for external_id, record in inside.get(canonical_json(above), ()):
            child = task.child({**above, name: external_id}, record, mark)
            if child.collection.partition not in met:  # a record that is said to be inside itself
                met.add(child.collection.partition)
                yield child
                queue.append((child.lineage, mark))


def orphans(evidence: EvidenceStore, task: Task) -> list[tuple[Task, Cursor]]:
    """The partitions that were listed once and whose parent is gone."""
    family = {child.collection.partition for child in members(evidence, task)}
    return [
        (replace(task, collection=replace(task.collection, partition=partition)), cursor)
        for partition, cursor in evidence.cursors(task.collection).items()
        if partition not in family and _belongs(partition, task)
    ]


def is_due(child: Task, cursor: Cursor, wanted: Wanted, now: float) -> bool:
    """Whether the children of a parent are to be listed by a sync.

    Args:
        child: The parent's children.
        cursor: Where they stand.
        wanted: How the sync goes about it.
        now: Epoch seconds.
    """
    if cursor.listing is not None:
        return True
    if wanted.since <= cursor.completed_at <= now:
        return False  # this sync has
    if child.mark is None or wanted.full:
        return True
    if child.mark == NO_MARK:  # it has no children now; whether it had decides
        return cursor.completed_at > 0 and cursor.watermark != NO_MARK
    return cursor.watermark != child.mark or _may_hide_a_change(child, cursor)


def are_all_known(evidence: EvidenceStore, task: Task, wanted: Wanted) -> bool:
    """Whether the listing of the parents, and of theirs, has ended complete in this sync."""
    above, now = task.above, evidence.now()
    if above.stream.parent is None:
        return wanted.since <= evidence.cursor(above.collection).completed_at <= now
    cursors = evidence.cursors(above.collection)
    family = members(evidence, above)
    done = not any(is_due(each, cursors.get(each.collection.partition, Cursor()), wanted, now) for each in family)
    return done and are_all_known(evidence, above, wanted)


def _may_hide_a_change(child: Task, cursor: Cursor) -> bool:
    """Where the vendor's clock is coarse, a change after the listing may carry the time of one before it."""
    if not child.stream.overlap or child.mark is None:
        return False
    try:
        return cursor.completed_at < as_time(child.mark).timestamp() + child.stream.overlap
    except (ValueError, OverflowError):
        return False


def _current(evidence: EvidenceStore, task: Task) -> Iterator[tuple[str, str, Record]]:
    for version in evidence.current(task.collection):
        record = json.loads(version.text or "null")
        if isinstance(record, Mapping):
            yield version.collection.partition, version.external_id, record


def _lineage(partition: str) -> dict[str, str]:
    found = json.loads(partition or "{}")
    return found if isinstance(found, dict) else {}


def _belongs(partition: str, task: Task) -> bool:
    """Whether a partition lies within what a task's parameters ask for."""
    lineage = _lineage(partition)
    return all(lineage.get(name) == value for name, value in task.parameters.items())
