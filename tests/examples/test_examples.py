"""Every example as a user runs it: a process, a simulator on a socket, and what it prints beside the vendor's data."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator import Simulator, make_world

ROOT = Path(__file__).parents[2]
FOUND = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
SECRET = "s3cret_of_the_example"
FAST = "".join(
    f"[{api}]\ninitial_rate = 1000\nmax_rate = 1000\n"
    for api in ("notion", "vanta", "fieldguide", "github", "slack", "airtable", "openai", "zapier")
)


@dataclass(frozen=True)
class Ran:
    """What came of an example, and the vendors that it asked."""

    output: str
    errors: str
    vendors: dict[str, Simulator]

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()

    def world(self, api: str) -> Any:
        return self.vendors[api].world


def plain_script(ran: Ran) -> None:
    assert ran.lines[0] == f"{len(ran.world('notion').ids('user'))} people and 0 bots"
    assert ran.lines[1].startswith("3 requests, 0 throttled, now ")


def notion(ran: Ran) -> None:
    world, before = ran.world("notion"), (datetime.now(UTC) - timedelta(days=365)).timestamp()
    stale = [page for page in world.records("page") if page.edited < before]
    assert 0 < len(stale) < len(world.ids("page"))
    expected: dict[str, list[str]] = {}
    for page in stale:
        expected.setdefault(world.get(page.author).title, []).append(page.id)
    count, *authors, learned = ran.lines
    assert count == f"{len(stale)} pages, of those that Simulated integration may see, were not edited for a year"
    found = {name: ids.split(", ") for name, ids in (line.split(": ") for line in authors)}
    assert {name: sorted(ids) for name, ids in found.items()} == {name: sorted(ids) for name, ids in expected.items()}
    assert learned.startswith("Notion allows ")


def vanta(ran: Ran) -> None:
    world = ran.world("vanta")
    failing = [test for test in world.records("tests") if test.fields["status"] == "NEEDS_ATTENTION"]
    expected = set()
    for test in failing:
        entities = Counter(each.fields["entityStatus"] for each in world.records("test_entities", test.id))
        due = test.fields["remediationStatusInfo"]["soonestRemediateByDate"]
        expected.add(f"{test.id}: {entities['FAILING']} failing, to be mended by {due}")
    outcome, *lines, learned = ran.lines
    assert " new, 0 changed, 0 unchanged, 0 deleted" in outcome
    assert expected
    assert set(lines) == expected
    assert learned.startswith("Vanta allows ")


def fieldguide(ran: Ran) -> None:
    world, expected = ran.world("fieldguide"), []
    for engagement in world.records("engagements"):
        if engagement.fields["status"] not in ("Complete", "Archived"):
            requests = world.records("requests", engagement.id)
            waiting = [each.fields for each in requests if each.fields["status"] != "Complete"]
            expected.append(f"{engagement.fields['identifier']} {engagement.fields['name']}: {len(waiting)} open")
            expected += [f"  {e['due_date']} {e['identifier']} {e['title']} ({e['status']})" for e in waiting]
    *lines, learned = ran.lines
    assert expected
    assert sorted(lines) == sorted(expected)
    assert learned.startswith("Fieldguide allows ")


def github(ran: Ran) -> None:
    world, expected = ran.world("github"), {}
    going = [each for each in world.records("repos") if not each.fields["archived"]]
    for each in going:
        protections = world.records("branch_protections", each.id)
        if not protections:
            expected[each.fields["full_name"]] = "not protected"
        elif not protections[0].fields["enforce_admins"]["enabled"]:
            expected[each.fields["full_name"]] = "administrators may bypass it"
    *lines, count, learned = ran.lines
    assert set(expected.values()) == {"not protected", "administrators may bypass it"}
    assert dict(line.split(": ") for line in lines) == expected
    assert count == f"{len(going)} repositories, {len(expected)} with a finding"
    assert learned.startswith(f"{len(going)} requests, 0 throttled, now ")


def slack(ran: Ran) -> None:
    users = [u for u in ran.world("slack").records("users") if not (u.fields["is_bot"] or u.fields["deleted"])]
    found = {row["id"]: row for row in csv.DictReader(io.StringIO(ran.output))}
    assert found.keys() == {each.id for each in users}
    without = {each.id for each in users if not each.fields["has_2fa"]}
    assert without
    assert {each for each, row in found.items() if row["two factors"] == "NO"} == without
    admins = {each.id for each in users if each.fields["is_admin"]}
    assert {each for each, row in found.items() if row["role"] == "admin"} == admins
    assert "Slack allows " in ran.errors


def airtable(ran: Ran) -> None:
    world, expected = ran.world("airtable"), []
    for base in world.records("bases"):
        tables = world.records("tables", base.id)
        rows = [row.fields for table in tables for row in world.records("records", table.id)]
        owners = Counter(row["Owner"] or "nobody" for row in rows if row["Status"] == "Late")
        expected.append(f"{base.fields['name']}: {owners.total()} late")
        expected += [f"  {owner}: {number}" for owner, number in sorted(owners.items())]
    *lines, learned = ran.lines
    assert lines == expected
    assert learned.startswith("Airtable allows ")


def openai(ran: Ran) -> None:
    world, before = ran.world("openai"), time.time() - 90 * 86_400
    keys = [*world.records("admin_api_keys"), *world.records("project_api_keys")]
    archived = {project.id for project in world.records("projects") if project.fields["status"] == "archived"}
    keys = [key for key in keys if key.parent not in archived]
    unused = {key.id for key in keys if key.fields["last_used_at"] < before}
    *lines, count, learned = ran.lines
    assert 0 < len(unused) < len(keys)
    assert {line.split()[0] for line in lines} == unused
    assert count == f"{len(unused)} of {len(keys)} keys were not used for 90 days"
    assert " requests, 0 throttled, now " in learned


def zapier(ran: Ran) -> None:
    users = len(ran.world("notion").ids("user"))
    outcome, told, *learned = ran.lines
    assert outcome == f"{users} records: {users} new, 0 changed, 0 unchanged, 0 deleted"
    [payload] = ran.vendors["zapier"].stats()["vendor"]["payloads"]
    assert told == f"Zapier knows of it as {payload['event_id']}"
    assert payload["changes"] == users
    assert [line.split()[0] for line in learned] == ["notion", "zapier"]


def logging_and_metrics(ran: Ran) -> None:
    throttled = ran.vendors["notion"].stats()["rejected"]
    assert throttled
    succeeded, *metrics, learned, history = ran.lines
    assert succeeded == "12 of 12 requests succeeded"
    assert f'aimd_throttled_total{{api="notion",tenant="default"}} {float(throttled)}' in metrics
    assert f'aimd_requests_total{{api="notion",tenant="default"}} {float(12 + throttled)}' in metrics
    backoffs = 'aimd_events_total{api="notion",event="backoff",scope="default",tenant="default"} '
    assert any(line.startswith(backoffs) for line in metrics)
    assert learned.startswith(f"{12 + throttled} requests, {throttled} throttled, now ")
    assert int(history.split()[0]) > 0
    assert "WARNING limiter notion/default/default: backoff" in ran.errors


def _touched_page(world: Any) -> None:
    world.edit(world.ids("page")[0], time.time())


def _used_key(world: Any) -> None:
    world.change(world.ids("admin_api_keys")[0], {"last_used_at": int(time.time())}, time.time())


@dataclass(frozen=True)
class Case:
    """How an example is run, and what it must print.

    Attributes:
        check: Looks at what came of it.
        counts: How many of what there are, by vendor.
        prepare: Changes the first vendor's data before.
        arguments: Of the command line.
        policy: The vendor's hidden limit.
        server: It needs Prefect.
    """

    check: Callable[[Ran], None]
    counts: dict[str, dict[str, int]]
    prepare: Callable[[Any], None] = lambda world: None
    arguments: tuple[str, ...] = ()
    policy: str = "none"
    server: bool = False


NOTION = {"users": 250, "pages": 130, "data_sources": 1, "rows": 1}
CASES = {
    "plain_script": Case(plain_script, {"notion": NOTION}),
    "notion": Case(notion, {"notion": {**NOTION, "users": 6}}, _touched_page, server=True),
    "vanta": Case(vanta, {"vanta": {"tests": 30}}, server=True),
    "fieldguide": Case(fieldguide, {"fieldguide": {"engagements": 8}}, server=True),
    "github": Case(github, {"github": {"repos": 20}}, arguments=("example-org",)),
    "slack": Case(slack, {"slack": {"users": 450}}),
    "airtable": Case(airtable, {"airtable": {}}),
    "openai": Case(openai, {"openai": {}}, _used_key),
    "zapier": Case(zapier, {"notion": NOTION, "zapier": {}}, server=True),
    "logging_and_metrics": Case(logging_and_metrics, {"notion": NOTION}, policy="token:rate=20,burst=1"),
}


def run(name: str, folder: Path, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (folder / "fast.toml").write_text(FAST)
    environment = {
        **os.environ,
        "AIMD_DATABASE_URL": f"sqlite:///{folder / 'aimd.db'}",
        "AIMD_CONFIG": str(folder / "fast.toml"),
        **more,
    }
    command = [sys.executable, f"examples/{name}.py", *CASES[name].arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.server] if n in CASES and CASES[n].server else []) for n in FOUND]
)
def test_prints_what_the_vendor_has(name: str, tmp_path: Path, request: pytest.FixtureRequest):
    assert name in CASES, f"say here what examples/{name}.py must print"
    case, more = CASES[name], {}
    if case.server:
        more["PREFECT_API_URL"] = f"{request.getfixturevalue('server')}/api"
    with ExitStack() as stack:
        vendors = {}
        for api, counts in case.counts.items():
            world = make_world(api, 5, **counts)
            simulator = Simulator(case.policy, world, token=SECRET, api=api, latency=(0.0, 0.0))
            vendors[api] = stack.enter_context(simulator)
            more |= vendors[api].environment
        case.prepare(next(iter(vendors.values())).world)
        ended = run(name, tmp_path, more)
        assert ended.returncode == 0, ended.stderr
        case.check(Ran(ended.stdout, ended.stderr, vendors))
    assert SECRET not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", FOUND)
def test_without_a_credential_says_what_to_set_and_sends_nothing(name: str, tmp_path: Path):
    ended = run(name, tmp_path, {})
    assert (ended.returncode, ended.stdout) == (2, "")
    [sentence] = ended.stderr.splitlines()
    assert sentence.startswith("There is no ")
    assert "Nothing was sent." in sentence
    assert not (tmp_path / "aimd.db").exists()


def test_the_index_names_every_example():
    index = (ROOT / "examples" / "README.md").read_text()
    assert [name for name in FOUND if f"({name}.py)" not in index] == []
