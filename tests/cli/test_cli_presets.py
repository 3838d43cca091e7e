import pytest

from limiter import API_RATE_CONFIGS


def test_list_names_the_presets(aimd):
    listed = aimd("presets", "list", "--json").json
    assert [preset["name"] for preset in listed] == list(API_RATE_CONFIGS)
    notion = listed[0]
    assert (notion["base_url"], notion["initial_rate"], notion["max_rate"]) == ("https://api.notion.com/v1", 2.0, 10.0)
    assert set(notion["sources"].values()) == {"preset"}


def test_a_pipe_gets_a_line_a_preset(aimd):
    lines = aimd("presets", "list").out.splitlines()
    assert len(lines) == 1 + len(API_RATE_CONFIGS)
    assert lines[1].split()[:5] == ["notion", "https://api.notion.com/v1", "2", "10", "180"]


def test_the_file_and_the_environment_are_applied_and_named(aimd, tmp_path, monkeypatch):
    (tmp_path / "apis.toml").write_text('[notion]\nmax_rate = 5.0\n\n[acme]\nbase_url = "https://api.acme.test"\n')
    monkeypatch.setenv("AIMD_CONFIG", "apis.toml")
    monkeypatch.setenv("AIMD_NOTION_BASE_URL", "http://127.0.0.1:9/v1")
    notion = aimd("presets", "show", "notion", "--json").json
    assert (notion["base_url"], notion["max_rate"]) == ("http://127.0.0.1:9/v1", 5.0)
    assert notion["sources"]["base_url"] == "AIMD_NOTION_BASE_URL"
    assert notion["sources"]["max_rate"] == "AIMD_CONFIG"
    assert notion["sources"]["min_rate"] == "preset"
    rows = [line.split() for line in aimd("presets", "show", "acme").out.splitlines()]
    assert ["base_url", "https://api.acme.test", "AIMD_CONFIG"] in rows


def test_an_unknown_preset_is_refused_with_the_known_ones(aimd):
    refused = aimd("presets", "show", "notoin", "--json")
    assert refused.code == 2
    assert "Known: airtable, fieldguide, github, notion" in refused.json["error"]


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "No such file"), ("max_rate =", "not valid TOML"), ("[notion]\nmax = 1", "unknown key 'max'")],
)
def test_a_bad_file_is_a_sentence(aimd, tmp_path, monkeypatch, text, says):
    if text is not None:
        (tmp_path / "apis.toml").write_text(text)
    monkeypatch.setenv("AIMD_CONFIG", "apis.toml")
    for command in (("list",), ("show", "notion")):
        refused = aimd("presets", *command, "--json")
        assert refused.code == 2
        assert says in refused.json["error"]
