"""Real syncs, each a Prefect flow run in a process of its own, on one PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import real_postgres

from flows.prefect_server import prefect_server
from simulator import Simulator, World
from simulator.server import DEFAULT_TOKEN
from state import Bucket, open_store

TENANTS = ("acme", "birch", "cedar", "dune")


@pytest.mark.server
def test_four_syncs_of_four_tenants_on_one_postgresql(server_url: str, tmp_path: Path) -> None:
    """Each gets all of its evidence and its own limiter, and the database is made by whichever comes first."""
    world = World(seed=3, users=30, pages=40, data_sources=1, rows=10)
    with (
        real_postgres.own_schema(server_url) as database,
        Simulator("none", world, latency=(0.0, 0.01)) as vendor,
        prefect_server(tmp_path / "home", log=tmp_path / "server.log") as prefect,
    ):
        environment = {
            **os.environ,
            "AIMD_DATABASE_URL": database,
            "AIMD_NOTION_BASE_URL": vendor.base_url,
            "NOTION_TOKEN": DEFAULT_TOKEN,
            "PREFECT_API_URL": f"{prefect.address}/api",
        }
        command = [sys.executable, "-m", "flows.cli", "sync", "notion", "--json", "--tenant"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        syncs = [subprocess.Popen([*command, tenant], env=environment, **pipes) for tenant in TENANTS]
        outputs = [sync.communicate(timeout=180) for sync in syncs]
        assert [sync.returncode for sync in syncs] == [0] * 4, outputs
        reports = [json.loads(output) for output, _ in outputs]
        with open_store(database) as store:
            found = {tenant: list(store.evidence.versions(tenant=tenant)) for tenant in TENANTS}
            assert [bucket for bucket, _ in store.buckets()] == [Bucket("notion", quota_key=name) for name in TENANTS]
            runs = store.evidence.runs()
    for report in reports:
        assert report["state"] == "complete"
        assert all(stream["complete"] for stream in report["streams"].values())
        new = sum(stream["new"] for stream in report["streams"].values())
        assert new == len(found[report["tenant"]]) >= 70
    contents = [{(each.collection.stream, each.external_id, each.sha256) for each in some} for some in found.values()]
    assert contents == [contents[0]] * 4
    assert {(run.tenant, run.state) for run in runs} == {(name, "complete") for name in TENANTS}
