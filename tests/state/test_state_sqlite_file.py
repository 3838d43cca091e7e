"""The file of a SQLite database: who may read it, and what becomes of one that cannot be used."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from state_listing import sync
from state_worker import added

from state import Bucket, open_store
from state.errors import DatabaseCorrupt, DatabaseReadOnly, DatabaseUnavailable, StateError
from state.records import Collection

NOTION = Bucket("notion")
PAGES = Collection("notion", "pages")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def used(url: str, path: Path) -> Path:
    """A database that has been used, and closed."""
    with open_store(url) as store:
        store.transact(NOTION, added)
        sync(store.evidence, PAGES, [[(str(n), "x" * 500) for n in range(50)]])
    return path


def pragmas(store, durable: bool) -> dict[str, object]:
    engine = store.evidence._engine if durable else store._engine
    with engine.connect() as connection:
        names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def test_limiters_may_lose_a_moment_to_a_power_cut_and_evidence_nothing(url: str) -> None:
    with open_store(url) as store:
        shared = {"journal_mode": "wal", "busy_timeout": 0, "foreign_keys": 1}
        assert pragmas(store, durable=False) == {**shared, "synchronous": 1}  # NORMAL
        assert pragmas(store, durable=True) == {**shared, "synchronous": 2}  # FULL


def test_only_its_owner_can_read_a_new_database(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b c" / "aimd.db"
    before = os.umask(0)  # the mode must not be left to the umask
    try:
        with open_store(f"sqlite:///{path}") as store:
            store.transact(NOTION, added)
            assert {p.name: mode(p) for p in path.parent.iterdir()} == {
                "aimd.db": 0o600,
                "aimd.db-wal": 0o600,
                "aimd.db-shm": 0o600,
            }
    finally:
        os.umask(before)
    assert mode(path.parent) == 0o700


def test_a_folder_and_a_file_that_were_there_keep_their_modes(tmp_path: Path, url: str, path: Path) -> None:
    tmp_path.chmod(0o755)
    path.touch(0o640)
    with open_store(url) as store:
        store.transact(NOTION, added)
    assert (mode(tmp_path), mode(path)) == (0o755, 0o640)


def test_an_empty_file_becomes_a_database(url: str, path: Path) -> None:
    path.touch()
    with open_store(url) as store:
        assert store.transact(NOTION, added) == 1


def test_a_link_to_a_file_that_is_not_there_yet_is_followed(tmp_path: Path, url: str, path: Path) -> None:
    target = tmp_path / "elsewhere.db"
    path.symlink_to(target)
    with open_store(url) as store:
        store.transact(NOTION, added)
    assert path.is_symlink()
    assert mode(target) == 0o600


def test_nothing_is_left_beside_the_file_of_a_closed_database(used: Path) -> None:
    assert [p.name for p in used.parent.iterdir()] == [used.name]


def noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def overwritten(database: bytes) -> bytes:
    """The first page, which holds the schema, is sound; the rest is not."""
    return database[:4096] + noise(len(database) - 4096)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda database: noise(8192), id="noise"),
        pytest.param(lambda database: b"hello, world\n" * 100, id="text"),
        pytest.param(lambda database: database[: len(database) // 2], id="cut in half"),
        pytest.param(lambda database: database[:100], id="cut in the header"),
        pytest.param(lambda database: database[:16] + noise(84) + database[100:], id="noise in the header"),
        pytest.param(overwritten, id="noise behind the first page"),
        pytest.param(lambda database: b"\x00" * len(database), id="zeros"),
    ],
)
def test_a_damaged_file_is_told_and_left_as_it_is(used: Path, url: str, spoil) -> None:
    damaged = spoil(used.read_bytes())
    used.write_bytes(damaged)
    with pytest.raises(DatabaseCorrupt, match="is damaged or not a database; it was left as it is") as caught:
        use_all_of(url)
    assert url in str(caught.value)
    assert caught.value.url == url
    assert used.read_bytes() == damaged


def use_all_of(url: str) -> None:
    with open_store(url) as store:
        store.transact(NOTION, added)
        list(store.evidence.versions(with_text=True))


def test_noise_in_the_write_ahead_log_takes_nothing_that_was_in_the_file(used: Path, url: str) -> None:
    used.with_name("aimd.db-wal").write_bytes(noise(32768))
    with open_store(url) as store:
        assert store.transact(NOTION, added) == 2
        assert len(list(store.evidence.versions())) == 50


@pytest.mark.parametrize("kind", ["folder", "pipe", "behind a file"])
def test_what_is_no_file_is_refused(kind: str, path: Path, url: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
        url += "/aimd.db"
    with pytest.raises(DatabaseUnavailable) as caught:
        open_store(url)
    assert url in str(caught.value)
    assert [p.name for p in path.parent.iterdir()] == ["aimd.db"]


def test_a_file_without_write_permission_is_refused_even_to_root(used: Path, url: str) -> None:
    used.chmod(0o400)
    before = used.read_bytes()
    with pytest.raises(DatabaseReadOnly, match="is read-only; nothing was changed"):
        open_store(url)
    assert used.read_bytes() == before
    assert [p.name for p in used.parent.iterdir()] == ["aimd.db"]


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_write_permission_is_refused_even_to_root(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "folder"
    url = f"sqlite:///{folder / 'aimd.db'}"
    folder.mkdir()
    if there:
        open_store(url).close()
    names = sorted(folder.iterdir())
    folder.chmod(0o500)
    try:
        with pytest.raises(DatabaseReadOnly, match="Make the file and its folder writable"):
            open_store(url)
        assert sorted(folder.iterdir()) == names
    finally:
        folder.chmod(0o700)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def another_user() -> Iterator[None]:
    """Not root, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o644), (0o777, 0o644), (0o755, 0o666), (0o755, 0o600)])
def test_a_database_of_somebody_else_is_refused_if_it_cannot_be_written(
    public: Path, request: pytest.FixtureRequest, folder_mode: int, file_mode: int
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make the file of somebody else")
    path = public / "aimd.db"
    url = f"sqlite:///{path}"
    with open_store(url) as store:
        store.transact(NOTION, added)
    before = path.read_bytes()
    path.chmod(file_mode)
    public.chmod(folder_mode)
    request.getfixturevalue("another_user")
    with pytest.raises(DatabaseUnavailable, match=r"nothing was changed|cannot be used"):
        use_all_of(url)
    os.seteuid(0)
    assert path.read_bytes() == before


def test_a_database_that_turns_read_only_is_told_so(url: str) -> None:
    with open_store(url) as store:
        store.transact(NOTION, added)
        store._kept.exec_driver_sql("PRAGMA query_only = ON")
        store._kept.rollback()
        with pytest.raises(DatabaseReadOnly):
            store.transact(NOTION, added)


def test_a_database_of_another_program_that_has_no_alembic_gets_our_tables_beside_its_own(path: Path, url: str) -> None:
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
        theirs.execute("INSERT INTO theirs VALUES (1)")
    with open_store(url) as store:
        assert store.transact(NOTION, added) == 1
    assert sqlite3.connect(path).execute("SELECT x FROM theirs").fetchall() == [(1,)]


def test_every_error_of_the_database_is_one_kind_of_error() -> None:
    assert issubclass(DatabaseReadOnly, DatabaseUnavailable)
    assert issubclass(DatabaseUnavailable, StateError)
    assert issubclass(DatabaseCorrupt, StateError)
