import os
import sqlite3
from pathlib import Path

import pytest

from state.schema import HEAD

OLD = Path(__file__).parents[1] / "state" / "schemas" / "0001.sqlite.sql"
READING = [
    ("limiter", "list"),
    ("limiter", "history", "notion"),
    ("limiter", "export"),
    ("evidence", "list"),
    ("evidence", "show", "notion", "users", "ada-1"),
]
WRITING = [("limiter", "reset", "notion", "--yes"), ("db", "upgrade"), ("db", "prune")]


@pytest.mark.parametrize("command", [*READING, *WRITING, ("db", "current")], ids=" ".join)
def test_a_file_that_is_no_database_is_named_and_left_alone(aimd, database, command):
    database.parent.mkdir()
    database.write_bytes(b"This is not a database. " * 100)
    before = database.read_bytes()
    refused = aimd(*command, "--json")
    assert refused.code == 2
    assert f"sqlite:///{database} is damaged or not a database" in refused.json["error"]
    assert database.read_bytes() == before


@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
def test_a_read_only_database_is_named_and_left_alone(aimd, learned, command):
    before = learned.read_bytes()
    os.chmod(learned, 0o400)
    refused = aimd(*command, "--json")
    assert refused.code == 2
    assert "read-only" in refused.json["error"]
    assert learned.read_bytes() == before


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_folder_in_place_of_the_file_is_a_sentence(aimd, database, command):
    database.mkdir(parents=True)
    refused = aimd(*command, "--json")
    assert refused.code == 2
    assert "is a folder" in refused.json["error"]


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite+nodriver:///x", "://"])
@pytest.mark.parametrize("command", [("limiter", "list"), ("evidence", "list")], ids=" ".join)
def test_an_address_that_is_no_database_is_a_sentence(aimd, monkeypatch, url, command):
    monkeypatch.setenv("AIMD_DATABASE_URL", url)
    refused = aimd(*command, "--json")
    assert refused.code == 2
    assert "AIMD_DATABASE_URL" in refused.json["error"]


def test_current_looks_and_makes_nothing(aimd, database):
    found = aimd("db", "current", "--json")
    assert found.code == 0
    assert found.json == {"url": f"sqlite:///{database}", "exists": False, "revision": None, "head": HEAD}
    assert "There is no database" in found.err
    assert not database.parent.exists()


def test_upgrade_makes_the_database_and_says_what_it_did(aimd, database):
    made = aimd("db", "upgrade", "--json")
    assert made.code == 0
    assert made.json == {"url": f"sqlite:///{database}", "exists": True, "revision": HEAD, "head": HEAD}
    assert f"went from nothing to {HEAD}" in made.err
    again = aimd("db", "upgrade")
    assert "was up to date" in again.err
    assert again.out.splitlines()[1].split() == [f"sqlite:///{database}", HEAD, HEAD]
    assert aimd("db", "current", "--json").json == made.json


def test_current_reads_what_cannot_be_written(aimd, learned):
    os.chmod(learned, 0o400)
    assert aimd("db", "current", "--json").json["revision"] == HEAD
    assert aimd("db", "upgrade", "--json").code == 2


@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
def test_every_command_but_current_brings_an_old_database_up_to_date(aimd, database, command):
    database.parent.mkdir()
    with sqlite3.connect(database) as connection:
        connection.executescript(OLD.read_text())
    assert aimd("db", "current", "--json").json["revision"] == "0001"
    aimd(*command, "--json")  # there may be nothing that it is asked for
    assert aimd("db", "current", "--json").json["revision"] == HEAD


def test_upgrade_leaves_what_is_newer(aimd, learned):
    with sqlite3.connect(learned) as connection:
        connection.execute("UPDATE aimd_version SET version_num = '9999'")
    assert aimd("db", "current", "--json").json["revision"] == "9999"
    refused = aimd("db", "upgrade", "--json")
    assert refused.code == 2
    assert "newer than this program" in refused.json["error"]


def test_a_schema_from_the_future_is_a_sentence(aimd, learned):
    with sqlite3.connect(learned) as connection:
        connection.execute("UPDATE aimd_version SET version_num = '9999'")
    refused = aimd("limiter", "list", "--json")
    assert refused.code == 2
    assert "newer than this program" in refused.json["error"]


def test_a_table_that_is_damaged_is_a_sentence(aimd, learned):
    with sqlite3.connect(learned) as connection:
        connection.execute("DROP TABLE limiter_history")
    refused = aimd("limiter", "history", "notion", "--json")
    assert refused.code in (1, 2)
    assert "limiter_history" in refused.json["error"]


def test_prune_lets_old_history_go_and_keeps_what_is_known(aimd, learned):
    before = aimd("limiter", "list", "--json").json
    pruned = aimd("db", "prune", "--rows", "1", "--json")
    assert (pruned.code, pruned.json) == (0, {"url": f"sqlite:///{learned}", "pruned": 2})
    assert "2 events went" in pruned.err
    assert aimd("limiter", "list", "--json").json == before
    assert len(aimd("limiter", "history", "notion", "--json").json) == 2  # the newest of each of its two limiters
    assert aimd("db", "prune", "--days", "1").out.splitlines()[1].split()[1] == "0"
    assert aimd("db", "prune", "--rows", "-1", "--json").code == 2


def test_prune_makes_no_database(aimd, database):
    assert aimd("db", "prune", "--json").json["pruned"] == 0
    assert not database.parent.exists()
