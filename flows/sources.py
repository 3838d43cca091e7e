"""The sources by name, and what a sync of one of them is asked to collect."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flows.errors import UnknownName
from flows.paginators import PageRequest
from flows.stream import Source, Stream
from flows.vendors.notion import NOTION
from limiter import ConfigurationError
from state.canonical import canonical_json
from state.records import Collection

SOURCES: dict[str, Source] = {source.name: source for source in (NOTION,)}
"""Every source by name."""


class SourceName(enum.StrEnum):
    """The sources, for the form in the Prefect UI."""

    notion = "notion"


@dataclass(frozen=True, slots=True)
class Task:
    """One listing that a sync is asked for.

    Attributes:
        source: The vendor.
        stream: What to list.
        collection: Where it belongs in the store.
        parameters: The parameters it needs, by name.
    """

    source: Source
    stream: Stream
    collection: Collection
    parameters: Mapping[str, str]

    @property
    def request(self) -> PageRequest:
        """The request for its first page, before paging."""
        stream = self.stream
        path = stream.path.format(**{name: quote(value, safe="") for name, value in self.parameters.items()})
        return PageRequest(stream.method, path, stream.query, stream.body)


def source_named(name: str) -> Source:
    """The source of that name.

    Raises:
        UnknownName: There is none; the message lists those there are.
    """
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
            given.
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
        chosen = [source.stream(name) for name in dict.fromkeys(streams)]
    else:
        chosen = [stream for stream in source.streams if all(each.name in given for each in stream.parameters)]
    needed = {each.name: stream for stream in chosen for each in stream.parameters}
    for name, stream in needed.items():
        if name not in given:
            raise ConfigurationError(
                f"The stream {stream.name} of {source.title} needs --param {name}=VALUE. Nothing was sent."
            )
    for name in given:
        if name not in needed:
            raise ConfigurationError(
                f"No stream that was asked for needs the parameter {name!r}. Nothing was sent; drop it, or add its "
                "stream."
            )
    return tuple(_task(source, stream, tenant, given) for stream in chosen)


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
        except ValueError as error:
            raise ConfigurationError(f"The parameter {name!r} cannot be used: {error}. Nothing was sent.") from None
    return given


def _task(source: Source, stream: Stream, tenant: str, given: Mapping[str, str]) -> Task:
    own = {each.name: given[each.name] for each in stream.parameters}
    partition = canonical_json(own) if own else ""
    return Task(source, stream, Collection(source.name, stream.name, tenant, partition), own)
