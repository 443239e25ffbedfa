"""The commands themselves."""

import json
import tomllib

import pytest
from click.testing import CliRunner

from vyked_host.cli import check, config


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VYKED_CONFIG", raising=False)

    def invoked(command, *arguments: str, **environ: str):
        return CliRunner(env=environ).invoke(command, list(arguments), catch_exceptions=False)

    return invoked


@pytest.fixture
def healthy(tmp_path):
    path = tmp_path / "vyked.toml"
    path.write_text("[transports.tcp]\nport = 0\n")
    return path


def test_a_right_file_is_exit_0_and_nothing_on_stdout(run, healthy):
    result = run(check.command)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "vyked.toml is right" in result.stderr


def test_no_file_is_a_fault_of_its_own(run):
    result = run(check.command)
    assert result.exit_code == 4
    assert result.stdout.startswith("vyked.toml  error  there is no such file")


def test_the_variable_names_the_file(run, healthy):
    healthy.rename(healthy.with_name("other.toml"))
    assert run(check.command, VYKED_CONFIG="other.toml").exit_code == 0


def test_json_is_an_object_also_when_all_is_well(run, healthy):
    assert json.loads(run(check.command, "-o", "json").stdout) == {"problems": [], "errors": 0, "warnings": 0}


def test_github_gets_its_commands(run, healthy):
    result = run(check.command, "--set", "transports.tcp.port=x", "-o", "github")
    assert result.exit_code == 4
    assert result.stdout.startswith("::error file=--set transports.tcp.port=x,title=vyked-host check::")


def test_show_prints_toml_that_can_be_shown_again(run, healthy):
    first = run(config.command, "show", "-o", "toml").stdout
    healthy.write_text(first)
    assert tomllib.loads(run(config.command, "show", "-o", "toml").stdout) == tomllib.loads(first)


def test_show_of_a_wrong_file_tells_all_faults_and_exits_4(run, healthy):
    healthy.write_text("[host]\nname = 1\ndebug = 2\n[transports.tcp]\n")
    result = run(config.command, "show")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.count("  error  ") == 2


def test_explain_says_what_a_key_is(run, healthy):
    result = run(config.command, "explain", "transports.tcp.port")
    assert result.exit_code == 0
    assert "an integer from 0 to 65535" in result.stdout
    assert run(config.command, "explain", "nope").exit_code == 2
    assert json.loads(run(config.command, "explain", "host.debug", "-o", "json").stdout)["default"] is False


def test_schema_needs_no_file(run):
    found = json.loads(run(config.command, "schema").stdout)
    assert found["properties"]["host"]["properties"]["drain_timeout"]["default"] == 30.0


def test_what_the_terminal_can_not_show_is_escaped(healthy, tmp_path):
    import subprocess
    import sys

    healthy.write_text("[host]\nname = 1 # 日本\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from vyked_host.cli.check import command; command()"], cwd=tmp_path,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "\\u65e5" in done.stdout
    assert done.stderr.count("\n") == 1
