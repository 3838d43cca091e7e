"""What a source of evidence is: a declaration, not code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from flows.errors import BadPage
from flows.paginators import Paginator
from limiter import ApiRateConfig

Record = Mapping[str, Any]
Order = Literal["newest first", "oldest first"]
Clock = Literal["ISO 8601", "seconds", "milliseconds"]


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


@dataclass(frozen=True, slots=True)
class Job:
    """How a vendor's export is found when it is done; see `flows.jobs`.

    Attributes:
        link: Where the finished job says where its result is, as a dotted path.
        result: Where that is if it does not say; `{id}` stands for the job.
        id_field: The job's id.
    """

    link: str
    result: str
    id_field: str = "uuid"


@dataclass(frozen=True, slots=True)
class Parent:
    """What a stream is listed once for each of.

    Attributes:
        stream: Its name. It is always listed first, in the same sync.
        changed: What of a parent tells that its children may have changed; they are listed only where that differs
            from the last time. None of it: it has no children now. Without this they are listed in every sync.
        nested: Whether a record of the stream is itself a parent of more of it, as a block of blocks.
    """

    stream: str
    changed: Callable[[Record], str | None] | None = None
    nested: Callable[[Record], bool] | None = None


def _as_it_is(record: Record) -> Record:
    return record


def _never(_: Any) -> str | None:
    return None


def _no(_: httpx.Response) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of thing that a vendor lists.

    Attributes:
        name: What it is called here.
        method: HTTP method of the listing.
        path: Relative to the base URL; `{name}` stands for a parameter, for the id of the parent or of its parents (by
            the stream's name; `{container}` for whichever is the nearest), or for what the parent's record holds
            there (a dotted path).
        paginator: How to ask for the next page.
        body: JSON body of every request; None for none.
        query: Query of every request.
        records: The field that holds a page's records, as a dotted path; `""`: the answer is the list.
        one: Whether there is one record in place of a list.
        primary_key: The field that names a record, or several that do so together; dotted paths. `()`: all of it.
        watermark: The field (a time, see `clock`) by which a later sync takes only what is new; `""`: it lists
            everything.
        order: How the vendor sorts by the watermark, if it does. Newest first: the listing ends at what is known.
        clock: How the vendor writes the watermark: ISO 8601, or seconds or milliseconds of the epoch.
        since: What to merge into the body (of a GET: the query) to get only records from a time on, which is given as
            the vendor writes it; None if it cannot be asked.
        overlap: Seconds before the watermark that are listed again, for a vendor whose clock is coarse.
        exhaustive: Whether a full listing meets everything, so that what it does not meet is gone. A search does not.
        safe: Whether the request only reads, whatever its method.
        parameters: The parameters it needs besides its parent's; together they are its partition.
        parent: What it is listed for each of, if so; each parent's children are a partition.
        on_request: Whether it is listed only where it is asked for by name, since it takes many requests.
        etag: Whether the vendor tells by an ETag that a listing of one page is what it was; only without a watermark.
            The vendor must keep to the paginator's `size`: the ETag of a full page says nothing of one behind it.
        empty: Whether a refusal means that there is nothing.
        content: Where a file is that belongs to a record and is downloaded with it (see `flows.files`): the field with
            its address, or a path with `{field}`s; `""`: there is none.
        job: How the answer is waited for, where the vendor makes an export; then that is the one record.
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
    one: bool = False
    primary_key: str | tuple[str, ...] = "id"
    watermark: str = ""
    clock: Clock = "ISO 8601"
    order: Order | None = None
    since: Callable[[str], Mapping[str, Any]] | None = None
    overlap: float = 0.0
    exhaustive: bool = True
    safe: bool = True
    parameters: tuple[Parameter, ...] = ()
    parent: Parent | None = None
    on_request: bool = False
    etag: bool = False
    empty: Callable[[httpx.Response], bool] = _no
    content: str = ""
    job: Job | None = None
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
        preset: Its preset, if it brings one of its own.
        cursor_expired: Whether a refusal means that the page cursor is no longer accepted.
        refusal: Says why an answer that looks fine by its status refuses all the same, or None.
    """

    name: str
    title: str
    streams: tuple[Stream, ...]
    preset: ApiRateConfig | None = None
    cursor_expired: Callable[[httpx.Response], bool] = _no
    refusal: Callable[[Any], str | None] = _never

    def refuses(self, answer: Any) -> str | None:
        """Why an answer refuses in spite of its status, for good or for a while; None if it does not."""
        try:
            return self.refusal(answer)
        except BadPage as error:
            return str(error)

    def stream(self, name: str) -> Stream:
        """The stream of that name; `KeyError` if there is none."""
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(name)

    def parameters_of(self, stream: Stream) -> tuple[Parameter, ...]:
        """The parameters that a stream needs, those of its parents first."""
        above = self.parameters_of(self.stream(stream.parent.stream)) if stream.parent else ()
        return above + tuple(each for each in stream.parameters if each not in above)
