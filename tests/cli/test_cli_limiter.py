import csv
import io
import sqlite3
import time
from xml.etree import ElementTree

import pytest

from state import Bucket, Decision, HistoryEvent, LimiterState, open_store

FIELDS = {
    "bucket",
    "api",
    "scope",
    "quota_key",
    "current_rate",
    "ceiling",
    "cooldown_until",
    "throttles",
    "updated_at",
}


def test_list_names_every_limiter(aimd, learned):
    listed = aimd("limiter", "list", "--json")
    assert listed.code == 0
    assert [row["bucket"] for row in listed.json] == [
        "gone/default/default",
        "notion/default/acme",
        "notion/default/default",
    ]
    assert set(listed.json[0]) >= FIELDS
    last = listed.json[-1]
    assert (last["api"], last["scope"], last["quota_key"]) == ("notion", "default", "default")
    assert (last["current_rate"], last["ceiling"], last["throttles"], last["updated_at"]) == (4.5, 5.0, 3, 1000.0)


def test_show_is_narrowed_by_api_and_quota_key(aimd, learned):
    assert [row["quota_key"] for row in aimd("limiter", "show", "notion", "--json").json] == ["acme", "default"]
    assert [row["current_rate"] for row in aimd("limiter", "show", "notion", "--tenant", "acme", "--json").json] == [
        1.25
    ]
    assert [row["api"] for row in aimd("limiter", "list", "--quota-key", "acme", "--json").json] == ["notion"]


def test_a_pipe_gets_a_line_a_limiter(aimd, learned):
    shown = aimd("limiter", "show", "notion")
    heading, acme, default = shown.out.splitlines()
    assert heading.split() == ["bucket", "rate/s", "ceiling", "hold", "s", "throttles", "updated", "(UTC)"]
    assert acme.split() == ["notion/default/acme", "1.25", "-", "-", "0", "1970-01-01", "00:16:40"]
    assert default.split()[:3] == ["notion/default/default", "4.5", "5"]
    assert shown.err == ""


def test_only_a_hold_that_is_still_on_is_shown(aimd, database):
    now = time.time()
    with open_store(f"sqlite:///{database}") as store:
        for key, until in (("over", now - 60), ("on", now + 3600)):
            state = LimiterState(rate=2.0, cooldown_until=until, updated_at=now - 120)
            store.transact(Bucket("notion", quota_key=key), lambda *_, state=state: Decision(state, None))
    holds = {row["quota_key"]: row["cooldown_until"] for row in aimd("limiter", "show", "notion", "--json").json}
    assert holds == {"over": 0.0, "on": pytest.approx(now + 3600)}


def test_a_rate_is_shown_within_todays_bounds(aimd, learned, tmp_path, monkeypatch):
    (tmp_path / "apis.toml").write_text("[notion]\nmax_rate = 3.0\n")
    monkeypatch.setenv("AIMD_CONFIG", "apis.toml")
    assert [row["current_rate"] for row in aimd("limiter", "show", "notion", "--json").json] == [1.25, 3.0]


@pytest.mark.parametrize("command", [("list",), ("show", "notion"), ("history", "notion"), ("reset", "notion")])
def test_nothing_learned_is_an_empty_list_and_a_sentence_and_makes_no_database(aimd, database, command):
    result = aimd("limiter", *command, "--json")
    assert (result.code, result.json) == (0, [])
    assert f"has learned anything yet (database sqlite:///{database})" in result.err
    assert aimd("limiter", *command).out == ""
    assert not database.parent.exists()


@pytest.mark.parametrize("command", ["show", "history", "reset"])
def test_an_unknown_api_is_refused_with_the_known_ones(aimd, learned, command):
    result = aimd("limiter", command, "notoin", "--json")
    assert result.code == 2
    assert (
        "Known: airtable, fieldguide, github, gone, notion, openai, slack, slack_audit, vanta, vanta_auditor, zapier."
        in result.json["error"]
    )
    assert result.json["error"] + "\n" == result.err


def test_an_api_that_only_the_database_knows_is_known(aimd, learned):
    assert [row["current_rate"] for row in aimd("limiter", "show", "gone", "--json").json] == [9.0]


def test_history_is_told_oldest_first_across_limiters(aimd, learned):
    events = aimd("limiter", "history", "notion", "--json").json
    assert [(e["quota_key"], e["kind"]) for e in events] == [
        ("default", "start"),
        ("acme", "start"),
        ("default", "increase"),
        ("default", "backoff"),
    ]
    assert events[-1] == {
        "bucket": "notion/default/default",
        "api": "notion",
        "scope": "default",
        "quota_key": "default",
        "at": 120.0,
        "kind": "backoff",
        "rate_before": 5.0,
        "rate_after": 4.5,
        "ceiling": 5.0,
        "retry_after": 2.0,
        "status": 429,
        "cooldown_until": 122.0,
        "run_id": "run-1",
    }


def test_history_is_limited_to_the_newest(aimd, learned):
    lines = aimd("limiter", "history", "notion", "--tenant", "default", "--limit", "2").out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1970-01-01", "00:01:50", "increase", "2", "5", "-", "-", "-", "-"],
        ["1970-01-01", "00:02:00", "backoff", "5", "4.5", "5", "429", "2", "2"],
    ]


