"""What a user can get wrong, and what a vendor can: a sentence and an exit code, never a traceback, nothing lost."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from flows.cli import run
from simulator import Simulator, World

pytestmark = pytest.mark.server


def evidence(database: Path) -> list[tuple[str, int]]:
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT stream, count(*) FROM evidence GROUP BY stream ORDER BY stream").fetchall()


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        (["notion"], {"NOTION_TOKEN": ""}, ["NOTION_TOKEN", "NotionCredentials"]),
        (["notion"], {"NOTION_TOKEN": "two words"}, ["NOTION_TOKEN", "space"]),
        (["nottion"], {}, ["'nottion'", "notion"]),
        (["notion", "--stream", "user"], {}, ["'user'", "users", "pages", "data_sources", "rows"]),
        (["notion", "--stream", "rows"], {}, ["--param data_source=VALUE"]),
        (["notion", "--param", "data_source=x"], {}, ["Notion id"]),
        (["notion", "--param", "source=x"], {}, ["'source'", "data_source"]),
        (["notion", "--param", "data_source"], {}, ["KEY=VALUE"]),
        (["notion"], {"AIMD_CONFIG": "/nowhere.toml"}, ["/nowhere.toml"]),
        (["notion"], {"AIMD_NOTION_BASE_URL": "notion"}, ["base_url", "'notion'"]),
        (["notion"], {"AIMD_DATABASE_URL": "oracle://x"}, ["oracle"]),
    ],
)
def test_wrong_usage_is_a_sentence_and_nothing_is_sent(
    make_aimd, vendor: Simulator, arguments, more, words, monkeypatch, capsys
):
    for name, value in {**make_aimd(None).environment, **more}.items():
        monkeypatch.setenv(name, value)
    code = run(["sync", *arguments, "--json"])
    output, errors = capsys.readouterr()
    assert code == 2
    for word in words:
        assert word in errors
    assert json.loads(output) == {"error": errors.strip().splitlines()[-1]}
    assert vendor.stats()["requests"] == 0


def test_a_server_that_does_not_answer_is_a_sentence_and_nothing_is_sent(aimd, vendor: Simulator):
    code, answer, errors = aimd.run("sync", "notion", "--json", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert code == 2
    assert "does not answer" in answer["error"]
    assert answer["error"] in errors
    assert vendor.stats()["requests"] == 0


def test_a_token_that_is_not_accepted_stores_nothing(aimd, vendor: Simulator, tmp_path: Path):
    code, report, errors = aimd.run("sync", "notion", "--json", NOTION_TOKEN="secret_wrong")
    assert (code, report["state"]) == (1, "incomplete")
    assert {row["complete"] for row in report["streams"].values()} == {False}
    assert "401" in errors
    assert "Traceback" not in errors
    assert "secret_wrong" not in errors
    assert evidence(tmp_path / "aimd.db") == []


def test_a_broken_page_leaves_its_stream_incomplete_and_the_others_whole(aimd, world: World, tmp_path: Path):
    command = ("sync", "notion", "--json", "--param", f"data_source={world.ids('data_source')[0]}")
    faults = ["not-json@GET /v1/users#2x3", "truncated@POST /v1/data_sources#1x3"]
    with Simulator("none", world, latency=(0.0, 0.0), faults=faults) as broken:
        code, report, errors = aimd.run(*command, AIMD_NOTION_BASE_URL=broken.base_url)
        assert (code, report["state"]) == (1, "incomplete")
        assert {name: row["complete"] for name, row in report["streams"].items()} == {
            "users": False,
            "pages": True,
            "data_sources": True,
            "rows": False,
        }
        assert "users" in errors
        assert "Traceback" not in errors
        assert report["streams"]["users"]["records"] == 100, "the first page is kept"
        assert report["streams"]["rows"]["records"] == 0
        by_path = broken.stats()["by_path"]
        assert by_path["GET /v1/users"] == 4, "one page, then three tries of the second"

        code, report, errors = aimd.run(*command, AIMD_NOTION_BASE_URL=broken.base_url)
        assert (code, report["state"]) == (0, "complete"), errors
        # It went on at the second page; since the first one was of another day, it then listed the two anew.
        assert broken.stats()["by_path"]["GET /v1/users"] == 4 + 1 + 2
    stored = dict(evidence(tmp_path / "aimd.db"))
    assert (stored["users"], stored["rows"]) == (len(world.ids("user")), 120)


def test_a_read_only_database_is_a_sentence(aimd, vendor: Simulator, tmp_path: Path):
    aimd.run("sync", "notion", "--json", "--stream", "data_sources")
    database = tmp_path / "aimd.db"
    before = database.read_bytes()
    database.chmod(stat.S_IRUSR)
    code, answer, errors = aimd.run("sync", "notion", "--json")
    database.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert (code, list(answer)) == (2, ["error"])
    assert "read-only" in errors
    assert "Traceback" not in errors
    assert database.read_bytes() == before


def test_a_corrupt_database_is_a_sentence_and_stays_as_it_is(aimd, vendor: Simulator, tmp_path: Path):
    database = tmp_path / "aimd.db"
    database.write_bytes(b"this is no database, and long enough to be looked at " * 100)
    before = database.read_bytes()
    code, _, errors = aimd.run("sync", "notion", "--json")
    assert code == 2
    assert "damaged or not a database" in errors
    assert "Traceback" not in errors
    assert database.read_bytes() == before
    assert vendor.stats()["requests"] == 0
