"""What a page does to a listing: pure, so every rule is a line."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.answer import Answer
from flows.errors import BadPage
from flows.listing import Page, advance, as_text, as_time, fingerprint, floor_of, page_request, read_page
from flows.paginators import CursorPaginator, PageRequest, Whole
from flows.stream import Stream
from flows.windows import WindowPaginator
from state.records import Listing

PAGING = CursorPaginator("body", "start_cursor", "next_cursor", "has_more", "page_size", 100)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def stream(**changes):
    declared = {"name": "things", "method": "POST", "path": "/things", "paginator": PAGING, "watermark": "edited"}
    return Stream(**{**declared, **changes})


SEARCH = stream(order="newest first", overlap=60.0)
QUERY = stream(order="oldest first", overlap=60.0, since=lambda moment: {"filter": {"after": moment}})
PLAIN = stream(watermark="")


def listing(**changes):
    return Listing(**{"began_at": BEGAN.timestamp(), "full": True, **changes})


def ago(minutes):
    return BEGAN - timedelta(minutes=minutes)


def page(*minutes_ago, next_cursor=None, cut=""):
    """A page of records edited so many minutes before the listing began; None: nobody knows when."""
    times = tuple(None if each is None else ago(each) for each in minutes_ago)
    return Page(tuple((str(n), {}) for n in range(len(times))), times, next_cursor, cut)


def answer(*records, **more):
    return {"results": list(records), "has_more": False, "next_cursor": None, **more}


def read(declared, content):
    return read_page(declared, Answer(content))


class TestReadingAPage:
    def test_records_by_their_ids_in_order(self):
        page = read(PLAIN, answer({"id": "b", "x": 1}, {"id": "a"}))
        assert page.records == (("b", {"id": "b", "x": 1}), ("a", {"id": "a"}))
        assert page.times == ()
        assert page.next_cursor is None

    def test_a_number_names_a_record_too(self):
        assert read(PLAIN, answer({"id": 7})).records[0][0] == "7"

    def test_an_empty_page_is_a_page(self):
        page = read(SEARCH, answer(has_more=True, next_cursor="b"))
        assert (page.records, page.times, page.next_cursor) == ((), (), "b")

    @pytest.mark.parametrize(
        "wrong",
        [None, [], "results", 7, {}, {"has_more": False}, answer() | {"results": None}, answer() | {"results": {}}],
    )
    def test_without_a_list_of_records_it_is_no_page(self, wrong):
        with pytest.raises(BadPage, match="no list 'results'"):
            read(PLAIN, wrong)

    @pytest.mark.parametrize(
        "record", [{}, {"id": None}, {"id": ""}, {"id": True}, {"id": 1.5}, {"id": ["a"]}, None, "a", ["id"]]
    )
    def test_a_record_without_an_id_cannot_be_kept(self, record):
        with pytest.raises(BadPage, match="a record has no 'id'"):
            read(PLAIN, answer({"id": "a"}, record))

    def test_what_changes_with_each_answer_is_taken_out(self):
        tidy = stream(stable=lambda record: {"id": record["id"]})
        assert read(tidy, answer({"id": "a", "edited": "2026-01-01", "link": "?sig=1"})).records == (
            ("a", {"id": "a"}),
        )

    def test_times_are_read_before_that(self):
        tidy = stream(stable=lambda record: {"id": record["id"]})
        page = read(tidy, answer({"id": "a", "edited": "2026-03-01T11:59:00.000Z"}))
        assert page.times == (ago(1),)

    @pytest.mark.parametrize(
        "odd",
        [
            {},
            {"edited": None},
            {"edited": "yesterday"},
            {"edited": 1767225600},
            {"edited": ""},
            {"edited": "0001-01-01T00:00:00+14:00"},
            {"edited": "2026-13-01T00:00:00Z"},
        ],
    )
    def test_a_record_without_a_time_is_kept_all_the_same(self, odd):
        page = read(SEARCH, answer({"id": "a", "edited": "2026-03-01T11:59:00Z"}, {"id": "b", **odd}))
        assert [key for key, _ in page.records] == ["a", "b"]
        assert page.times == (ago(1), None)

    def test_a_cut_listing_needs_not_say_whether_there_is_more(self):
        cut = stream(cut=lambda answer: answer.get("stopped"))
        page = read(cut, {"results": [], "stopped": "too many"})
        assert (page.cut, page.next_cursor) == ("too many", None)

    def test_a_list_says_nothing_of_a_cut(self):
        listed = stream(records="", paginator=Whole(), cut=lambda answer: answer.get("stopped"))
        assert read(listed, [{"id": "a"}]).cut == ""

    def test_what_has_no_id_is_named_by_all_of_it(self):
        page = read(stream(primary_key=(), watermark=""), answer({"x": 1, "y": 2}, {"y": 2, "x": 1}, "a", None))
        names = [name for name, _ in page.records]
        assert names[0] == names[1]
        assert len(set(names)) == 3
        assert [record for _, record in page.records][2:] == ["a", None]


class TestTheFloor:
    def test_a_first_listing_wants_everything(self):
        assert floor_of(SEARCH, None, full=False) is None

    def test_a_full_listing_wants_everything(self):
        assert floor_of(SEARCH, "2026-03-01T12:00:00.000Z", full=True) is None

    def test_a_stream_without_a_watermark_wants_everything(self):
        assert floor_of(PLAIN, "2026-03-01T12:00:00.000Z", full=False) is None

    def test_what_is_newer_than_the_watermark_and_a_little_more(self):
        assert floor_of(SEARCH, "2026-03-01T12:00:00.000Z", full=False) == ago(1)

    @pytest.mark.parametrize("unreadable", ["", "soon", "0001-01-01T00:00:01Z"])
    def test_a_watermark_that_cannot_be_used_lists_everything(self, unreadable):
        assert floor_of(SEARCH, unreadable, full=False) is None


class TestTheRequest:
    first = PageRequest("POST", "/things", {}, {"sort": "edited"})

    def test_only_what_is_new_is_asked_for_on_every_page(self):
        for cursor in (None, "c"):
            asked = page_request(QUERY, self.first, listing(full=False, page_cursor=cursor), ago(1))
            assert asked.body["filter"] == {"after": "2026-03-01T11:59:00.000Z"}
            assert asked.body["sort"] == "edited"
            assert asked.body.get("start_cursor") == cursor

    def test_everything_is_asked_for_without_a_floor(self):
        assert "filter" not in page_request(QUERY, self.first, listing(), None).body

    def test_a_vendor_that_cannot_be_asked_is_not(self):
        assert page_request(SEARCH, self.first, listing(full=False), ago(1)).body == {
            "sort": "edited",
            "page_size": 100,
        }


class TestTheEnd:
    def test_the_last_page(self):
        assert not advance(SEARCH, listing(), page(1, next_cursor="b"), None).ends
        assert advance(SEARCH, listing(), page(1), None).ends

    def test_counts_go_on(self):
        after = advance(SEARCH, listing(pages=2, records=200), page(1, 2, 3, next_cursor="d"), None).listing
        assert (after.pages, after.records, after.page_cursor) == (3, 203, "d")

    def test_newest_first_ends_at_what_is_known(self):
        known = advance(SEARCH, listing(full=False), page(1, 5, 11, next_cursor="b"), ago(10))
        assert known.ends

    def test_but_not_before(self):
        assert not advance(SEARCH, listing(full=False), page(1, 5, 10, next_cursor="b"), ago(10)).ends

    def test_nor_in_a_full_listing(self):
        assert not advance(SEARCH, listing(), page(1, 5, 1000, next_cursor="b"), None).ends

    def test_oldest_first_never_ends_early(self):
        assert not advance(QUERY, listing(full=False), page(1000, next_cursor="b"), ago(10)).ends

    @pytest.mark.parametrize(
        "times", [(1000, 1, 1000), (5, 1000, 2, 1000), (None, 1000), (1, None, 1000), (1000, None)]
    )
    def test_a_page_out_of_order_says_nothing_of_the_pages_after_it(self, times):
        assert not advance(SEARCH, listing(full=False), page(*times, next_cursor="b"), ago(10)).ends

    def test_an_empty_page_is_not_the_end(self):
        assert not advance(SEARCH, listing(full=False), page(next_cursor="b"), ago(10)).ends

    def test_a_listing_cut_short_does_not_end(self):
        step = advance(QUERY, listing(records=9900), page(3, 2, cut="limit reached"), None)
        assert not step.ends
        assert "limit reached" in step.broken

    def test_unless_it_was_through_with_what_is_new(self):
        step = advance(SEARCH, listing(full=False), page(1, 1000, cut="limit reached"), ago(10))
        assert step.ends
        assert not step.broken


class TestCircles:
    def test_a_page_that_points_to_itself(self):
        step = advance(PLAIN, listing(page_cursor="b", pages=1), page(next_cursor="b"), None)
        assert not step.ends
        assert "a page that came before" in step.broken

    def test_a_page_that_points_to_one_before(self):
        step = advance(PLAIN, listing(page_cursor="b", pages=2), page(next_cursor="a"), None, seen={"a"})
        assert "page 3 points to a page that came before" in step.broken

    def test_a_page_that_brings_the_same_again(self):
        known = {fingerprint(page(1, 2))}
        step = advance(PLAIN, listing(page_cursor="b", pages=2), page(1, 2, next_cursor="c"), None, seen=known)
        assert "page 3 brings just what a page before it brought" in step.broken

    def test_but_where_windows_overlap_it_may(self):
        windows = stream(watermark="", paginator=WindowPaginator(PAGING, "created", lambda value: {"from": value}))
        known = {fingerprint(page(1, 2))}
        step = advance(windows, listing(page_cursor="b", pages=2), page(1, 2, next_cursor="c"), None, seen=known)
        assert not step.broken

    def test_a_page_that_points_on(self):
        assert not advance(
            PLAIN, listing(page_cursor="b", pages=2), page(next_cursor="c"), None, seen={"a", "b"}
        ).broken


class TestTheWatermark:
    def test_newest_first_it_is_what_the_first_page_shows(self):
        first = advance(SEARCH, listing(), page(3, 5, next_cursor="b"), None).listing
        assert as_time(first.candidate) == ago(3)

    def test_and_never_what_a_later_page_shows(self):
        first = advance(SEARCH, listing(), page(3, 5, next_cursor="b"), None).listing
        assert advance(SEARCH, first, page(1, 9, next_cursor="c"), None).listing.candidate == first.candidate

    def test_a_first_page_without_records_shows_nothing(self):
        first = advance(SEARCH, listing(), page(next_cursor="b"), None).listing
        assert first.candidate is None
        assert as_time(advance(SEARCH, first, page(4), None).listing.candidate) == ago(4)

    def test_oldest_first_it_is_the_newest_of_all(self):
        state = listing()
        for each in (page(9, 8, next_cursor="b"), page(7, 6, next_cursor="c"), page(7, 7)):
            state = advance(QUERY, state, each, None).listing
        assert as_time(state.candidate) == ago(6)

    def test_nothing_met_nothing_moved(self):
        assert advance(QUERY, listing(full=False), page(), ago(10)).listing.candidate is None

    @pytest.mark.parametrize("kind", [SEARCH, QUERY])
    def test_a_time_to_come_is_not_believed(self, kind):
        """A record of the year 2099 would hide everything edited until then."""
        assert as_time(advance(kind, listing(), page(-60_000_000, 3, 5), None).listing.candidate) == ago(3)
        assert advance(kind, listing(), page(-60_000_000), None).listing.candidate is None

    @pytest.mark.parametrize("kind", [SEARCH, QUERY])
    @pytest.mark.parametrize("pages", [[(None, 5), (4,)], [(5,), (4, None)], [(5, None), (None,), (3,)]])
    def test_where_a_record_has_no_time_none_is_adopted(self, kind, pages):
        """Its edits could not be told from its past: the next listing begins where this one did."""
        state = listing()
        for minutes in pages:
            state = advance(kind, state, page(*minutes, next_cursor=f"after {minutes}"), None).listing
        assert not state.candidate

    @given(
        st.lists(st.lists(st.integers(-50, 50), max_size=4), min_size=1, max_size=6), st.sampled_from([SEARCH, QUERY])
    )
    def test_it_is_never_beyond_what_was_met_nor_beyond_the_beginning(self, pages, kind):
        state = listing()
        for n, minutes in enumerate(pages):
            state = advance(kind, state, page(*minutes, next_cursor=str(n)), None).listing
        met = [ago(each) for minutes in pages for each in minutes if each >= 0]
        if not met:
            assert state.candidate is None
        elif kind is QUERY:
            assert as_time(state.candidate) == max(met)
        else:
            assert as_time(state.candidate) == max(
                ago(m) for m in next(p for p in pages if max(p, default=-1) >= 0) if m >= 0
            )


class TestTimes:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-03-01T12:00:00.000Z",
            "2026-03-01T12:00:00Z",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00:00+00:00",
            "2026-03-01T13:00:00+01:00",
            "2026-03-01T06:30:00.000-05:30",
            "2026-03-01 12:00:00.000000Z",
        ],
    )
    def test_every_way_to_write_a_moment_is_that_moment(self, text):
        assert as_time(text) == BEGAN
        assert as_text(as_time(text)) == "2026-03-01T12:00:00.000Z"

    def test_a_day_begins_at_midnight_utc(self):
        assert as_time("2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)

    @given(
        st.integers(86_400_000_000, 200_000_000_000_000_000).map(lambda us: EPOCH + timedelta(microseconds=us)),
        st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
    def test_writing_a_moment_loses_less_than_a_millisecond_and_never_adds(self, moment, zone):
        kept = as_time(as_text(moment.astimezone(zone)))
        assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)
