"""GitHub: two kinds of limit and what tells them apart, links, answers that cost nothing, and who may ask what."""

import time
from collections import Counter

import httpx
import pytest

from simulator import make_world
from simulator.vendors.github import GitHub

HEADERS = {"Authorization": "Bearer secret_simulator", "X-GitHub-Api-Version": "2022-11-28"}
ORG = "/orgs/example-org"


@pytest.fixture(scope="module")
def connect(start):
    """Start a vendor; gives it and a client of it."""

    def connecting(*arguments, **options):
        vendor, _ = start(*arguments, **{"api": "github", **options})
        return vendor, httpx.Client(base_url=vendor.base_url, headers=HEADERS)

    return connecting


@pytest.fixture(scope="module")
def github(connect):
    return connect()


def every(client, path, **query):
    """All records of a listing, from link to link; and how many pages."""
    answer = client.get(path, params={"per_page": 100, **query})
    found, pages = answer.json(), 1
    while "next" in answer.links:
        answer = client.get(answer.links["next"]["url"])
        found, pages = found + answer.json(), pages + 1
    return found, pages


def test_every_listing_gives_what_the_world_has(github):
    _, client = github
    ids = client.get("/_world").json()["ids"]
    for kind, path, key, pages in (
        ("members", "/members", "id", 2),
        ("outside_collaborators", "/outside_collaborators", "id", 1),
        ("repos", "/repos", "id", 1),
        ("rulesets", "/rulesets", "id", 1),
        ("dependabot_alerts", "/dependabot/alerts", "number", 2),
    ):
        found, read = every(client, ORG + path)
        assert (Counter(str(each[key]) for each in found), read) == (Counter(ids[kind]), pages)
    entries, read = every(client, f"{ORG}/audit-log", include="all")
    assert (Counter(each["_document_id"] for each in entries), read) == (Counter(ids["audit_log"]), 3)
    times = [each["@timestamp"] for each in entries]
    assert times == sorted(times, reverse=True)
    assert min(times) > 10**12, "milliseconds"


def test_links_lead_to_the_pages_around(github):
    vendor, client = github
    first = client.get(f"{ORG}/members", params={"role": "all"})
    assert (len(first.json()), first.links.keys()) == (30, {"next", "last"})
    assert first.links["next"]["url"] == f"{vendor.url}{ORG}/members?role=all&page=2"
    last = client.get(first.links["last"]["url"])
    assert (len(last.json()), last.links.keys()) == (10, {"first", "prev"})
    assert len(client.get(f"{ORG}/members", params={"per_page": 1000}).json()) == 100
    assert "link" not in client.get(f"{ORG}/repos").headers
    assert client.get(f"{ORG}/members", params={"page": 9}).json() == []


def test_the_second_factor_is_for_owners_to_ask(github, connect):
    _, client = github
    everyone = {each["id"] for each in every(client, f"{ORG}/members")[0]}
    without = {each["id"] for each in every(client, f"{ORG}/members", filter="2fa_disabled")[0]}
    weak = {each["id"] for each in every(client, f"{ORG}/members", filter="2fa_insecure")[0]}
    admins = {each["id"] for each in every(client, f"{ORG}/members", role="admin")[0]}
    assert without
    assert weak
    assert not without & weak
    assert without | weak < everyone
    assert admins < everyone
    _, member = connect(api=GitHub(make_world("github"), owner=False))
    assert member.get(f"{ORG}/members", params={"filter": "2fa_disabled"}).status_code == 422
    assert member.get(f"{ORG}/members").status_code == 200


def test_branches_are_protected_or_not(github):
    _, client = github
    children = client.get("/_world").json()["children"]
    protected = Counter()
    for repo in every(client, f"{ORG}/repos")[0]:
        branch = f"/repos/{repo['full_name']}/branches/main/protection"
        answer = client.get(branch)
        protected[answer.status_code] += 1
        assert (answer.status_code == 200) == bool(children["branch_protections"][str(repo["id"])])
        assert answer.json().get("message", "Branch not protected") == "Branch not protected"
        rules = client.get(f"/repos/{repo['full_name']}/rules/branches/main").json()
        assert len(rules) == len(children["branch_rules"][str(repo["id"])])
    assert protected == {200: 9, 404: 3}


def test_the_audit_log_is_searched(github):
    _, client = github
    entries, _ = every(client, f"{ORG}/audit-log", include="all", order="asc")
    middle = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entries[100]["@timestamp"] / 1000))
    since, _ = every(client, f"{ORG}/audit-log", include="all", order="asc", phrase=f"created:>={middle}")
    assert since == entries[100:]
    web, git = (every(client, f"{ORG}/audit-log", include=each)[0] for each in ("web", "git"))
    assert len(web) + len(git) == len(entries)
    assert {each["action"] for each in git} == {"git.clone"}
    created, _ = every(client, f"{ORG}/audit-log", phrase="action:repo.create created:>=2020-01-01")
    assert created == [each for each in reversed(entries) if each["action"] == "repo.create"]
    assert client.get(f"{ORG}/audit-log", params={"phrase": "created:>=soon"}).status_code == 422
    assert client.get(f"{ORG}/audit-log", params={"after": "bm9uZQ=="}).status_code == 422


