"""What a source of evidence is: a declaration, not code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from flows.paginators import Paginator

Record = Mapping[str, Any]
Order = Literal["newest first", "oldest first"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a stream has to be told.

    Attributes:
        name: As in `--param NAME=VALUE` and in the stream's path.
        canonical: The one form of a value, since it names the partition; raises `ValueError` for one that cannot be.
        description: What it is, for people.
    """

    name: str
    canonical: Callable[[str], str] = str
    description: str = ""


def _as_it_is(record: Record) -> Record:
    return record


def _never(_: Mapping[str, Any]) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of thing that a vendor lists.

    Attributes:
        name: What it is called here.
        method: HTTP method of the listing.
        path: Relative to the base URL; `{name}` stands for a parameter.
        paginator: How to ask for the next page.
        body: JSON body of every request; None for none.
        query: Query of every request.
        records: The field that holds a page's records.
        primary_key: The field that names a record.
        watermark: The field (an ISO 8601 time) by which a later sync takes only what is new; `""`: it lists everything.
        order: How the vendor sorts by the watermark. Newest first: the listing ends at what is known.
        since: What to merge into the body to get only records from a time on (ISO 8601); None if it cannot be asked.
        overlap: Seconds before the watermark that are listed again, for a vendor whose clock is coarse.
        exhaustive: Whether a full listing meets everything, so that what it does not meet is gone. A search does not.
        safe: Whether the request only reads, whatever its method.
        parameters: The parameters it needs; together they are its partition.
        stable: Takes from a record what changes with each answer (signed links), so that the rest can be compared.
        cut: Says why an answer ends the listing before its end, or None.
        controls: What it is evidence for.
    """

    name: str
    method: str
    path: str
    paginator: Paginator
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    records: str = "results"
    primary_key: str = "id"
    watermark: str = ""
    order: Order | None = None
    since: Callable[[str], Mapping[str, Any]] | None = None
    overlap: float = 0.0
    exhaustive: bool = True
    safe: bool = True
    parameters: tuple[Parameter, ...] = ()
    stable: Callable[[Record], Record] = _as_it_is
    cut: Callable[[Mapping[str, Any]], str | None] = _never
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A vendor that evidence comes from.

    Attributes:
        name: Also the name of its preset.
        title: As people write it.
        streams: What it lists.
        cursor_expired: Whether a refusal means that the page cursor is no longer accepted.
    """

    name: str
    title: str
    streams: tuple[Stream, ...]
    cursor_expired: Callable[[httpx.Response], bool] = lambda _: False

    def stream(self, name: str) -> Stream:
        """The stream of that name; `KeyError` if there is none."""
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(name)
