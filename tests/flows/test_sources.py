"""What a sync is asked to collect: names, parameters, partitions."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import UnknownName
from flows.paginators import CursorPaginator
from flows.sources import SOURCES, SourceName, plan, source_named
from flows.stream import Parameter, Source, Stream
from limiter import API_RATE_CONFIGS, ConfigurationError

NOTION = SOURCES["notion"]
ID = "1f0c1d2e-aaaa-4000-8000-00000000beef"
PAGING = CursorPaginator("query", "after", "next", "more", "limit", 10)


def names(*args, **kwargs):
    return [task.stream.name for task in plan(NOTION, *args, **kwargs)]


def test_the_form_offers_every_source():
    assert {name.value for name in SourceName} == set(SOURCES)
    assert {name.name for name in SourceName} == set(SOURCES)


def test_every_source_has_a_preset_and_streams_of_different_names():
    for name, source in SOURCES.items():
        assert source.name == name
        assert name in API_RATE_CONFIGS
        assert len({stream.name for stream in source.streams}) == len(source.streams)


@pytest.mark.parametrize("stream", [stream for source in SOURCES.values() for stream in source.streams])
def test_every_stream_is_declared_without_contradiction(stream):
    assert stream.order is None or stream.watermark, "an order is of the watermark"
    assert not stream.watermark or stream.order or stream.since, "or every sync would list everything"
    assert stream.since is None or stream.watermark
    assert stream.order != "oldest first" or stream.since, "oldest first, only a filter spares what is known"
    assert stream.safe or stream.method != "GET"
    assert stream.controls
    assert not (stream.etag and stream.watermark), "an ETag takes the watermark's place"
    assert not stream.etag or stream.paginator.size_parameter, "a full page's ETag does not vouch for all"
    assert not (stream.watermark and stream.parent and stream.parent.changed), "so does what a parent tells"
    for parameter in stream.parameters:
        assert f"{{{parameter.name}}}" in stream.path


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_parents_are_streams_of_the_source(source):
    for stream in source.streams:
        if stream.parent is not None:
            assert source.stream(stream.parent.stream)


class TestNames:
    def test_an_unknown_source_is_told_those_there_are(self):
        with pytest.raises(UnknownName, match=r"no source 'noton'\. Known: .*notion") as caught:
            source_named("noton")
        assert (caught.value.name, caught.value.known) == ("noton", tuple(sorted(SOURCES)))

    def test_a_known_one_is_found(self):
        assert source_named("notion") is NOTION

    def test_an_unknown_stream_is_told_those_there_are(self):
        with pytest.raises(UnknownName, match=r"no stream 'user'\. Known: users, pages, data_sources, rows"):
            names(["users", "user"], "default", None)

    def test_an_unknown_parameter_is_told_those_there_are(self):
        with pytest.raises(UnknownName, match=r"no parameter 'database'\. Known: data_source"):
            names(None, "default", {"database": ID})

    def test_a_source_without_streams_of_that_name(self):
        assert NOTION.stream("rows").name == "rows"
        with pytest.raises(KeyError):
            NOTION.stream("row")


class TestWhatIsListed:
    @pytest.mark.parametrize("streams", [None, [], ()])
    def test_everything_that_needs_nothing(self, streams):
        assert names(streams, "default", None) == ["users", "pages", "data_sources"]

    def test_and_what_the_parameters_are_for(self):
        assert names(None, "default", {"data_source": ID}) == ["users", "pages", "data_sources", "rows"]

    def test_what_is_asked_for_once_and_in_that_order(self):
        assert names(["pages", "users", "pages"], "default", None) == ["pages", "users"]

    def test_a_stream_that_needs_a_parameter_says_so(self):
        with pytest.raises(ConfigurationError, match="rows of Notion needs --param data_source=VALUE"):
            names(["rows"], "default", None)

    def test_a_parameter_that_nothing_needs_is_a_mistake(self):
        with pytest.raises(ConfigurationError, match="needs the parameter 'data_source'"):
            names(["users"], "default", {"data_source": ID})

    @pytest.mark.parametrize("value", ["", "x", f"{ID}0", "1f0c1d2e", "https://notion.so/a"])
    def test_an_id_that_cannot_be_one_is_refused(self, value):
        with pytest.raises(ConfigurationError, match="'data_source' cannot be used: it must be a Notion id"):
            names(None, "default", {"data_source": value})


class TestPartitions:
    @given(st.uuids(), st.sampled_from([str, lambda u: u.hex, lambda u: str(u).upper(), lambda u: f" {u.hex} "]))
    def test_every_way_to_write_an_id_is_one_partition(self, number, write):
        [task] = plan(NOTION, ["rows"], "default", {"data_source": write(number)})
        assert task.collection.partition == f'{{"data_source":"{number}"}}'
        assert task.request.path == f"/data_sources/{number}/query"

    def test_two_data_sources_are_two(self):
        one, two = (plan(NOTION, ["rows"], "t", {"data_source": str(uuid.UUID(int=n))})[0] for n in (1, 2))
        assert one.collection != two.collection

    def test_a_stream_without_parameters_has_none_whatever_is_given(self):
        tasks = plan(NOTION, None, "acme", {"data_source": ID})
        assert [task.collection.partition == "" for task in tasks] == [True, True, True, False]
        assert {task.collection.tenant for task in tasks} == {"acme"}
        assert all(task.parameters == {} for task in tasks[:3])

    def test_a_value_cannot_leave_its_place_in_the_path(self):
        things = Stream("things", "GET", "/of/{owner}/things", PAGING, parameters=(Parameter("owner"),))
        [task] = plan(Source("acme", "Acme", (things,)), None, "t", {"owner": "../a?b=1#{c}"})
        assert task.request.path == "/of/..%2Fa%3Fb%3D1%23%7Bc%7D/things"
