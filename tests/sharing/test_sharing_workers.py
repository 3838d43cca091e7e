"""Four Prefect process workers on one PostgreSQL: real syncs that begin together, against vendors on sockets."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import httpx
import pytest
import real_postgres

from flows.prefect_server import prefect_server
from simulator import Simulator, Verdict, World
from simulator.vendors import make_world
from state import Bucket, Decision, LimiterState, open_store
from tests.end_to_end.deployed import Deployed, deployed_on, is_alive
from tests.end_to_end.waiting import asked_in_a_hold, wait_for

pytestmark = pytest.mark.server

NUMBER = 4


class Shut:
    """A limit that lets nobody through, so that no sync ends before all have begun."""

    def admit(self, now: float) -> Verdict:
        return Verdict(allowed=False, retry_after=4.0)

    def release(self, now: float) -> None:
        pass

    def rate(self, now: float) -> float:
        return 0.0


@dataclass(frozen=True)
class Work:
    """A sync that one of the workers is to run."""

    source: str
    vendor: Simulator
    parameters: dict[str, object]


@dataclass(frozen=True)
class Workers:
    """The processes, and where they look for work."""

    deployed: Deployed
    pids: set[int]
    server: real_postgres.Server
    database: str

    def run(self, works: list[Work], opened: str, at_opening: Callable[[], object] = int) -> int:
        """Run all of it at once: the vendors open when everybody is at work. Gives how many were refused before."""
        for vendor in {each.vendor for each in works}:
            vendor.set_policy(Shut())
        at = self.deployed
        runs = [replace(at, source=each.source).start_run(each.vendor.environment, **each.parameters) for each in works]
        for run in runs:
            at.wait(run, "Running")
        for vendor in {each.vendor for each in works}:
            wait_for(lambda: vendor.stats()["rejected"] > 0, 60, at.logs)  # noqa: B023
        at_work = [int(at.run(run)["infrastructure_pid"].rpartition(":")[2]) for run in runs]
        assert len(set(at_work)) == NUMBER
        assert all(map(is_alive, at_work))
        assert {parent_of(pid) for pid in at_work} == self.pids, "each worker has one of them, all at the same time"
        at_opening()
        for vendor in {each.vendor for each in works}:
            vendor.set_policy(opened)
        refused = sum(vendor.stats()["rejected"] for vendor in {each.vendor for each in works})
        for run in runs:
            at.wait(run, "Completed")
        return refused

    def collected(self, tenant: str, source: str = "notion") -> dict[str, set[str]]:
        """The ids that are there by stream, each once and in one version."""
        with open_store(self.database) as store:
            versions = list(store.evidence.versions(source=source, tenant=tenant))
        found = Counter((each.collection.stream, each.external_id) for each in versions)
        assert set(found.values()) == {1}
        assert {each.version for each in versions} == {1}
        streams = {stream for stream, _ in found}
        return {stream: {key for of, key in found if of == stream} for stream in streams}


def parent_of(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True).stdout)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    folder = tmp_path_factory.mktemp("workers")
    (folder / "brisk.toml").write_text(
        "".join(f"[{api}]\ninitial_rate = 4.0\nmin_rate = 4.0\n" for api in ("notion", "slack", "airtable", "openai"))
    )
    with ExitStack() as stack:
        postgres = stack.enter_context(real_postgres.started())  # our own: nobody else's may be stopped
        database = stack.enter_context(real_postgres.own_schema(postgres.url))
        server = stack.enter_context(prefect_server(folder / "home", log=folder / "server.log"))
        elsewhere = Simulator("none")  # each run is told of its vendor
        deployed = deployed_on(server.address, folder, elsewhere)
        ours = {"AIMD_DATABASE_URL": database, "AIMD_CONFIG": str(folder / "brisk.toml")}
        deployed = replace(deployed, environment={**deployed.environment, **ours})
        answer = deployed.deploy()
        assert answer.returncode == 0, answer.stdout + answer.stderr
        # Of one source the deployments let one run at a time; here it is a tenant's, and they are four.
        answered = httpx.patch(
            f"{deployed.api}/deployments/{deployed.deployment['id']}", json={"concurrency_limit": NUMBER}
        )
        answered.raise_for_status()
        command = ("-m", "prefect", "worker", "start", "--pool", "aimd", "--type", "process", "--limit", "1")
        started = [stack.enter_context(deployed.process(f"worker-{number}", *command)) for number in range(NUMBER)]
        yield Workers(deployed, {each.pid for each in started}, postgres, database)


def a_world(seed: int, **counts: int) -> World:
    return World(seed, **{"users": 130, "pages": 220, "data_sources": 1, "rows": 20, **counts})


def test_four_tenants_at_once(workers: Workers) -> None:
    """Each gets what is its own, with a limiter of its own, and the database is made by whichever comes first."""
    tenants = {name: a_world(seed) for seed, name in enumerate(("acme", "birch", "cedar", "dune"))}
    with ExitStack() as stack:
        vendors = {name: stack.enter_context(Simulator(Shut(), world)) for name, world in tenants.items()}
        workers.run([Work("notion", vendors[name], {"tenant": name}) for name in tenants], "token:rate=8,burst=4")
        for name, world in tenants.items():
            assert workers.collected(name) == {
                "users": set(world.ids("user")),
                "pages": {*world.ids("page"), *world.ids("row")},
                "data_sources": set(world.ids("data_source")),
            }
            assert asked_in_a_hold(vendors[name], workers.database, Bucket("notion", quota_key=name)) == []
    with open_store(workers.database) as store:
        assert {bucket for bucket, _ in store.buckets()} >= {Bucket("notion", quota_key=name) for name in tenants}
        assert Counter((run.tenant, run.state) for run in store.evidence.runs()) >= Counter(
            (name, "complete") for name in tenants
        )


def test_four_sources_of_one_tenant_at_once(workers: Workers) -> None:
    """Their database crashes when all of them are at work: they wait until it is back, and nothing is missing."""
    counts = {"slack": {"users": 250}, "airtable": {"records": 30}, "openai": {"users": 30}}
    worlds = {"notion": a_world(9), **{api: make_world(api, 5, **some) for api, some in counts.items()}}
    with ExitStack() as stack:
        vendors = {api: stack.enter_context(Simulator(Shut(), world, api=api)) for api, world in worlds.items()}
        works = [Work(api, vendors[api], {"tenant": "elm"}) for api in worlds]
        workers.run(works, "token:rate=8,burst=4", at_opening=workers.server.restart)
        for api, world in worlds.items():
            found = workers.collected("elm", api)
            if api == "notion":
                found = {"user": found["users"], "page": found["pages"] - {*world.ids("row")}}
            for kind, ids in found.items():
                if api == "notion" or world.records(kind)[0].kind.key:
                    assert ids == set(world.ids(kind)), (api, kind)
                else:  # the vendor shows no id
                    assert len(ids) == len(world.ids(kind)), (api, kind)


def test_one_bucket_in_four_processes_keeps_the_limit(workers: Workers) -> None:
    """Each lists another data source of one tenant: together they find a limit that nobody knows, and keep it."""
    world = a_world(11, users=1, pages=0, data_sources=NUMBER, rows=1500)
    bucket, sources = Bucket("notion", quota_key="fir"), world.ids("data_source")

    def hurry(found: LimiterState | None, now: float) -> Decision[None]:
        """Who waits goes on waiting; then the limit, which is half of this, has to be found."""
        assert found is not None
        return Decision(replace(found, rate=12.0, ceiling=0.0), None)

    def hurry_all() -> None:
        with open_store(workers.database) as store:
            store.transact(bucket, hurry)

    with Simulator(Shut(), world) as vendor:
        asked = [{"tenant": "fir", "streams": ["rows"], "params": {"data_source": each}} for each in sources]
        met = workers.run(
            [Work("notion", vendor, each) for each in asked], "token:rate=6,burst=3", at_opening=hurry_all
        )
        stats = vendor.stats()
        assert workers.collected("fir") == {"rows": set(world.ids("row"))}
        assert asked_in_a_hold(vendor, workers.database, bucket) == []
    later = stats["rejected"] - met
    assert 0 < later <= 3 * NUMBER, "of sixty requests: as many as were under way when one was refused, and few times"
