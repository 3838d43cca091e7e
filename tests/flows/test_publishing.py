"""What a run publishes and when, and that no server's absence stands in its way."""

import json
import logging
import uuid

import httpx
import pytest
import respx
from prefect.settings import PREFECT_API_URL, temporary_settings

import flows.publishing
from flows.artifact import limiter_artifact
from flows.overview import overview_artifact
from flows.publishing import Publisher
from limiter import ApiRateConfig, Scope, make_client_from_config
from limiter.presets import known_apis
from limiter.testing import FakeClock, ScriptedVendor
from state import Bucket
from state.errors import DatabaseBusy

CONFIG = ApiRateConfig("acme", "https://api.acme.test", initial_rate=1.0)
BUCKET = Bucket("acme")
OWN = "limiter-acme-default-default"
KEYS = {OWN, "limiters"}


class Artifacts:
    """The artifacts of a Prefect server, as the publisher's requests make them; tests/end_to_end has a real one."""

    def __init__(self, routes):
        self.kept, self.requests, self.failure = {}, 0, None
        routes.post("/artifacts/").mock(side_effect=self._create)
        routes.patch(url__regex=r".*/artifacts/(?P<number>[-0-9a-f]+)$").mock(side_effect=self._update)
        routes.get(path__regex=r".*/csrf-token$").respond(422, json={"detail": "CSRF protection is disabled."})

    def _answer(self, status, answer=None):
        self.requests += 1
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure or httpx.Response(status, json=answer)

    def _create(self, request):
        made = {"id": str(uuid.uuid4()), **json.loads(request.content)}
        answer = self._answer(201, made)
        self.kept[made["id"]] = made
        return answer

    def _update(self, request, number):
        if number not in self.kept:
            return self._answer(404, {"detail": "Artifact not found."})
        answer = self._answer(204)
        self.kept[number].update(json.loads(request.content))
        return answer

    def by_key(self):
        return {each["key"]: each for each in self.kept.values()}


@pytest.fixture
def artifacts(monkeypatch):
    monkeypatch.setattr("prefect.events.utilities.should_emit_events", lambda: False)  # they go over a websocket
    monkeypatch.setattr(flows.publishing, "get_run_logger", lambda: logging.getLogger("the run"))
    url = "http://prefect.test/api"
    with temporary_settings({PREFECT_API_URL: url}), respx.mock(base_url=url, assert_all_called=False) as routes:
        yield Artifacts(routes)


@pytest.fixture
def use(clock, store):
    """Send some requests, so that the limiter learns."""

    def send(*replies):
        vendor = ScriptedVendor(replies or [200], clock)
        with make_client_from_config(CONFIG, store=store, transport=vendor.transport, sleep=clock.sleep) as client:
            for _ in range(5):
                client.get("/users")

    return send


@pytest.fixture
def ticks():
    """The seconds of the publisher, which the requests do not take any of."""
    return FakeClock()


@pytest.fixture
def publisher(store, ticks):
    return Publisher(store, BUCKET, CONFIG, every=60.0, monotonic=ticks)


def test_what_is_published_is_the_page_and_the_overview_of_the_store(artifacts, publisher, store, use):
    use(200, (429, {"Retry-After": "30"}))
    assert publisher.finally_publish()
    published = artifacts.by_key()
    assert set(published) == KEYS
    pages = {"limiters": overview_artifact(store, known_apis()), OWN: limiter_artifact(store, BUCKET, CONFIG)}
    for key, page in pages.items():
        assert (published[key]["description"], published[key]["data"]) == page
        assert published[key]["type"] == "markdown"
    assert "1 backoff in the last hour" in published["limiters"]["description"]


def test_a_limiter_that_was_never_used_is_not_shown(artifacts, publisher):
    assert publisher.finally_publish()
    assert artifacts.requests == 0


def test_a_long_run_publishes_once_a_minute_and_only_what_has_changed(artifacts, publisher, ticks, use):
    requests = []
    for seconds, is_busy in ((59, True), (1, True), (30, True), (30, True), (60, False), (59, True), (1, True)):
        ticks.now += seconds
        if is_busy:
            use()
        publisher.now_and_then()
        requests.append(artifacts.requests)
    assert requests == [0, 2, 2, 4, 4, 4, 6]


def test_each_run_has_one_version_of_each_artifact(artifacts, publisher, ticks, use, store):
    for _ in range(3):
        ticks.now += 61
        use()
        publisher.now_and_then()
    publisher.finally_publish()
    assert {each["key"] for each in artifacts.kept.values()} == KEYS
    assert len(artifacts.kept) == 2
    assert artifacts.by_key()[OWN]["data"] == limiter_artifact(store, BUCKET, CONFIG)[1]
    use()
    Publisher(store, BUCKET, CONFIG).finally_publish()
    assert len(artifacts.kept) == 4


def test_a_version_that_somebody_has_deleted_is_made_again(artifacts, publisher, use):
    use()
    publisher.finally_publish()
    artifacts.kept.clear()
    assert publisher.finally_publish()
    assert set(artifacts.by_key()) == KEYS


AWAY = [
    pytest.param(httpx.ConnectError("refused"), "ConnectError", id="away"),
    pytest.param(httpx.ReadTimeout("slow"), "ReadTimeout", id="hangs"),
    pytest.param(httpx.Response(500), "500", id="broken"),
    pytest.param(httpx.Response(200, text="<html>"), "", id="a proxy's page"),
]


@pytest.mark.parametrize(("failure", "word"), AWAY)
def test_a_server_that_is_away_costs_one_line_and_the_next_time_is_another_try(
    artifacts, publisher, ticks, use, caplog, failure, word
):
    use()
    artifacts.failure = failure
    ticks.now += 60
    publisher.now_and_then()
    publisher.now_and_then()
    assert artifacts.requests == 1
    [line] = [record.getMessage() for record in caplog.records if record.name == "the run"]
    assert line.startswith("What the limiter of acme/default/default learned is not shown in Prefect (")
    assert word in line
    assert line.endswith("It is kept: aimd limiter history acme")

    assert not publisher.finally_publish()
    artifacts.failure = None
    ticks.now += 60
    publisher.now_and_then()
    assert set(artifacts.by_key()) == KEYS


def test_a_version_is_kept_through_a_failure(artifacts, publisher, use):
    use()
    publisher.finally_publish()
    artifacts.failure = httpx.ConnectError("refused")
    assert not publisher.finally_publish()
    artifacts.failure = None
    assert publisher.finally_publish()
    assert len(artifacts.kept) == 2


def test_a_database_that_fails_does_not_fail_the_run(artifacts, publisher, store, use, monkeypatch, caplog):
    use()

    def busy(*_):
        raise DatabaseBusy("The database is busy.")

    monkeypatch.setattr(store, "history", busy)
    assert not publisher.finally_publish()
    assert "(DatabaseBusy: The database is busy.)" in caplog.text
    assert artifacts.requests == 0


def test_every_limit_of_the_api_has_an_artifact_of_its_own(artifacts, clock, store):
    config = ApiRateConfig(
        "acme", "https://api.acme.test", initial_rate=1.0, scopes=(Scope("search", "/search", documented_rate=3.0),)
    )
    vendor = ScriptedVendor([200, 200], clock)
    for tenant in ("default", "other"):
        with make_client_from_config(
            config, tenant=tenant, store=store, transport=vendor.transport, sleep=clock.sleep
        ) as client:
            client.get("/users")
            client.get("/search")
    assert Publisher(store, BUCKET, config).finally_publish()
    assert artifacts.by_key().keys() == {OWN, "limiter-acme-search-default", "limiters"}