def test_alerts_are_filtered_and_sorted(github):
    _, client = github
    alerts, _ = every(client, f"{ORG}/dependabot/alerts", sort="updated")
    assert [each["updated_at"] for each in alerts] == sorted((each["updated_at"] for each in alerts), reverse=True)
    worst, _ = every(client, f"{ORG}/dependabot/alerts", state="open", severity="high,critical", sort="updated")
    wanted = ("high", "critical")
    assert worst == [
        each for each in alerts if each["state"] == "open" and each["security_advisory"]["severity"] in wanted
    ]
    repositories = {each["full_name"] for each in every(client, f"{ORG}/repos")[0]}
    assert {each["repository"]["full_name"] for each in alerts} <= repositories


def test_changes_are_seen_at_once(connect):
    _, client = connect()
    member, gone, *_ = [str(each["id"]) for each in every(client, f"{ORG}/members")[0]]
    newest = client.get(f"{ORG}/dependabot/alerts", params={"sort": "updated"}).json()[0]
    alert = every(client, f"{ORG}/dependabot/alerts")[0][-1]
    assert alert["number"] != newest["number"]
    client.post("/_edit", json={"id": str(alert["number"]), "set": {"state": "fixed"}})
    client.post("/_edit", json={"id": member})
    client.post("/_remove", json={"id": gone})
    entry = client.post("/_add", json={"kind": "audit_log"}).json()["id"]
    now = client.get(f"{ORG}/dependabot/alerts", params={"sort": "updated", "state": "fixed"}).json()[0]
    assert (now["number"], now["state"]) == (alert["number"], "fixed")
    members = {str(each["id"]): each for each in every(client, f"{ORG}/members")[0]}
    assert gone not in members
    assert members[member]["html_url"].endswith("(revision 2)")
    log, _ = every(client, f"{ORG}/audit-log", include="all")
    assert [each["_document_id"] for each in log] == [entry], "what came before is now over three months old"
    log, _ = every(client, f"{ORG}/audit-log", include="all", phrase="created:>=2020-01-01")
    assert len(log) == 231


def quota(answer):
    names = ("limit", "remaining", "used", "resource")
    return [answer.headers[f"x-ratelimit-{name}"] for name in names]


def test_an_unchanged_answer_costs_nothing_of_the_primary_limit(connect):
    vendor, client = connect()
    first = client.get(f"{ORG}/repos")
    assert quota(first) == ["5000", "4999", "1", "core"]
    same = client.get(f"{ORG}/repos", headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content, quota(same)) == (304, b"", quota(first))
    client.post("/_edit", json={"id": str(first.json()[0]["id"])})
    changed = client.get(f"{ORG}/repos", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, quota(changed)) == (200, ["5000", "4998", "2", "core"])
    assert quota(client.get(f"{ORG}/audit-log")) == ["1750", "1749", "1", "audit_log"]
    assert client.get("/rate_limit").json()["rate"]["remaining"] == 4998
    assert vendor.stats()["vendor"] == {"unchanged": 1}


def test_the_primary_limit_is_told_and_is_each_tokens_own(connect):
    vendor, client = connect(token=None, limits={"core": "fixed:count=2,window=3600,phase=0.5"})
    answers = [client.get(f"{ORG}/repos") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    refused = answers[2]
    assert quota(refused) == ["2", "0", "2", "core"]
    assert 0 < int(refused.headers["x-ratelimit-reset"]) - time.time() <= 3601
    assert "retry-after" not in refused.headers
    assert refused.json()["message"].startswith("API rate limit exceeded for user ID ")
    assert vendor.stats()["cooldown_until"] == int(refused.headers["x-ratelimit-reset"])
    other = client.get(f"{ORG}/repos", headers={"Authorization": "Bearer another"})
    assert (other.status_code, quota(other)) == (200, ["2", "1", "1", "core"])
    assert vendor.stats()["by_bucket"] == {"core": 1}


def test_the_secondary_limit_is_403_or_429_with_quota_left(connect):
    _, client = connect("token:rate=0.0001,burst=1")
    answers = [client.get(f"{ORG}/repos") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 403, 429]
    for answer in answers[1:]:
        assert answer.json()["message"].startswith("You have exceeded a secondary rate limit.")
        assert answer.headers["retry-after"] in ("9999", "10000")
        assert answer.headers["x-ratelimit-remaining"] == "4999", "a refusal is not counted"
    _, silent = connect("token:rate=0.0001,burst=1", retry_after="none")
    silent.get(f"{ORG}/repos")
    assert "retry-after" not in silent.get(f"{ORG}/repos").headers


def test_a_missing_permission_is_no_limit(connect):
    _, client = connect(faults=[f"forbidden@GET {ORG}/audit-log#1"])
    refused = client.get(f"{ORG}/audit-log")
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "1749")
    assert refused.json()["message"] == "Resource not accessible by personal access token"
    assert "retry-after" not in refused.headers


@pytest.mark.parametrize(
    ("path", "headers", "status", "message"),
    [
        (f"{ORG}/repos", {"Authorization": "Bearer wrong"}, 401, "Bad credentials"),
        (f"{ORG}/repos", {"X-GitHub-Api-Version": "2019-01-01"}, 410, "The API version 2019-01-01 is not supported."),
        ("/orgs/nobody/repos", {}, 404, "Not Found"),
        ("/repos/example-org/nothing/branches/main/protection", {}, 404, "Not Found"),
        ("/user", {}, 404, "Not Found"),
        (f"{ORG}/members?role=king", {}, 422, "Validation Failed"),
    ],
)
def test_mistakes_are_worded_as_github_words_them(github, path, headers, status, message):
    answer = github[1].get(path, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (status, message)
    assert answer.json()["documentation_url"].startswith("https://docs.github.com/rest")
