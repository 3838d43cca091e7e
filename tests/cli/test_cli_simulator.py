import json
import signal
import socket

import httpx
import pytest

NOTION = {"Notion-Version": "2025-09-03", "Authorization": "Bearer secret"}


@pytest.fixture
def simulator(aimd_process):
    """Start `aimd simulator --json` and give its process and what it said of itself."""

    def starts(*arguments):
        process = aimd_process("simulator", "--json", "--latency", "0", *arguments)
        return process, json.loads(process.stdout.readline())

    return starts


def test_the_first_line_is_the_base_url(aimd_process):
    process = aimd_process("simulator", "--api", "notion", "--policy", "token:rate=5,burst=5", "--port", "0")
    base_url = process.stdout.readline().strip()
    assert base_url.startswith("http://127.0.0.1:")
    assert base_url.endswith("/v1")
    assert httpx.get(f"{base_url}/users", headers=NOTION).json()["object"] == "list"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "")
    assert f"AIMD_NOTION_BASE_URL={base_url} aimd sync notion" in err


def test_json_says_where_and_behind_which_limit(simulator):
    process, told = simulator("--policy", "fixed:count=2,window=60", "--token", "secret")
    assert told == {
        "url": told["url"],
        "base_url": f"{told['url']}/v1",
        "policy": "fixed:count=2,window=60",
        "token": "secret",
    }
    assert httpx.get(f"{told['url']}/_stats").json()["policy"] == "fixed:count=2,window=60"
    process.terminate()
    out, _ = process.communicate()
    assert (process.returncode, out) == (0, "")


def test_the_options_reach_the_vendor(simulator):
    _, told = simulator(
        "--policy", "fixed:count=2,window=60", "--token", "secret", "--retry-after", "none", "--count", "users=3",
        "--fault", "error-500@GET /v1/users#2",
    )  # fmt: skip
    with httpx.Client(base_url=told["base_url"], headers=NOTION) as client:
        assert client.get("/users", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert len(client.get("/users").json()["results"]) == 3
        assert client.get("/users").status_code == 500
        refused = client.get("/users")
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers


def test_it_speaks_the_vendor_that_is_named(aimd_process):
    process = aimd_process("simulator", "--api", "github", "--policy", "documented", "--count", "members=3")
    base_url = process.stdout.readline().strip()
    members = httpx.get(f"{base_url}/orgs/example-org/members", headers={"Authorization": "Bearer secret"})
    assert (len(members.json()), members.headers["x-ratelimit-limit"]) == (3, "5000")
    assert httpx.get(f"{base_url}/_stats").json()["policy"] == "documented"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert f"AIMD_GITHUB_BASE_URL={base_url} aimd sync github" in err


def test_any_token_will_do_unless_one_is_named(simulator):
    _, told = simulator()
    assert told["token"] is None
    version = {"Notion-Version": NOTION["Notion-Version"]}
    assert httpx.get(f"{told['base_url']}/users", headers={**version, "Authorization": "Bearer x"}).status_code == 200
    assert httpx.get(f"{told['base_url']}/users", headers=version).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--policy", "token:rate=0,burst=5"), "rate must be"),
        (("--policy", "tokens"), "known forms: token:rate=5,burst=5"),
        (("--fault", "reset"), "KIND@METHOD /path#N"),
        (("--fault", "explode@GET /v1#1"), "known kinds: not-json"),
        (("--latency", "fast"), "Latency must be"),
        (("--latency", "2,1"), "Latency must be"),
        (("--latency", "nan"), "Latency must be"),
        (("--count", "users"), "of the form KIND=N, as people=100"),
        (("--count", "users=3", "--count", "users=4"), "The count of users is given twice: 3 and 4."),
        (("--api", "github", "--count", "users=3"), "There is no kind 'users'; known: members,"),
    ],
)
def test_what_cannot_be_simulated_is_a_sentence(aimd, arguments, says):
    refused = aimd("simulator", *arguments, "--json")
    assert refused.code == 2
    assert says in refused.json["error"]


def test_a_port_that_is_taken_is_a_sentence(aimd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = aimd("simulator", "--port", str(port), "--json")
    assert refused.code == 1
    assert refused.json["error"] == f"Cannot listen on 127.0.0.1 port {port}: Address already in use."


def test_a_host_that_is_none_of_ours_is_a_sentence(aimd):
    refused = aimd("simulator", "--host", "192.0.2.1", "--json")
    assert refused.code == 1
    assert "Cannot listen on 192.0.2.1" in refused.json["error"]
