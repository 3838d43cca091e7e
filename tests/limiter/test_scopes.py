"""Several limits in one API: which a request has to pass, whom a refusal belongs to, and that no slot is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter import (
    API_RATE_CONFIGS,
    ApiRateConfig,
    ConfigurationError,
    Limiter,
    Scope,
    Throttled,
    WaitTooLong,
    make_async_client_for,
    make_client_for,
)
from limiter.scopes import config_for, limits_of
from limiter.testing import START, FakeClock
from state import Bucket
from state.memory import MemoryStore

ACME = ApiRateConfig(
    "acme",
    "https://api.acme.test/v1",
    initial_rate=10.0,
    words=("all",),
    scopes=(
        Scope("team-{team}", "/teams/{team}/*", beside=True, words=("team",), initial_rate=2.0),
        Scope("export", "/export", methods=("POST",), initial_rate=0.1),
        Scope("workspace", when_named=True, words=("workspace",)),
    ),
)


def rates(played: Any) -> dict[str, float]:
    return {bucket.scope: state.rate for bucket, state in played.limiter.store.buckets()}


def refusal(headers: dict[str, str] | None = None, word: str = "") -> httpx.Response:
    body = {"additional_data": {"rate_limit_reason": word}}
    return httpx.Response(429, headers={"Retry-After": "30", **(headers or {})}, json=body)


@pytest.mark.parametrize(
    ("api", "method", "path", "scopes"),
    [
        ("notion", "GET", "/users", ["default", "workspace", "endpoint-users"]),
        ("vanta", "GET", "/v1/controls", ["default"]),
        ("vanta", "POST", "/oauth/token", ["token"]),
        ("vanta_auditor", "GET", "/v1/audits/a/evidence", ["default"]),
        ("vanta_auditor", "GET", "/v1/audits/a/evidence/e/urls", ["evidence_urls"]),
        ("vanta_auditor", "PATCH", "/v1/audits/a/evidence/e", ["writes"]),
        ("fieldguide", "GET", "/v1/engagements", ["default"]),
        ("github", "GET", "/orgs/o/members", ["default"]),
        ("github", "GET", "/orgs/o/audit-log", ["audit_log"]),
        ("github", "POST", "/repos/o/r/issues", ["default", "writes"]),
        ("github", "POST", "/graphql", ["graphql"]),
        ("slack", "GET", "/users.list", ["users.list"]),
        ("slack_audit", "GET", "/logs", ["default"]),
        ("airtable", "GET", "/appA/tblB", ["user", "base-appA"]),
        ("airtable", "GET", "/meta/bases/appA/tables", ["base-appA"]),
        ("airtable", "GET", "/meta/bases", ["default"]),
        ("openai", "GET", "/organization/users", ["default"]),
        ("zapier", "POST", "/hooks/catch/123/abc/", ["default", "hook-ba7816bf8f01"]),
        ("zapier", "POST", "/hooks/catch/abc", ["userless-hook-ba7816bf8f01"]),
    ],
)
def test_the_presets_know_the_documented_limits(api: str, method: str, path: str, scopes: list[str]) -> None:
    config = API_RATE_CONFIGS[api]
    limits = limits_of(config, method, path)
    assert [limit.name for limit in limits] == scopes
    for limit in limits:
        assert config_for(config, limit.name) == (limit.scope.config_of(config) if limit.scope else config)


@pytest.mark.parametrize("api", API_RATE_CONFIGS)
def test_the_main_limit_is_not_taken_for_one_of_a_part(api: str) -> None:
    assert config_for(API_RATE_CONFIGS[api], "default") is API_RATE_CONFIGS[api]


@pytest.mark.parametrize("path", ["/hooks/catch/123/s3cret/", "/hooks/catch/s3cret"])
def test_the_secret_part_of_an_address_is_not_in_the_name_of_its_bucket(path: str) -> None:
    names = [limit.name for limit in limits_of(API_RATE_CONFIGS["zapier"], "POST", path)]
    assert "hook-" in names[-1]
    assert "s3cret" not in "".join(names)


def test_a_request_passes_every_limit_that_is_beside_another(play: Any) -> None:
    played = play([], url="/teams/red/people", times=4, config=ACME)
    assert played.sends[:3] == [0.0, 0.5, 1.0], "the slower one paces"
    assert sorted(rates(played)) == ["default", "team-red"], "one that was never named has no row"
    assert played.limiter.snapshot()["scopes"].keys() == {"team-red", "workspace"}


def test_limits_of_other_paths_are_counted_apart(play: Any, clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)
    assert play([refusal()], url="/teams/red/people", config=ACME, store=store).sends == [0.0, 30.0]
    assert play([], url="/teams/blue/people", config=ACME, store=store).sends == [0.1], (
        "another team waits for the main one"
    )
    played = play([], url="/people", times=2, config=ACME, store=store)
    assert played.sends == [0.1, 0.2]
    assert rates(played)["team-red"] < rates(played)["team-blue"] == 2.0


def test_a_limit_takes_the_place_of_the_main_one_unless_it_is_beside_it(play: Any) -> None:
    played = play([], "POST", "/export", times=2, config=ACME)
    assert played.sends == [0.0, 10.0]
    assert list(rates(played)) == ["export"]
    assert list(rates(play([], "GET", "/export", config=ACME))) == ["default"]


@pytest.mark.parametrize(
    ("word", "cut", "kept"),
    [
        ("", "team-red", "default"),
        ("team", "team-red", "default"),
        ("all", "default", "team-red"),
        ("something new", "team-red", "default"),
    ],
)
def test_a_refusal_belongs_to_the_limit_that_the_vendor_names_or_to_the_most_specific(
    play: Any, word: str, cut: str, kept: str
) -> None:
    config = replace(ACME, dialect="notion")
    played = play([refusal(word=word)], url="/teams/red/people", config=config)
    assert played.response.status_code == 200
    initial = {"default": 10.0, "team-red": 2.0}
    assert rates(played)[cut] < initial[cut]
    assert rates(played)[kept] >= initial[kept]


def test_a_limit_that_is_named_for_the_first_time_holds_from_then_on(play: Any, clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)
    played = play([refusal(word="public_api_space_request_rate_limit")], url="/users", api="notion", store=store)
    assert played.sends == [0.0, 30.0]
    assert rates(played) == {"default": 2.0, "workspace": pytest.approx(6.7)}
    again = play([refusal(word="public_api_space_request_rate_limit")], url="/users", api="notion", store=store)
    assert again.sends == [0.5, 30.5]
    assert rates(again)["workspace"] < 6.7


def test_an_error_is_about_the_limit_that_refused(play: Any) -> None:
    error = play([refusal()], url="/users.list", api="slack", bounds={"max_retries": 0}).error
    assert isinstance(error, Throttled)
    assert (error.bucket, error.until) == ("slack/users.list/default", START + 30.0)


def test_github_names_the_limit_in_a_header(play: Any) -> None:
    core = {"x-ratelimit-resource": "core", "x-ratelimit-remaining": "12", "x-ratelimit-reset": str(int(START) + 3600)}
    played = play([refusal(core)], "POST", "/repos/o/r/issues", api="github")
    assert rates(played)["default"] < 2.0
    assert rates(played)["writes"] >= 1.0


def test_who_would_wait_too_long_for_one_limit_takes_no_slot_of_another(play: Any, clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)
    main = Limiter(ACME, Bucket("acme"), store)
    main.store.transact(main.bucket, main.reserving(waited=False, patience=9.0))
    held = main.route("GET", "/v1/teams/red/x").limiters["team-red"]
    for _ in range(5):
        store.transact(held.bucket, held.reserving(waited=False, patience=9.0))
    before = dict(store.buckets())
    error = play([], url="/teams/red/x", config=ACME, store=store, bounds={"max_wait": 0.4}).error
    assert isinstance(error, WaitTooLong)
    assert error.bucket == "acme/team-red/default"
    assert dict(store.buckets()) == before


def test_a_cooldown_that_begins_while_another_slot_is_waited_for_voids_the_first(clock: FakeClock) -> None:
    config = replace(ACME, initial_rate=0.5)
    store = MemoryStore(clock=clock)
    main = Limiter(config, Bucket("acme"), store)
    sends: list[float] = []

    def vendor(_: httpx.Request) -> httpx.Response:
        sends.append(clock() - START)
        return httpx.Response(200)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock() < START + 3:  # meanwhile, in another process
            team = main.route("GET", "/v1/teams/red/x").limiters["team-red"]
            store.transact(team.bucket, lambda found, now: _held(team, found, now))

    def _held(limiter: Limiter, found: Any, now: float) -> Any:
        from limiter import aimd
        from state.records import Decision

        return Decision(aimd.held(found, limiter.config, now, 60.0), None)

    from limiter import AimdClient

    with AimdClient(main, transport=httpx.MockTransport(vendor), sleep=sleep) as client:
        client.get("/people")
        client.get("/teams/red/x")
    assert sends[0] == 0.0
    assert sends[1] >= 62.0


@pytest.mark.parametrize("make", [make_client_for, make_async_client_for])
def test_the_tenants_share_by_quota_key_in_every_scope(make: Any, clock: FakeClock) -> None:
    client = make("slack", tenant="one", quota_key="shared", store=MemoryStore(clock=clock))
    (limiter,) = client.limiter.route("GET", "/api/users.list").passed
    assert limiter.bucket == Bucket("slack", "users.list", "shared")
    assert limiter.gate is client.limiter.gate
    assert limiter.tally is client.limiter.tally


@pytest.mark.parametrize(
    "scope",
    [
        {"name": "default"},
        {"name": "a/b"},
        {"name": ""},
        {"path": "/x"},
        {"name": "x", "paths": "/x"},
        {"name": "{team}", "path": "/x"},
        {"name": "x", "methods": "GET"},
        {"name": "x", "methods": 5},
        {"name": "x", "words": 5},
        {"name": "x", "path": "/{team}/{team}"},
        {"name": "x", "when_named": "no"},
        {"name": "x", "beside": 1},
        {"name": "x", "secret": None},
        {"name": "x", "documented_limit_desc": 5},
        {"name": "x", "documented_rate": -1.0},
        {"name": "x", "burst": 1.5},
        {"name": "x", "max_rate": 10**400},
        {"name": "x", "initial_rate": -1},
        {"name": "x", "min_rate": 5, "max_rate": "fast"},
        "x",
    ],
)
def test_a_scope_that_cannot_work_is_refused(scope: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^API 'acme': (a )?scope .*\. Nothing was sent") as refused:
        replace(ACME, scopes=(scope,))
    assert str(refused.value).count("API 'acme'") == 1


RATE = st.none() | st.floats(0, exclude_min=True, allow_infinity=False)


@given(RATE, RATE, RATE, RATE)
def test_the_rates_of_any_scope_work_in_its_api(
    initial: float | None, least: float | None, most: float | None, step: float | None
) -> None:
    scope = Scope("x", initial_rate=initial, min_rate=least, max_rate=most, increase_step=step)
    config = scope.config_of(ACME)
    assert config.min_rate <= config.initial_rate <= config.max_rate == (most or ACME.max_rate)


@pytest.mark.parametrize("place", ["{team}", "{1}", "{1²}"])
def test_a_place_may_have_any_name(place: str) -> None:
    config = replace(ACME, scopes=(Scope(f"a-{place}-{place}", f"/x-{place}/*"),))
    assert [limit.name for limit in limits_of(config, "GET", "/x-red/y")] == ["a-red-red"]
    assert config_for(config, "a-red-red") == config.scopes[0].config_of(config)


def test_a_file_may_declare_scopes(tmp_path: Any) -> None:
    from limiter.config_file import read_config_file

    path = tmp_path / "apis.toml"
    path.write_text(
        '[acme]\nbase_url = "https://api.acme.test"\n'
        '[[acme.scopes]]\nname = "search"\npath = "/search/*"\nmethods = ["GET"]\ninitial_rate = 0.5\n'
    )
    (scope,) = read_config_file(str(path), {})["acme"].scopes
    assert scope == Scope("search", "/search/*", methods=("GET",), initial_rate=0.5)


def test_methods_may_be_written_in_any_case():
    assert Scope("writes", methods=("post", "Patch")) == Scope("writes", methods=("POST", "PATCH"))
