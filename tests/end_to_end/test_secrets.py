"""After runs that fail in every way, against vendors that repeat what they are given, no secret is found anywhere.

Each way of failing is a path of one spiteful vendor. Then everything that was written is searched, for each secret and
for each way to spell it: what the processes printed, every log at DEBUG, the errors and their pickles, what Prefect's
server tells and its database file, our database file and every row in it, what `aimd` prints.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import re
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import collect
from flows.blocks import NotionCredentials
from flows.cli import run
from flows.notify import notify_zapier
from flows.sources import SOURCES
from flows.sync import sync
from flows.tasks import call_api, paginate
from flows.vendors.notion import NOTION
from limiter import make_client_for
from limiter.redaction import HIDDEN
from state.store import open_store
from tests.end_to_end.waiting import wait_for

pytestmark = pytest.mark.server

SECRETS = {
    "NOTION_TOKEN": 'ntn_5ecret/of+the="environment"%7',
    "block": "ntn_5ecret/of+the=block",
    "GITHUB_TOKEN": "ghp_5ecretOfGitHub0123456789",
    "SLACK_TOKEN": "xoxb-5ecret-of-slack-0123456789",
    "VANTA_CLIENT_SECRET": "vcs_5ecret/of+vanta=",
    "VANTA_AUDITOR_CLIENT_SECRET": "vcs_wrong5ecret/of+the=auditor",
    "minted": "vat_5ecret/minted+for=us",
    "ZAPIER_HOOK_URL": "5ecretHook/of+zapier",
    "database": "pg5ecretOfTheDatabase",
}
NOBODY = "http://127.0.0.1:1"


def spelled(secret: str) -> set[bytes]:
    """The ways to write a secret; in base64 it looks different at each of three places."""
    once = json.dumps(secret)[1:-1]
    texts = {secret, once, once.replace("/", "\\/"), json.dumps(once)[1:-1], quote(secret), quote_plus(secret)}
    texts |= {quote(secret, safe=""), repr(secret)[1:-1]}
    coded = [base64.b64encode(b"\0" * shift + secret.encode())[4 * bool(shift) :] for shift in range(3)]
    coded += [part.replace(b"+", b"-").replace(b"/", b"_") for part in coded]
    return {text.encode() for text in texts} | {part.rstrip(b"=")[:-1] for part in coded}


class Vendor:
    """Repeats whatever authorizes a request, in each spelling; the first part of the path says how it answers."""

    def __init__(self) -> None:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                vendor.answer(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.asked: list[str] = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        sent = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        way = request.path.split("/")[1].partition("?")[0]
        self.asked.append(way)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if way == "oauth":
            token = json.loads(sent)["client_secret"]
            way = "refused" if "wrong" in token else "mints"
        if way == "hook":
            token = SECRETS["ZAPIER_HOOK_URL"]
        said = " ".join((token, quote(token, safe=""), base64.b64encode(token.encode()).decode()))
        error = {"message": f"{said} is not welcome", "error_description": said, "code": said}
        page = {"results": [{"id": "a", "name": said, "of": {"whom": [token]}}], "has_more": False}
        reply: Callable[..., None] = lambda *given: self.send(request, *given)  # noqa: E731
        match way:
            case "wrong" | "refused":
                reply(401, error)
            case "forbidden" | "hook":
                reply(403, error)
            case "throttled":
                details = {"rate_limit_reason": said, "retry_after": said}
                reply(429, {**error, "additional_data": details}, {"Retry-After": "5000"})
            case "blocked":
                reply(429, {**error, "code": "public_api_request_blocked"})
            case "html":
                reply(200, f"<!DOCTYPE html><title>{said}</title>".encode())
            case "short":
                reply(200, json.dumps(page).encode()[:-9], {"Content-Length": "5000"})
                request.close_connection = True
            case "elsewhere":
                reply(302, error, {"Location": f"https://{token[:3]}.evil.test/?t={quote(token)}"})
            case "linked":
                reply(200, [{"id": 1, "login": said}], {"Link": '<https://evil.test/?page=2>; rel="next"'})
            case "repeats":
                reply(200, page)
            case "no":
                reply(200, {"ok": False, "error": said, "needed": said})
            case "odd":
                request.wfile.write(b"HTTP/1.1 200 OK\r\nno header but " + said.encode() + b"\r\n\r\n")
                request.close_connection = True
            case "mints":
                reply(200, {"access_token": SECRETS["minted"], "expires_in": 3599})
            case _:
                reply(500, error)

    def send(self, to: BaseHTTPRequestHandler, status: int, body: Any, headers: Any = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        to.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(content)


@pytest.fixture
def spiteful() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Every error that ended a listing."""
    caught: list[BaseException] = []
    make = collect.problem_of
    monkeypatch.setattr(collect, "problem_of", lambda task, error: caught.append(error) or make(task, error))
    return caught


