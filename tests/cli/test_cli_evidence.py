import hashlib
import json
import sqlite3

import pytest

FIELDS = {"source", "stream", "tenant", "partition", "external_id", "sha256", "version", "collected_at"}


def test_list_names_all_versions(aimd, collected):
    listed = aimd("evidence", "list", "--json").json
    assert [(row["stream"], row["external_id"], row["version"]) for row in listed] == [
        ("users", "ada-1", 1),
        ("users", "adb-2", 1),
        ("users", "ada-1", 2),
        ("rows", "row-1", 1),
    ]
    assert set(listed[0]) >= FIELDS
    assert listed[0]["sha256"] == hashlib.sha256(b'{"id":"ada-1","name":"Ada"}').hexdigest()
    assert listed[3]["partition"] == '{"data_source":"d1"}'


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (("--source", "notion"), 4),
        (("--stream", "users"), 3),
        (("--partition", '{"data_source":"d1"}'), 1),
        (("--partition", ""), 3),
        (("--tenant", "default", "--stream", "rows"), 1),
    ],
)
def test_list_is_narrowed(aimd, collected, filters, count):
    assert len(aimd("evidence", "list", *filters, "--json").json) == count


@pytest.mark.parametrize("filters", [("--source", "notoin"), ("--stream", "user"), ("--tenant", "acme")])
def test_nothing_found_is_an_empty_list_and_a_sentence(aimd, collected, filters):
    result = aimd("evidence", "list", *filters, "--json")
    assert (result.code, result.json) == (0, [])
    assert "no such evidence" in result.err
    assert aimd("evidence", "list", *filters).out == ""


def test_no_database_is_no_evidence_and_stays_none(aimd, database):
    assert aimd("evidence", "list", "--json").json == []
    assert aimd("evidence", "show", "notion", "users", "ada", "--json").code == 2
    assert not database.parent.exists()


def test_a_pipe_gets_a_line_a_version(aimd, collected):
    lines = aimd("evidence", "list", "--stream", "users").out.splitlines()
    assert lines[0].split() == ["source", "stream", "id", "v", "collected", "(UTC)"]
    assert [line.split()[2:4] for line in lines[1:]] == [["ada-1", "1"], ["adb-2", "1"], ["ada-1", "2"]]


def test_a_column_that_tells_versions_apart_is_shown(aimd, collected):
    heading, *_, row = aimd("evidence", "list").out.splitlines()
    assert heading.split() == ["source", "stream", "partition", "id", "v", "collected", "(UTC)"]
    assert row.split()[:4] == ["notion", "rows", '{"data_source":"d1"}', "row-1"]


def test_list_is_cut_to_the_newest(aimd, collected):
    listed = aimd("evidence", "list", "--limit", "2", "--json").json
    assert [(row["external_id"], row["version"]) for row in listed] == [("ada-1", 2), ("row-1", 1)]


def test_show_gives_the_newest_version_or_the_one_asked_for(aimd, collected):
    newest = aimd("evidence", "show", "notion", "users", "ada-1", "--json")
    assert newest.code == 0
    assert (newest.json["version"], newest.json["verified"]) == (2, True)
    assert newest.json["content"] == {"id": "ada-1", "name": "Ada L."}
    first = aimd("evidence", "show", "notion", "users", "ada-1", "--version", "1", "--json").json
    assert first["content"] == {"id": "ada-1", "name": "Ada"}


def test_show_takes_the_beginning_of_an_id(aimd, collected):
    assert aimd("evidence", "show", "notion", "users", "ada", "--json").json["external_id"] == "ada-1"


def test_a_beginning_that_fits_several_is_refused_with_the_candidates(aimd, collected):
    refused = aimd("evidence", "show", "notion", "users", "ad", "--json")
    assert refused.code == 2
    assert "ada-1 (tenant default), adb-2 (tenant default)" in refused.json["error"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("notion", "users", "zzz"), "There is: notion rows, notion users."),
        (("notion", "user", "ada-1"), "There is: notion rows, notion users."),
        (("notoin", "users", "ada-1"), "There is: notion rows, notion users."),
        (("notion", "users", "ada-1", "--version", "7"), "it has 1, 2"),
        (("notion", "users", "ada-1", "--tenant", "acme"), "There is no evidence"),
    ],
)
def test_what_is_not_there_is_a_sentence(aimd, collected, arguments, says):
    refused = aimd("evidence", "show", *arguments, "--json")
    assert refused.code == 2
    assert says in refused.json["error"]


def test_people_see_facts_and_content_without_control_characters(aimd, collected):
    shown = aimd("evidence", "show", "notion", "users", "adb-2").out
    assert "external_id   adb-2" in shown
    assert "verified      yes" in shown
    assert '  "name": "Zoë [bold] \\u001b[31m"' in shown
    assert "\x1b" not in shown


def test_raw_is_what_was_hashed(aimd_process, collected, aimd):
    process = aimd_process("evidence", "show", "notion", "users", "adb-2", "--raw", text=False)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert (
        hashlib.sha256(out).hexdigest() == aimd("evidence", "show", "notion", "users", "adb-2", "--json").json["sha256"]
    )


def test_raw_and_json_exclude_each_other(aimd, collected):
    assert aimd("evidence", "show", "notion", "users", "ada-1", "--raw", "--json").code == 2


@pytest.mark.parametrize("body", ['{"id":"ada-1","name":"Eve"}', "not json"])
def test_content_that_was_tampered_with_is_shown_and_named(aimd, collected, body):
    with sqlite3.connect(collected) as connection:
        connection.execute("UPDATE evidence SET body = ? WHERE external_id = 'ada-1' AND version = 2", (body,))
    result = aimd("evidence", "show", "notion", "users", "ada-1", "--json")
    assert result.code == 1
    assert result.json["verified"] is False
    assert result.json["content"] == (json.loads(body) if body.startswith("{") else body)
    assert "is not what was collected" in result.err
    assert aimd("evidence", "show", "notion", "users", "ada-1", "--version", "1").code == 0
