"""Which of a page's records are new versions: decided without any I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from state.records import Body, Counts


@dataclass(frozen=True, slots=True)
class Head:
    """The current version of one thing."""

    version: int
    sha256: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a page adds: the new versions, and how to count them."""

    versions: tuple[tuple[Body, Head], ...]
    counts: Counts


def plan(heads: Mapping[str, Head], bodies: Iterable[Body]) -> Plan:
    """Decide which of a page's records are new versions.

    Args:
        heads: The current versions of the things on the page, by external id.
        bodies: The page, in its order; a thing may stand in it twice.

    Example:
        >>> from state.canonical import body
        >>> first = body("a", {"id": "a"})
        >>> plan({}, [first, first]).counts
        Counts(records=2, new=1, changed=0, unchanged=1, deleted=0, pages=0)
    """
    known = dict(heads)
    versions: list[tuple[Body, Head]] = []
    new = changed = unchanged = 0
    for item in bodies:
        head = known.get(item.external_id)
        if head is not None and head.sha256 == item.sha256 and not head.deleted:
            unchanged += 1
            continue
        if head is None or head.deleted:
            new += 1
        else:
            changed += 1
        known[item.external_id] = Head(head.version + 1 if head else 1, item.sha256, deleted=False)
        versions.append((item, known[item.external_id]))
    return Plan(tuple(versions), Counts(new + changed + unchanged, new, changed, unchanged))
