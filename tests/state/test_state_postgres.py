"""PostgreSQL as a store: its clock, its locks, its schema, and what is said when it is in the way."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import make_url
from state_listing import sync
from state_worker import added

from state import Bucket, Decision, open_store, patience, schema, tables
from state import engine as engines
from state.errors import DatabaseBusy, DatabaseFull, DatabaseReadOnly, DatabaseUnavailable, SchemaTooNew, StateError
from state.records import Collection
from state.schema import SchemaStatus

NOTION = Bucket("notion")
PAGES = Collection("notion", "pages")


@contextmanager
def another(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def tables_of(url: str) -> set[str]:
    with another(url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {name for (name,) in names}


def waiting(connection: psycopg.Connection) -> bool:
    """Whether another session waits for a lock."""
    [(number,)] = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return number > 0


class TestTheClock:
    def test_is_the_database_s_and_of_the_time_after_the_wait_for_the_row(self, postgres_url: str) -> None:
        """Else whoever waited would reserve a slot in the past."""
        with open_store(postgres_url) as store, another(postgres_url) as other, ThreadPoolExecutor(1) as pool:
            store.transact(NOTION, added)
            with other.transaction():
                other.execute("SELECT * FROM limiter FOR UPDATE")
                waiter = pool.submit(store.transact, NOTION, lambda before, now: Decision(before, now))
                with another(postgres_url) as third:
                    while not waiting(third):
                        assert not waiter.done()
                [(freed,)] = other.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()
            assert freed < waiter.result(timeout=30) < freed + 30
            found, now = store.read(NOTION)
            assert (found.delivered, freed < now < freed + 30) == (1, True)
            assert freed < store.evidence.now() < freed + 30

    def test_tells_when_a_listing_began_and_ended(self, postgres_url: str) -> None:
        with open_store(postgres_url) as store:
            before = store.evidence.now()
            assert before < store.evidence.begin_listing(PAGES, full=True).listing.began_at < store.evidence.now()
            sync(store.evidence, PAGES, [[("a", 1)]])
            assert before < store.evidence.cursor(PAGES).completed_at < store.evidence.now()


class TestProcesses:
    def test_that_share_a_bucket_lose_nothing_not_even_the_first_row(self, postgres_url: str, start) -> None:
        workers, times = [start("count", postgres_url, "notion", 60) for _ in range(4)], 60
        for worker in workers:
            worker.go()
        assert [worker.end() for worker in workers] == [0] * 4
        assert sorted(number for worker in workers for number in worker.told) == list(range(1, 4 * times + 1))
        with open_store(postgres_url) as store:
            assert store.read(NOTION)[0].delivered == store.history_length(NOTION) == 4 * times

    def test_that_begin_one_listing_at_once_begin_one(self, postgres_url: str) -> None:
        gate = threading.Barrier(4)

        def begin(_: int):
            with open_store(postgres_url) as store:
                store.evidence.now()
                gate.wait(timeout=30)
                return store.evidence.begin_listing(PAGES, full=True)

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(begin, range(4)))) == 1

    def test_that_are_killed_keep_what_they_were_told_is_done(self, postgres_url: str, start) -> None:
        counting = [start("count", postgres_url, "shared", 1_000_000) for _ in range(3)]
        for worker in counting:
            worker.go()
        for number, worker in enumerate(counting, 1):
            for _ in range(15 * number):
                worker.hear()
            worker.kill()
        acknowledged = max(number for worker in counting for number in worker.told)
        with open_store(postgres_url) as store:
            reached = store.read(Bucket("shared"))[0].delivered
            assert acknowledged <= reached <= acknowledged + 3
            assert store.history_length(Bucket("shared")) == reached

    def test_that_start_at_once_make_one_schema(self, new_postgres_url: str, start) -> None:
        workers = [start("open", new_postgres_url) for _ in range(4)]
        for worker in workers:
            worker.go()
        assert [worker.end() for worker in workers] == [0] * 4
        assert tables_of(new_postgres_url) == {*tables.metadata.tables, schema.VERSION_TABLE}

    def test_that_are_killed_in_the_upgrade_leave_nothing_or_all(self, new_postgres_url: str, start) -> None:
        for point in (5, 9, 14):
            worker = start("upgrade", new_postgres_url, point)
            worker.go()
            assert worker.end() == -9
            assert tables_of(new_postgres_url) == set()
        open_store(new_postgres_url).close()
        assert schema.status(new_postgres_url).revision == schema.HEAD


class TestTheSchema:
    def test_is_what_the_tables_say(self, postgres_url: str) -> None:
        engine = engines.connect(engines.parse_url(postgres_url), "FULL")
        with engine.connect() as connection:
            opts = {"compare_type": True, "compare_server_default": True, "version_table": schema.VERSION_TABLE}
            assert compare_metadata(MigrationContext.configure(connection, opts=opts), tables.metadata) == []
        engine.dispose()

    def test_is_looked_at_without_a_trace(self, new_postgres_url: str) -> None:
        status = schema.status(new_postgres_url)
        assert (status.revision, status.head, status.exists) == (None, schema.HEAD, True)
        assert tables_of(new_postgres_url) == set()

    def test_lives_beside_another_program_that_uses_alembic(self, new_postgres_url: str) -> None:
        with another(new_postgres_url) as theirs:
            theirs.execute("CREATE TABLE alembic_version (version_num varchar(32))")
            theirs.execute("INSERT INTO alembic_version VALUES ('theirs')")
            with open_store(new_postgres_url) as store:
                assert store.transact(NOTION, added) == 1
            assert theirs.execute("SELECT * FROM alembic_version").fetchall() == [("theirs",)]

    def test_of_a_newer_program_is_refused(self, new_postgres_url: str) -> None:
        schema.upgrade_url(new_postgres_url)
        with another(new_postgres_url) as connection:
            connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
        with pytest.raises(SchemaTooNew, match="has schema 9999"):
            open_store(new_postgres_url)
        assert isinstance(schema.status(new_postgres_url), SchemaStatus)


@contextmanager
def held(url: str) -> Iterator[None]:
    """Another session holds the row and every collection's place in the queue."""
    with another(url) as other, other.transaction():
        other.execute("SELECT * FROM limiter FOR UPDATE")
        other.execute("LOCK TABLE cursor IN ACCESS EXCLUSIVE MODE")
        yield