class Records(logging.Handler):
    """Every record of every logger, with its traceback, its arguments and its extras."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.__dict__!r}")


@pytest.fixture
def records() -> Iterator[Records]:
    root, handler = logging.getLogger(), Records()
    names = ["", "httpx", "httpcore", "limiter", "prefect", "prefect.flow_runs", "prefect.task_runs"]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
        if name.startswith("prefect"):  # these do not propagate
            logging.getLogger(name).addHandler(handler)
    root.addHandler(handler)
    yield handler
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).removeHandler(handler)


@flow
def calls(api: str, credentials: str | None = None) -> None:
    """Someone's flow whose tasks fail."""
    for state in (
        call_api(api, "GET", "/users", credentials=credentials, return_state=True),
        paginate(api, "GET", "/users", credentials=credentials, return_state=True),
    ):
        state.result()


@flow
def nightly() -> None:
    notify_zapier("notion", "repeats")


WAYS = ("wrong", "forbidden", "html", "short", "elsewhere", "odd", "repeats")
"""To fail, each a stream of Notion's; those that hold back a whole limit have a sync of their own."""
HOLDS = ("throttled", "blocked")


def test_no_secret_is_found_anywhere_after_runs_that_fail_in_every_way(
    aimd: Any,
    server: str,
    spiteful: Vendor,
    errors: list[BaseException],
    records: Records,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    began = time.time()
    for module in ("flows.tries", "limiter.bounds"):
        monkeypatch.setattr(f"{module}.fault_delay", lambda tries: 0.0)
    ours = f"sqlite:///{tmp_path / 'aimd.db'}"
    (tmp_path / "fast.toml").write_text("".join(f"[{api}]\ninitial_rate = 10\nmax_rate = 10\n" for api in PATHS))
    environment = {name: secret for name, secret in SECRETS.items() if name.isupper()} | {
        "AIMD_DATABASE_URL": ours,
        "AIMD_CONFIG": str(tmp_path / "fast.toml"),
        "ZAPIER_HOOK_URL": f"{spiteful.url}/hook/{SECRETS['ZAPIER_HOOK_URL']}",
        "VANTA_CLIENT_ID": "vci_ours",
        "VANTA_AUDITOR_CLIENT_ID": "vci_auditor",
        **{f"AIMD_{api.upper()}_BASE_URL": f"{spiteful.url}/{way}" for api, way in PATHS.items()},
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said: dict[str, str] = {}

    def fails(source: str, streams: list[str], tenant: str, **more: Any) -> None:
        state = sync(source, streams, tenant, release_after=60, return_state=True, **more)
        report = state.result(raise_on_failure=False)
        said[f"{source} {tenant}"] = str(state.message)
        said.update({name: chunk.problem.message for name, chunk in report.streams.items() if chunk.problem})
        assert {name for name, chunk in report.streams.items() if chunk.complete} == {"repeats"} & set(streams)

    with temporary_settings({PREFECT_API_URL: f"{server}/api"}), open_store(ours) as store:
        NotionCredentials(token=SECRETS["block"]).save("of-the-test", overwrite=True)
        with monkeypatch.context() as patched:
            users = NOTION.stream("users")
            streams = tuple(replace(users, name=way, path=f"/{way}") for way in WAYS + HOLDS)
            patched.setitem(SOURCES, "notion", replace(NOTION, streams=streams))
            patched.setenv("AIMD_NOTION_BASE_URL", spiteful.url)
            fails("notion", list(WAYS), "many")
            for way in HOLDS:
                fails("notion", [way], way)
        fails("notion", ["users"], "block", credentials="of-the-test")
        for source, stream in (("vanta", "people"), ("vanta_auditor", "audits"), ("slack", "users")):
            fails(source, [stream], "acme")
        fails("github", ["members"], "acme", params={"org": "acme"})
        for api, credentials in (("notion", None), ("notion", "of-the-test"), ("vanta", None), ("slack", None)):
            errors.append(calls(api, credentials, return_state=True).result(raise_on_failure=False))
        errors.append(nightly(return_state=True).result(raise_on_failure=False))
        monkeypatch.setenv("AIMD_NOTION_BASE_URL", NOBODY)
        fails("notion", ["users"], "nowhere")
        errors.append(calls("notion", return_state=True).result(raise_on_failure=False))
        monkeypatch.setenv("AIMD_NOTION_BASE_URL", f"{spiteful.url}/throttled")
        errors.append(_throttled_with_a_failing_hook(store))
        monkeypatch.setenv("AIMD_DATABASE_URL", f"postgresql://aimd:{SECRETS['database']}@127.0.0.1:1/aimd")
        fails("notion", [], "database")
        monkeypatch.setenv("AIMD_DATABASE_URL", ours)
    assert "1 new" in said["notion many"]
    for key, words in EXPECTED.items():
        assert words in said[key], key
    assert len(errors) == len(WAYS) - 1 + len(HOLDS) + 6 + 7
    assert all(isinstance(error, Exception) for error in errors)

    debug = {f"PREFECT_LOGGING_{name}": "DEBUG" for name in ("LEVEL", "ROOT_LEVEL")}
    debug["PREFECT_LOGGING_EXTRA_LOGGERS"] = "limiter,httpx,httpcore,prefect_aimd"
    process = aimd.start(
        *("sync", "notion", "--tenant", "process", "--json"),
        **{**environment, **debug, "AIMD_NOTION_BASE_URL": f"{spiteful.url}/forbidden"},
    )
    printed = process.communicate(timeout=120)
    assert process.returncode == 1, printed

    capfd.readouterr()
    for command in ("limiter list", "limiter history notion", "limiter export", "evidence list", "evidence show"):
        arguments = [*command.split(), "--json"]
        if command == "evidence show":
            arguments[2:2] = ["notion", "repeats", "a", "--tenant", "many"]
        assert run(arguments) in (0, 2), command
    places = {
        "what the process printed": printed,
        "what was printed": capfd.readouterr(),
        "log records": records.lines,
        "errors": [_shown(error) for error in errors],
        "our database": [path.read_bytes() for path in tmp_path.glob("aimd.db*")],
        "our rows": _rows(tmp_path / "aimd.db"),
        **_told_by_prefect(server, began),
        **{
            f"{path.parent.name}/{path.name}": [path.read_bytes()]
            for path in tmp_path_factory.getbasetemp().glob("prefect*/**/*")
            if path.is_file() and "encrypt" not in path.name
        },
    }
    contents = {place: b"\n".join(_bytes(each) for each in content) for place, content in places.items()}
    found = [
        (place, name)
        for name, secret in SECRETS.items()
        for form in spelled(secret)
        for place, content in contents.items()
        if form in content
    ]
    assert found == [], [
        content[max(0, content.index(form) - 600) :][:900]
        for name, secret in SECRETS.items()
        for form in spelled(secret)
        for place, content in contents.items()
        if form in content and (place, name) in found
    ]
    # And it did look: what stands in the place of a secret is where a vendor's words go.
    for place in ("what the process printed", "log records", "errors", "our database", "our rows", "flow runs", "logs"):
        assert HIDDEN.encode() in contents[place], place
    assert any(HIDDEN.encode() in content for place, content in contents.items() if "prefect.db" in place)
    assert HIDDEN.encode() in contents["events"]
    assert {*WAYS, *HOLDS} < set(spiteful.asked)


PATHS = {
    "notion": "forbidden",
    "vanta": "forbidden",
    "vanta_auditor": "forbidden",
    "github": "linked",
    "slack": "no",
    "zapier": "hook",
}
EXPECTED = {
    "wrong": "does not accept the token (401)",
    "forbidden": "refused to list forbidden (403",
    "html": "not JSON but HTML",
    "short": "the body was cut short",
    "elsewhere": "refused to list elsewhere (302",
    "odd": "RemoteProtocolError",
    "throttled": "Notion asked for 1 h 23 min",
    "blocked": "refuses this client for good",
    "notion nowhere": "ConnectError",
    "notion block": "refused to list users (403",
    "notion database": "postgresql://aimd:***@127.0.0.1:1/aimd does not answer",
    "vanta acme": "refused to list people (403",
    "vanta_auditor acme": "gives no token (401",
    "slack acme": "refused to list users (200",
    "github acme": "another host",
}


def _throttled_with_a_failing_hook(store: Any) -> BaseException:
    def hook(happened: Any) -> None:
        raise RuntimeError(f"I failed at {happened!r}")

    headers = {"Authorization": f"Bearer {SECRETS['NOTION_TOKEN']}"}
    with (
        make_client_for("notion", tenant="hook", store=store, headers=headers, hooks=[hook], max_retries=0) as client,
        pytest.raises(httpx.HTTPError) as caught,
    ):
        client.get("/users")
    return caught.value


def _shown(error: BaseException) -> bytes:
    """An error as somebody may come to write it down, with what it carries."""
    response = getattr(error, "response", None)
    texts = [str(error), repr(error), *traceback.format_exception(error)]
    texts += [] if response is None else [response.text, repr(response.headers)]
    return "\n".join(texts).encode() + pickle.dumps(error)


def _rows(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [repr(row) for name in tables for row in connection.execute(f'SELECT * FROM "{name}"')]


def _told_by_prefect(server: str, began: float) -> dict[str, list[str]]:
    """What the server's API tells of runs, once the events of the last one have arrived."""
    kinds = ("flow_runs", "task_runs", "logs", "artifacts", "block_documents", "flows", "deployments", "variables")
    with httpx.Client(base_url=f"{server}/api", timeout=30) as api:

        def pages(path: str) -> list[str]:
            found: list[str] = []
            while True:
                answer = api.post(f"/{path}/filter", json={"limit": 200, "offset": 200 * len(found)}).raise_for_status()
                found.append(answer.text)
                if len(answer.json()) < 200:
                    return found

        def events() -> list[str]:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began - 5))
            asked = {"filter": {"occurred": {"since": since}}, "limit": 50}
            answer = api.post("/events/filter", json=asked).raise_for_status()
            found = [answer.text]
            while following := answer.json()["next_page"]:
                answer = api.get(following).raise_for_status()
                found.append(answer.text)
            return found

        wait_for(lambda: "aimd.sync.notion.process" in "".join(events()), 60.0, lambda: "the last event did not come")
        told = {kind.replace("_", " "): pages(kind) for kind in kinds}
        ids = re.findall(r'"id":"([0-9a-f-]{36})","created"', "".join(told["flow runs"]))
        states = [api.get("/flow_run_states/", params={"flow_run_id": each}).text for each in ids]
        return {**told, "events": events(), "states": states}


def _bytes(content: Any) -> bytes:
    return content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogatepass")
