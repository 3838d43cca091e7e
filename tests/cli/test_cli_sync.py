"""What `aimd sync` refuses before anything is attempted."""

import json

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.blocks import NotionCredentials


@pytest.fixture
def syncs(aimd_process):
    """Run `aimd sync notion --json` with an environment and give its code, its JSON and its stderr."""

    def runs(*arguments: str, **environment: str):
        environment = {"NOTION_TOKEN": "secret_1", "AIMD_NOTION_BASE_URL": "http://127.0.0.1:9/v1", **environment}
        process = aimd_process("sync", "notion", "--json", *arguments, env=environment)
        out, err = process.communicate()
        assert "Traceback" not in err
        return process.returncode, json.loads(out), err

    return runs


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/api", "does not answer (ConnectError)"),
        ("http://[bad/api", "Prefect's settings cannot be used (Value error, Invalid IPv6 URL)"),
        ("{vendor}", "is no Prefect API that can be used"),
    ],
)
def test_what_is_no_server_is_a_sentence(syncs, aimd_process, url, says):
    if "{vendor}" in url:  # something else that speaks HTTP, as Prefect's own UI does without the /api
        url = url.format(vendor=aimd_process("simulator").stdout.readline().strip())
    code, answer, errors = syncs(PREFECT_API_URL=url)
    assert code == 2
    assert says in answer["error"]
    assert "nothing was attempted" in answer["error"]
    assert answer["error"] in errors


def test_a_parameter_that_is_given_twice_is_a_sentence(syncs):
    code, answer, _ = syncs("--param", "data_source=a", "--param", "data_source=b")
    assert code == 2
    assert answer["error"] == "--param data_source is given twice: 'a' and 'b'. Nothing was sent; give one."


@pytest.mark.server
@pytest.mark.parametrize(
    ("block", "says"), [("nope", "no NotionCredentials block 'nope'"), ("torn", "from the block 'torn' holds a space")]
)
def test_a_block_that_cannot_be_used_is_a_sentence_and_no_run(syncs, server, block, says):
    with temporary_settings({PREFECT_API_URL: f"{server}/api"}):
        NotionCredentials(token="two words").save("torn", overwrite=True, _sync=True)
    code, answer, _ = syncs("--credentials", block, PREFECT_API_URL=f"{server}/api")
    assert code == 2
    assert says in answer["error"]
    runs = httpx.post(f"{server}/api/flow_runs/filter", json={"flow_runs": {"name": {"any_": ["notion-default"]}}})
    assert runs.json() == []