class TestWhatIsInTheWay:
    def test_is_told_when_another_session_holds_the_row_for_too_long(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.05)
        with open_store(postgres_url) as store:
            store.transact(NOTION, added)
            with held(postgres_url):
                for work in (
                    lambda: store.transact(NOTION, added),
                    lambda: store.reset(NOTION),
                    lambda: sync(store.evidence, PAGES, [[]]),
                ):
                    with pytest.raises(DatabaseBusy, match=r"Another process holds the database .* for too long"):
                        work()
                assert store.read(NOTION)[0].delivered == 1
            assert store.transact(NOTION, added) == 2

    def test_is_told_when_the_database_is_a_replica_that_only_reads(self, postgres_url: str) -> None:
        read_only = make_url(postgres_url)
        options = f"{read_only.query['options']} -cdefault_transaction_read_only=on"
        read_only = read_only.update_query_dict({"options": options}).render_as_string(hide_password=False)
        with open_store(read_only) as store:
            assert store.read(NOTION)[0] is None
            with pytest.raises(DatabaseReadOnly):
                store.transact(NOTION, added)
            with pytest.raises(DatabaseReadOnly):
                sync(store.evidence, PAGES, [[]])

    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            ("53100", DatabaseFull),  # disk_full
            ("40P01", DatabaseBusy),  # deadlock_detected
            ("42501", DatabaseUnavailable),  # insufficient_privilege
        ],
    )
    def test_is_told_when_the_server_itself_is_in_trouble(self, new_postgres_url: str, state: str, kind: type) -> None:
        """The server's own words for what is hard to provoke."""
        with open_store(new_postgres_url) as store, another(new_postgres_url) as other:
            store.transact(NOTION, added)
            other.execute(
                f"CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END $$"
            )
            other.execute("CREATE TRIGGER fails BEFORE INSERT ON limiter_history FOR EACH ROW EXECUTE FUNCTION fails()")
            other.execute("CREATE TRIGGER fails BEFORE INSERT ON evidence FOR EACH ROW EXECUTE FUNCTION fails()")
            for work in (lambda: store.transact(NOTION, added), lambda: sync(store.evidence, PAGES, [[("a", 1)]])):
                with pytest.raises(kind, match="acknowledged before is kept") as caught:
                    work()
                assert type(caught.value) is kind
            other.execute("DROP FUNCTION fails CASCADE")
            assert store.transact(NOTION, added) == 2
            assert sync(store.evidence, PAGES, [[("a", 1)]]).new == 1

    def test_is_told_when_a_table_was_dropped(self, new_postgres_url: str) -> None:
        with open_store(new_postgres_url) as store:
            with another(new_postgres_url) as connection:
                connection.execute("DROP TABLE limiter_history")
            with pytest.raises(DatabaseUnavailable, match="limiter_history"):
                store.transact(NOTION, added)
            assert store.read(NOTION)[0] is None

    def test_is_told_when_a_text_has_a_byte_that_it_cannot_hold(self, postgres_url: str) -> None:
        with open_store(postgres_url) as store:
            with pytest.raises(StateError, match=r"cannot hold .* NUL"):
                store.transact(Bucket("notion", "\x00"), added)
            assert store.transact(NOTION, added) == 1

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("postgresql://127.0.0.1:1/aimd", "does not answer"),
            ("postgresql://ann:s3cret@127.0.0.1:1/aimd?password=s3cret", "does not answer"),
            ("postgresql://ann@127.0.0.1:1/aimd?password=s3cret&password=s3cret", "does not answer"),
            ("postgresql://ann@127.0.0.1:1/aimd?sslpassword=s3cret", "does not answer"),
            ("postgresql://nobody.invalid/aimd", "does not answer"),
            ("postgresql://127.0.0.1/aimd?nonsense=1", "cannot be used"),
        ],
    )
    def test_is_told_when_there_is_no_server(self, url: str, says: str) -> None:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match=says) as caught:
            open_store(url)
        assert time.monotonic() - began < patience.BUSY_TIMEOUT  # a wrong address is not worth a wait
        assert "\n" not in str(caught.value)
        assert "s3cret" not in str(caught.value)

    def test_is_told_when_there_is_no_such_database(self, server_url: str) -> None:
        with pytest.raises(DatabaseUnavailable, match=r"cannot be used .*no_such.* does not exist"):
            open_store(make_url(server_url).set(database="no_such").render_as_string(hide_password=False))

    def test_is_told_when_the_driver_is_not_installed(self) -> None:
        code = (
            "import sys; sys.modules['psycopg'] = None\n"
            "from state import open_store; from state.errors import DatabaseUnavailable\n"
            "try: open_store('postgresql://ann:s3cret@127.0.0.1/aimd')\n"
            "except DatabaseUnavailable as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "pip install 'prefect-aimd[postgres]'" in done.stdout
        assert "s3cret" not in done.stdout


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_the_scheme_means_one_driver_and_shows_no_password(scheme: str) -> None:
    for spelled, shown in (
        ("ann:s3cret@db/aimd", "ann:***@db/aimd"),
        ("ann@db/aimd?password=s3cret", "ann@db/aimd?password=***"),
        ("ann@db/aimd?Password=s3cret&password=s%263cret", "ann@db/aimd?Password=***&password=***"),
    ):
        url = engines.parse_url(f"{scheme}://{spelled}")
        assert engines.shown(url) == f"postgresql://{shown}"
        assert engines.connect(url, "FULL").dialect.driver == "psycopg"


def test_limiters_do_not_wait_for_the_disk_and_evidence_does(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        for engine, commits in ((store._engine, "off"), (store.evidence._engine, "on")):
            with engine.connect() as connection:
                shown = [
                    connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                    for name in ("synchronous_commit", "transaction_isolation", "lock_timeout")
                ]
                assert shown == [commits, "read committed", "30s"]
