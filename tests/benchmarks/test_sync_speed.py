"""The benchmark of a whole sync runs, and what it says is what happened; how fast it was depends on the machine."""

import json

import httpx
import pytest

from benchmarks import sync_speed
from benchmarks.prepared_vendor import BYTES, SIZE, prepared_vendor, stats
from benchmarks.sync_speed import used
from simulator.server import DEFAULT_TOKEN

HEADERS = {"Authorization": f"Bearer {DEFAULT_TOKEN}", "Notion-Version": "2025-09-03"}


@pytest.mark.parametrize("ordered", [False, True])
def test_the_vendor_lists_as_many_records_of_a_kilobyte_as_it_is_told(ordered):
    ids, lengths = [], set()
    with (
        prepared_vendor(3, latency=(0.0, 0.0), ordered=ordered) as url,
        httpx.Client(base_url=url, headers=HEADERS, trust_env=False) as client,
    ):
        cursor = {}
        while True:
            asked = {"filter": {"property": "object", "value": "page"}, **cursor}
            answer = client.post("/search", json=asked).json()
            ids += [record["id"] for record in answer["results"]]
            lengths |= {len(json.dumps(each, ensure_ascii=False).encode()) for each in answer["results"]}
            if not answer["has_more"]:
                break
            cursor = {"start_cursor": answer["next_cursor"]}
        assert stats(url)["requests"] == 3
    assert len(set(ids)) == 3 * SIZE
    assert (sorted(ids) == ids) == ordered
    assert all(BYTES - 4 <= length <= BYTES for length in lengths)  # a character of three bytes may not fit


def test_what_is_used_of_a_limit_is_counted_from_where_it_is_told():
    seen = {"arrivals": [10.0, 11.0, 12.0, 13.0, 14.0], "rejections": [10.0, 13.0]}
    assert used(seen, 0.0, limit=1.0) == sync_speed.Used(4.0, 75.0, 40.0)
    assert used(seen, 2.0, limit=1.0) == sync_speed.Used(2.0, 100.0, 100 / 3)


def test_a_small_run_collects_everything_and_tells_what_it_cost(monkeypatch):
    monkeypatch.setattr(sync_speed, "WARM_UP", 0.0)
    monkeypatch.setattr(sync_speed, "LEARNING", 0.0)
    figures = sync_speed.measure(limited=4, fast=30, slow=5)
    assert [figures.fast.records, figures.ordered.records, figures.slow.records] == [3000, 300, 500]
    for each in (figures.fast, figures.ordered, figures.slow):
        assert each.complete
        assert min(each.cpu, each.starting_cpu, each.seconds, each.megabytes) > 0
        assert each.seconds <= each.running
    for whole, _ in (figures.cold, figures.warm):
        assert whole.percent > 0
        assert 0 <= whole.rejected < 100
    # The limiter keeps to five requests/s whatever else is slow: four waits of 0.2 s, less what went before the first.
    assert figures.slow.seconds >= 0.5
