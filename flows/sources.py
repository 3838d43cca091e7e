"""The sources by name, and what a sync of one of them is asked to collect."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flows.answer import PageRequest, at
from flows.errors import BadPage, UnknownName
from flows.registry import load
from flows.stream import Source, Stream
from limiter import ConfigurationError
from state.canonical import canonical_json
from state.records import Collection

SOURCES, BROKEN = load()
"""Every source by name; and why a package's source cannot be used, by the name of its entry."""

if TYPE_CHECKING:

    class SourceName(enum.StrEnum):
        """The sources, for the form in the Prefect UI."""

else:
    SourceName = enum.StrEnum("SourceName", {name: name for name in SOURCES})


@dataclass(frozen=True, slots=True)
class Task:
    """One listing that a sync is asked for.

    Attributes:
        source: The vendor.
        stream: What to list.
        collection: Where it belongs in the store.
        parameters: The parameters it needs, by name.
        lineage: For the children of one parent: those parameters and the ids of their parents.
        values: What the path needs of the parent's record.
        mark: What of the parent tells that its children may have changed; None: nothing does.
    """

    source: Source
    stream: Stream
    collection: Collection
    parameters: Mapping[str, str]
    lineage: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    mark: str | None = None

    @property
    def request(self) -> PageRequest:
        """The request for its first page, before paging.

        Raises:
            BadPage: A parent does not have what the path needs.
        """
        stream, given = self.stream, {**self.values, **self.parameters, **self.lineage}
        if self.lineage:
            given["container"] = list(self.lineage.values())[-1]
        for name in _places(stream.path):
            if given.get(name, "..") in ("", ".", ".."):
                raise BadPage(f"{stream.name} needs {name!r} in its path, and {self.what} has none")
        path = _PLACE.sub(lambda place: quote(given[place[1]], safe=""), stream.path)
        return PageRequest(stream.method, path, stream.query, stream.body)

    @property
    def what(self) -> str:
        """What is listed, for messages: the stream, and of which parent."""
        return f"{self.stream.name} of {list(self.lineage.values())[-1]}" if self.lineage else self.stream.name

    @property
    def above(self) -> Task:
        """The listing of the parents."""
        assert self.stream.parent is not None, "it has a parent"
        stream = self.source.stream(self.stream.parent.stream)
        return _task(self.source, stream, self.collection.tenant, self.parameters)

    def child(self, lineage: Mapping[str, str], record: Mapping[str, Any], mark: str | None) -> Task:
        """The listing of one parent's children.

        Args:
            lineage: The parameters, and the ids of the parent and of its own parents.
            record: The parent.
            mark: See `mark`.
        """
        values = {name: at(record, name) for name in _places(self.stream.path)}
        texts = {k: str(v) for k, v in values.items() if isinstance(v, str | int) and not isinstance(v, bool)}
        collection = replace(self.collection, partition=canonical_json(lineage))
        return replace(self, collection=collection, lineage=lineage, values=texts, mark=mark)


_PLACE = re.compile(r"\{([\w.]+)\}")


def _places(path: str) -> list[str]:
    return _PLACE.findall(path)


def source_named(name: str) -> Source:
    """The source of that name.

    Raises:
        UnknownName: There is none; the message lists those there are.
    """
    if name in BROKEN:
        raise ConfigurationError(f"The source {name!r} cannot be used: {BROKEN[name]}. Nothing was sent.")
    if name not in SOURCES:
        known = tuple(sorted(SOURCES))
        raise UnknownName(
            f"There is no source {name!r}. Known: {', '.join(known)}. Nothing was sent.", name=name, known=known
        )
    return SOURCES[name]


def plan(
    source: Source, streams: Sequence[str] | None, tenant: str, parameters: Mapping[str, str] | None
) -> tuple[Task, ...]:
    """What a sync has to list.

    Args:
        source: The vendor.
        streams: Names of streams; None or none of them: all that need no parameter, and those whose parameters are
            given, but for those that are listed only on request. The parents of a stream are always listed too.
        tenant: Whose evidence.
        parameters: By name; each must be of use to a stream that is listed.

    Raises:
        ConfigurationError: An unknown stream or parameter, a parameter that is missing, or one that nothing needs.

    Example:
        >>> [task.stream.name for task in plan(SOURCES["notion"], None, "default", None)]
        ['users', 'pages', 'data_sources']
    """
    given = _canonical(source, parameters or {})
    known = tuple(stream.name for stream in source.streams)
    for name in streams or ():
        if name not in known:
            raise UnknownName(
                f"{source.title} has no stream {name!r}. Known: {', '.join(known)}. Nothing was sent.",
                name=name,
                known=known,
            )
    if streams:
        chosen = [source.stream(name) for name in streams]
    else:
        chosen = [
            stream
            for stream in source.streams
            if not stream.on_request and all(each.name in given for each in source.parameters_of(stream))
        ]
    if not chosen:
        needed = dict.fromkeys(each.name for stream in source.streams for each in source.parameters_of(stream))
        raise ConfigurationError(
            f"{source.title} lists nothing without a parameter: add {', '.join(f'--param {n}=VALUE' for n in needed)}. "
            "Nothing was sent."
        )
    chosen = list({each.name: each for stream in chosen for each in _with_parents(source, stream)}.values())
    needed_by = {each.name: stream for stream in chosen for each in source.parameters_of(stream)}
    for name, stream in needed_by.items():
        if name not in given:
            raise ConfigurationError(
                f"The stream {stream.name} of {source.title} needs --param {name}=VALUE. Nothing was sent."
            )
    for name in given:
        if name not in needed_by:
            raise ConfigurationError(
                f"No stream that was asked for needs the parameter {name!r}. Nothing was sent; drop it, or add its "
                "stream."
            )
    return tuple(_task(source, stream, tenant, given) for stream in chosen)


def _with_parents(source: Source, stream: Stream) -> list[Stream]:
    """A stream after its parents, which have to be known first."""
    above = _with_parents(source, source.stream(stream.parent.stream)) if stream.parent else []
    return [*above, stream]


def _canonical(source: Source, parameters: Mapping[str, str]) -> dict[str, str]:
    known = {each.name: each for stream in source.streams for each in stream.parameters}
    given: dict[str, str] = {}
    for name, value in parameters.items():
        if name not in known:
            raise UnknownName(
                f"{source.title} has no parameter {name!r}. Known: {', '.join(known) or 'none'}. Nothing was sent.",
                name=name,
                known=tuple(known),
            )
        try:
            given[name] = known[name].canonical(value)
            if given[name] in ("", ".", ".."):
                raise ValueError("it must name something")
        except ValueError as error:
            raise ConfigurationError(f"The parameter {name!r} cannot be used: {error}. Nothing was sent.") from None
    return given


def _task(source: Source, stream: Stream, tenant: str, given: Mapping[str, str]) -> Task:
    own = {each.name: given[each.name] for each in source.parameters_of(stream)}
    partition = canonical_json(own) if own else ""
    return Task(source, stream, Collection(source.name, stream.name, tenant, partition), own)
