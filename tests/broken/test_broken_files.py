"""Each file in files/ is broken. Its first lines say how: ``#! LINE:COL words of the message``, in the order of the file.

All of them go through the real command; the plugins are those that are installed.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vyked_host.cli.check import command
from vyked_host.loading.faults import FIRST_PARTY

FILES = Path(__file__).parent / "files"
BROKEN = sorted(FILES.glob("*.toml"))
_EXPECTED = re.compile(rb"#! (\d+):(\d+) ([^\r\n]+)")
ENVIRON = {"EMPTY": "", "WORD": "word"}


def expected(path: Path) -> list[tuple[int, int, str]]:
    return [(int(m[1]), int(m[2]), m[3].decode()) for m in _EXPECTED.finditer(path.read_bytes())]


def check(path: Path, *flags: str):
    return CliRunner(env=ENVIRON).invoke(command, [str(path), *flags], catch_exceptions=False)


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 60
    assert all(expected(path) for path in BROKEN)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_fault_is_told_at_its_place_and_no_other(path):
    result = check(path, "-o", "json")
    problems = [each for each in json.loads(result.stdout)["problems"] if each["severity"] == "error"]
    assert [(each["line"], each["column"]) for each in problems] == [(line, col) for line, col, _ in expected(path)]
    for problem, (_, _, words) in zip(problems, expected(path), strict=True):
        assert words in f"{problem['message']}; {problem['remedy']}"
    assert result.exit_code == 4


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_text_names_file_line_and_column_and_shows_the_line(path):
    text = check(path).stdout
    for line, col, _ in expected(path):
        assert f"{path}:{line}:{col}  error  " in text
        assert f"{line:5d} │ " in text
    assert "Traceback" not in text


def test_as_a_program_it_exits_4_and_prints_no_traceback():
    done = subprocess.run(
        [sys.executable, "-c", "from vyked_host.cli.check import command; command()", "everything.toml"],
        cwd=FILES, env={**os.environ, **ENVIRON}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "everything.toml:7:9  error  host.debug: expected true or false, got 1" in done.stdout
    assert done.stderr == "5 errors in everything.toml\n"


def test_a_name_that_is_ours_to_give_says_what_to_install(tmp_path, monkeypatch):
    """None of those that are is missing here, so one is made up."""
    monkeypatch.setitem(FIRST_PARTY, "transport.pigeon", "vyked-pigeon")
    path = tmp_path / "vyked.toml"
    path.write_text('\n[transports.edge]\nuse = "pigeon"\n')
    [problem] = json.loads(check(path, "-o", "json").stdout)["problems"]
    assert (problem["line"], problem["column"]) == (3, 7)
    assert f"{problem['message']}; {problem['remedy']}".startswith(
        "no transport 'pigeon' is installed; pip install vyked-pigeon"
    )
