"""Which database a URL means, and what is said of one that means none."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from state_worker import added

from state import Bucket, open_store
from state.errors import DatabaseUnavailable
from state.memory import MemoryStore
from state.store import default_url, shared_store
from tests.forking import status_of_child


@pytest.mark.parametrize("url", ["memory://", "memory:", "sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_without_a_file_is_the_memory_store(url: str) -> None:
    with open_store(url) as store:
        assert isinstance(store, MemoryStore)


@pytest.mark.parametrize(
    "url",
    [
        "aimd.db",
        "/tmp/aimd.db",
        "sqlite:aimd.db",
        "sqlite:/tmp/aimd.db",
        "mysql://host/aimd",
        "nonsense://host/aimd",
        "sqlite+nonsense:///aimd.db",
        "sqlite+aiosqlite:///aimd.db",  # Prefect's own kind
        "sqlite:///file:aimd.db?uri=true",
        "http://localhost:port",
        "memoryless://",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DatabaseUnavailable, match="is not a database this program can use: give sqlite:///PATH"
    ) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:s3cret@host/aimd",
        "mysql://ann:s3cr3t@s3cret@host/aimd",
        "nonsense://ann:s3cret@host:1/aimd",
        "mysql://ann:s3cret@host:port/aimd",
        "//ann:s3cret@host/aimd",
        "ann:s3cret@host/aimd",
        "postgresql+asyncpg://db.example/aimd?user=ann&password=s3cret",
        "mysql://ann@host/aimd?passwd=s3cret&PASSWORD=s3cret;password=s3cret",
        "ann:s3cret@host/aimd?sslpassword=s3cret#password=s3cret",
        "postgresql+psycopg2://ann@db@host/aimd?client_secret=s3cret%26x",
    ],
)
def test_no_password_is_ever_shown(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        open_store(url)
    assert "s3cret" not in caught.value.url
    assert "s3cret" not in "".join(line for line in traceback.format_exception(caught.value) if "File" not in line)


def test_the_variable_names_the_database_and_the_users_data_directory_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for unset in ("", " "):
        monkeypatch.setenv("AIMD_DATABASE_URL", unset)
        assert default_url() == f"sqlite:///{tmp_path}/prefect-aimd/aimd.db"
    with open_store() as store:
        assert store.url == default_url()
    assert (tmp_path / "prefect-aimd").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("AIMD_DATABASE_URL", f" sqlite:///{tmp_path}/mine.db ")
    with open_store() as store:
        assert store.url == f"sqlite:///{tmp_path}/mine.db"


def test_a_data_directory_may_have_an_odd_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "Ann Lée? 100%41"
    monkeypatch.setenv("XDG_DATA_HOME", str(odd))
    open_store().close()
    assert [path.name for path in odd.rglob("*.db")] == ["aimd.db"]


def test_a_relative_path_is_of_the_folder_in_which_the_store_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    with open_store("sqlite:///aimd.db") as store:
        monkeypatch.chdir(there)  # as a flow does that runs in a folder of its own
        assert store.transact(Bucket("notion"), added) == 1
        assert list(store.evidence.versions()) == []
        assert store.url == "sqlite:///aimd.db"
    assert [path.name for path in tmp_path.rglob("*.db*")] == ["aimd.db"]


def test_a_process_has_one_shared_store_a_url(url: str, tmp_path: Path) -> None:
    mine = shared_store(url)
    assert shared_store(url) is mine
    assert shared_store(f"sqlite:///{tmp_path / 'other.db'}") is not mine
    assert mine.transact(Bucket("notion"), added) == 1

    def child() -> None:
        assert shared_store(url).transact(Bucket("notion"), added) == 2

    assert status_of_child(child) == 0
    assert mine.transact(Bucket("notion"), added) == 3
