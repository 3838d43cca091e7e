import json
import signal
import socket

import httpx
import pytest


def test_a_server_that_prefect_is_set_to_use_is_named_and_none_is_started(aimd_process):
    process = aimd_process("ui", "--json", env={"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    out, err = process.communicate()
    assert process.returncode == 0
    assert out == '{"url": "http://127.0.0.1:9", "home": null, "started": false}\n'
    assert "none was started" in err


def test_an_address_that_is_none_is_a_sentence(aimd_process):
    process = aimd_process("ui", "--json", env={"PREFECT_API_URL": "http://[bad/api"})
    out, err = process.communicate()
    assert process.returncode == 2
    assert "Prefect's settings cannot be used" in json.loads(out)["error"]
    assert "Traceback" not in err


def test_a_home_that_is_not_there_is_a_sentence(aimd, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # a home that is asked for comes first
    refused = aimd("ui", "--home", "nowhere", "--json")
    assert refused.code == 2
    assert "There is no Prefect home nowhere" in refused.json["error"]


def test_a_port_that_is_taken_is_a_sentence(aimd, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = aimd("ui", "--home", str(tmp_path), "--port", str(taken.getsockname()[1]), "--json")
    assert refused.code == 1
    assert "is taken" in refused.json["error"]


@pytest.mark.server
def test_the_demos_record_is_served_until_ctrl_c(aimd_process, tmp_path):
    home = tmp_path / ".aimd" / "prefect"
    home.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/other.db"}
    process = aimd_process("ui", "--port", str(port), env=environment, start_new_session=True)
    url = process.stdout.readline().strip()
    assert url == f"http://127.0.0.1:{port}"
    assert httpx.get(url, follow_redirects=True).headers["content-type"].startswith("text/html")
    assert httpx.get(f"{url}/ui-settings").json()["api_url"] == f"{url}/api"
    assert (home / "prefect.db").exists()
    assert not (tmp_path / "other.db").exists()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 0
    assert f"The Prefect home is {home}." in err
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
