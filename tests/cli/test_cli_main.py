import json
import subprocess
import sys

import pytest
from typer.main import get_command

from flows.cli import app
from state import __version__


def commands(command=None, path=()):
    command = command or get_command(app)
    if subcommands := getattr(command, "commands", None):
        for name, each in subcommands.items():
            yield from commands(each, (*path, name))
    else:
        yield path


COMMANDS = list(commands())


def test_the_commands_are_those_of_the_design():
    assert {" ".join(path) for path in COMMANDS} >= {
        "demo",
        "sync",
        "simulator",
        "ui",
        "limiter list",
        "limiter show",
        "limiter history",
        "limiter reset",
        "limiter export",
        "evidence list",
        "evidence show",
        "db current",
        "db upgrade",
        "presets list",
        "presets show",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(aimd, path):
    shown = aimd(*path, "--help")
    assert shown.code == 0
    assert "--json" in shown.out
    assert "Example" in shown.out
    assert any(line.strip().partition("aimd ")[2].startswith(" ".join(path)) for line in shown.out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], {"prefect", "sqlalchemy", "pygal", "uvicorn", "starlette", "alembic"}),
        (["presets", "list"], {"prefect", "sqlalchemy", "pygal", "uvicorn", "starlette", "alembic"}),
        (["limiter", "list"], {"prefect", "pygal", "uvicorn", "starlette"}),
    ],
)
def test_what_a_command_does_not_need_is_not_imported(arguments, forbidden):
    code = f"import sys; from flows.cli import run; run({arguments!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not forbidden & set(done.stderr.split())


def test_the_version_is_the_packages(aimd):
    assert aimd("--version").out == f"aimd {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense", "--json"),
        ("limiter", "show", "--json"),
        ("limiter", "show", "notion", "--json", "--nonsense"),
        ("limiter", "history", "notion", "--limit", "0", "--json"),
        ("limiter", "export", "--format", "xml", "--json"),
        ("simulator", "--port", "70000", "--json"),
        ("simulator", "--api", "acme", "--json"),
    ],
)
def test_wrong_usage_is_2_and_still_json(aimd, arguments):
    refused = aimd(*arguments)
    assert refused.code == 2
    assert set(refused.json) == {"error"}
    assert "Usage: aimd" in refused.err


def test_wrong_usage_without_json_leaves_stdout_empty(aimd):
    refused = aimd("limiter", "show")
    assert (refused.code, refused.out) == (2, "")
    assert "Missing argument 'API'" in refused.err


def test_the_process_exits_with_the_code(aimd_process):
    process = aimd_process("presets", "show", "nope", "--json")
    out, err = process.communicate()
    assert process.returncode == 2
    assert json.loads(out)["error"] in err


def test_a_name_that_is_no_text_is_a_sentence(aimd_process):
    process = aimd_process(b"presets", b"show", b"\xff", b"--json")
    out, _ = process.communicate()
    assert process.returncode == 2
    assert json.loads(out)["error"].startswith("There is no API")


def test_completion_offers_the_apis(aimd_process):
    words = {"_AIMD_COMPLETE": "complete_bash", "COMP_WORDS": "aimd limiter show no", "COMP_CWORD": "3"}
    out, _ = aimd_process(env=words).communicate()
    assert out.split() == ["notion"]