def test_history_of_several_limiters_says_whose_each_event_is(aimd, learned):
    lines = aimd("limiter", "history", "notion").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == [
        "notion/default/default",
        "notion/default/acme",
        "notion/default/default",
        "notion/default/default",
    ]


def test_history_is_drawn_into_a_file(aimd, learned, tmp_path):
    drawn = aimd("limiter", "history", "notion", "--tenant", "default", "--svg", "rate.svg", "--json")
    assert (drawn.code, len(drawn.json)) == (0, 3)
    picture = ElementTree.parse(tmp_path / "rate.svg").getroot()
    assert picture.tag.endswith("svg")
    assert "notion/default/default" in "".join(picture.itertext())


def test_history_of_an_api_without_configuration_is_drawn_too(aimd, learned, tmp_path):
    assert aimd("limiter", "history", "gone", "--svg", "rate.svg").code == 0
    assert (tmp_path / "rate.svg").read_text().startswith("<")


def test_a_picture_shows_one_limiter(aimd, learned, tmp_path):
    refused = aimd("limiter", "history", "notion", "--svg", "rate.svg", "--json")
    assert refused.code == 2
    assert "choose with --quota-key: acme, default" in refused.json["error"]
    assert not (tmp_path / "rate.svg").exists()


@pytest.mark.parametrize("command", [("history", "gone", "--svg"), ("export", "--output")])
def test_a_file_that_cannot_be_written_is_a_sentence(aimd, learned, command):
    refused = aimd("limiter", *command, "no/such/folder/file", "--json")
    assert refused.code == 2
    assert refused.json["error"] == "Cannot write no/such/folder/file: No such file or directory."


def test_reset_without_a_terminal_needs_yes(aimd, learned):
    refused = aimd("limiter", "reset", "notion", "--json")
    assert refused.code == 2
    assert "--yes" in refused.json["error"]
    assert len(aimd("limiter", "list", "--json").json) == 3


def test_reset_forgets_what_was_meant_and_says_so(aimd, learned):
    done = aimd("limiter", "reset", "notion", "--tenant", "default", "--yes", "--json")
    assert done.code == 0
    assert [(row["bucket"], row["current_rate"], row["events"]) for row in done.json] == [
        ("notion/default/default", 4.5, 3)
    ]
    assert done.err == "Forgot notion/default/default: 4.5 requests/s and 3 events of history.\n"
    assert [row["bucket"] for row in aimd("limiter", "list", "--json").json] == [
        "gone/default/default",
        "notion/default/acme",
    ]
    with sqlite3.connect(learned) as connection:
        assert connection.execute("SELECT count(*) FROM limiter_history").fetchone() == (2,)


def test_export_holds_every_limiter_with_its_history(aimd, learned):
    exported = aimd("limiter", "export", "--json").json
    assert exported == {**aimd("limiter", "export").json, "exported_at": exported["exported_at"]}
    assert exported["database"] == f"sqlite:///{learned}"
    assert {each["bucket"]: len(each["history"]) for each in exported["limiters"]} == {
        "gone/default/default": 1,
        "notion/default/acme": 1,
        "notion/default/default": 3,
    }
    assert set(exported["limiters"][0]) >= FIELDS


def test_export_is_not_cut_at_the_length_that_history_shows(aimd, database):
    now = time.time()  # what is older than the history is kept for would go
    events = tuple(HistoryEvent(now - 600 + at, "increase", 1.0, 1.0) for at in range(600))
    with open_store(f"sqlite:///{database}") as store:
        store.transact(Bucket("notion"), lambda *_: Decision(LimiterState(rate=1.0), None, events))
    assert len(aimd("limiter", "export").json["limiters"][0]["history"]) == 600


def test_export_as_csv_has_a_line_an_event(aimd, learned):
    rows = list(csv.DictReader(io.StringIO(aimd("limiter", "export", "--format", "csv").out)))
    assert [row["kind"] for row in rows] == ["start", "start", "start", "increase", "backoff"]
    assert (rows[-1]["bucket"], rows[-1]["rate_after"], rows[-1]["status"]) == ("notion/default/default", "4.5", "429")
    assert rows[0]["status"] == ""


@pytest.mark.parametrize(("form", "begins"), [("json", '{\n  "exported_at"'), ("csv", "bucket,api,scope,")])
def test_export_into_a_file_says_what_it_wrote(aimd, learned, tmp_path, form, begins):
    done = aimd("limiter", "export", "--format", form, "--output", "out", "--json")
    assert (done.code, done.json) == (0, {"output": "out", "limiters": 3, "events": 5})
    assert (tmp_path / "out").read_text().startswith(begins)


def test_csv_on_stdout_is_not_json(aimd, learned):
    refused = aimd("limiter", "export", "--format", "csv", "--json")
    assert refused.code == 2
    assert "--output" in refused.json["error"]


def test_a_configuration_that_cannot_work_is_a_sentence(aimd, learned, tmp_path, monkeypatch):
    (tmp_path / "apis.toml").write_text("[notion]\nmax_rate = -1\n")
    monkeypatch.setenv("AIMD_CONFIG", "apis.toml")
    refused = aimd("limiter", "list", "--json")
    assert refused.code == 2
    assert "max_rate must be" in refused.json["error"]
