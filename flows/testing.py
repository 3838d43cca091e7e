"""For tests of a source: answers as the vendor gave them, and what any source must do with them.

Example:
    >>> from flows.vendors.openai import OPENAI
    >>> pages = [
    ...     {"data": [{"id": "user-1"}, {"id": "user-2"}], "has_more": True},
    ...     {"data": [{"id": "user-3"}], "has_more": False},
    ... ]
    >>> check_source(OPENAI, {"users": pages})
    {'users': ['user-1', 'user-2', 'user-3']}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx

from flows.collect import Wanted, collect
from flows.outcome import Chunk
from flows.sources import Task, plan
from flows.stream import Source
from limiter import API_RATE_CONFIGS, ApiRateConfig, make_client_from_config
from limiter.testing import FakeClock
from state.memory import MemoryStore
from state.records import Provenance

Recorded = Any
"""An answer: the JSON of a page, or an `httpx.Response` with headers. `{base}` in a text is the API's address."""
_MOST = 200


def check_source(
    source: Source, answers: Mapping[str, Sequence[Recorded]], parameters: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Hold a source to what every source promises, against recorded answers.

    For each stream: paging ends with the last answer and asks for each page, in another way than for the one before;
    ids are unique; a listing that breaks off is said to be incomplete and buries nothing; a
    vendor that gives its first page again and again is found out. A stream with a parent needs the parent's answers
    too, and gets its own for the first parent, empty ones being enough for none.

    Args:
        source: What to check.
        answers: By stream, the pages of one listing in order.
        parameters: What the streams need.

    Returns:
        The ids by stream, to be compared with what the vendor shows.

    Raises:
        AssertionError: It does not hold; the message says what.
    """
    found = {}
    for stream, pages in answers.items():
        bench = _Bench(source, answers, parameters)
        chunk = bench.sync(stream)
        asked = bench.asked[stream]
        _must(chunk.complete, f"{stream}: the listing does not end complete: {chunk.problem and chunk.problem.message}")
        _must(len(asked) == len(pages), f"{stream}: {len(pages)} pages were recorded, {len(asked)} asked for")
        found[stream] = bench.ids(stream)
        _must(len(found[stream]) == chunk.counts.records, f"{stream}: an id names two records")
        _check_break(source, answers, parameters, stream, found[stream])
        if len(pages) > 1:
            _check_circle(source, answers, parameters, stream)
    return found


def _check_break(
    source: Source,
    answers: Mapping[str, Sequence[Recorded]],
    parameters: Mapping[str, str] | None,
    stream: str,
    before: list[str],
) -> None:
    """The vendor fails at the last page of a second sync, having dropped what was on the pages before."""
    bench = _Bench(source, answers, parameters)
    bench.sync(stream)
    bench.fails = stream, len(answers[stream])
    chunk = bench.sync(stream, full=True)
    _must(not chunk.complete and chunk.problem is not None, f"{stream}: a listing that breaks off is called complete")
    _must(bench.ids(stream) == before, f"{stream}: a listing that breaks off buries what it did not meet")


def _check_circle(
    source: Source, answers: Mapping[str, Sequence[Recorded]], parameters: Mapping[str, str] | None, stream: str
) -> None:
    bench = _Bench(source, {**answers, stream: [answers[stream][0]] * _MOST}, parameters)
    chunk = bench.sync(stream)
    told = not chunk.complete and chunk.problem is not None and len(bench.asked[stream]) < _MOST
    _must(told, f"{stream}: a vendor that gives its first page for ever is not found out")


class _Bench:
    """A vendor that gives recorded answers, and a store of its own."""

    def __init__(
        self, source: Source, answers: Mapping[str, Sequence[Recorded]], parameters: Mapping[str, str] | None
    ) -> None:
        self.source, self.answers, self.parameters = source, answers, parameters
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.config = source.preset or API_RATE_CONFIGS.get(source.name) or _nowhere(source.name)
        self.asked: dict[str, list[str]] = {}
        self.fails: tuple[str, int] | None = None
        self._runs = 0

    def sync(self, stream: str, *, full: bool = False) -> Chunk:
        """List a stream after its parents; gives what came of it."""
        self._runs += 1
        self.clock.now += 3600
        since, total = self.clock(), Chunk()
        for task in plan(self.source, [stream], "check", self.parameters):
            self.asked[task.stream.name] = []
            total = Chunk()
            for _ in range(2 * _MOST):
                chunk = self._chunk(task, Wanted(full, 20, since))
                total = replace(chunk, counts=total.counts + chunk.counts)
                if not chunk.more:
                    break
        return total

    def ids(self, stream: str) -> list[str]:
        """What there is, by id."""
        task = plan(self.source, [stream], "check", self.parameters)[-1]
        return sorted(version.external_id for version in self.store.evidence.current(task.collection))

    def _chunk(self, task: Task, wanted: Wanted) -> Chunk:
        transport = httpx.MockTransport(self._answering(task))
        with make_client_from_config(
            self.config, store=self.store, transport=transport, sleep=self.clock.sleep
        ) as client:
            where_from = Provenance(self.config.base_url, "recorded", f"check-{self._runs}")
            return collect(client, self.store, task, wanted, where_from, sleep=self.clock.sleep)

    def _answering(self, task: Task) -> Callable[[httpx.Request], httpx.Response]:
        name, asked = task.stream.name, self.asked[task.stream.name]
        pages = self.answers.get(name, ())

        def answer(request: httpx.Request) -> httpx.Response:
            way = f"{request.method} {request.url} {request.content.decode()}"
            if not asked or asked[-1] != way:  # else it is asked for again, and the answer is the same
                asked.append(way)
            if len(asked) > len(pages) or self.fails == (name, len(asked)):
                return httpx.Response(404, json={"message": "no such page was recorded"})
            return _response(pages[len(asked) - 1], self.config.base_url)

        return answer


def _response(recorded: Recorded, base_url: str) -> httpx.Response:
    if isinstance(recorded, httpx.Response):
        headers = [(name, value.replace("{base}", base_url)) for name, value in recorded.headers.multi_items()]
        return httpx.Response(recorded.status_code, headers=headers, content=recorded.content)
    return httpx.Response(200, json=_based(recorded, base_url))


def _based(value: Any, base_url: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _based(each, base_url) for key, each in value.items()}
    if isinstance(value, list):
        return [_based(each, base_url) for each in value]
    return re.sub(r"\{base\}", lambda _: base_url, value) if isinstance(value, str) else value


def _nowhere(name: str) -> ApiRateConfig:
    return ApiRateConfig(name, "https://api.invalid")


def _must(holds: object, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
