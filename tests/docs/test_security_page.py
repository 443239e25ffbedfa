"""docs/security.md does what it says: its commands make certificates that the host takes, and its tables name tests that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()


def block(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def check(folder, *more):
    program = Path(sys.executable).with_name("vyked-host")
    return subprocess.run([program, "check", *more], cwd=folder, capture_output=True, text=True, timeout=30)


@pytest.fixture
def made(tmp_path):
    (commands,) = block("sh")
    subprocess.run(["/bin/sh", "-ec", commands], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    (secret,) = re.findall(r"^    (\(umask.*)$", TEXT, re.MULTILINE)
    subprocess.run(["/bin/sh", "-ec", secret], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    return tmp_path


def test_the_commands_make_what_the_tables_name(made):
    secret, tls = (next(each for each in block("toml") if mark in each) for mark in ("secret =", "cert ="))
    (made / "vyked.toml").write_text(f'[transports.tcp]\nhost = "0.0.0.0"\nadvertise = "127.0.0.1"\n{secret}{tls}')
    done = check(made)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert {
        path.stat().st_mode & 0o077 for path in (made / "secret", made / "tls" / "host.key", made / "tls" / "ca.key")
    } == {0}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))))
def test_what_shows_a_row_exists(path):
    assert "def test_" in (ROOT / path).read_text()


def test_the_unit_takes_every_right_away():
    (unit,) = block("ini")
    for line in ("NoNewPrivileges=yes", "CapabilityBoundingSet=", "UMask=0077", "ProtectSystem=strict", "User=shop"):
        assert f"\n{line}\n" in unit


def test_the_unit_starts_again_what_may_succeed_and_no_wrong_file_or_command_line():
    (unit,) = block("ini")
    assert "\nRestart=on-failure\n" in unit
    (never,) = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert never.split() == [
        str(RULES_OF_THE_PROGRAM[each]) for each in ("the command line was wrong", "the file is wrong")
    ]
    (limits,) = re.findall(r"^\[Unit\]\n(.*?)^\[Service\]", unit, re.MULTILINE | re.DOTALL)
    assert "StartLimitBurst=5" in limits


RULES_OF_THE_PROGRAM = {
    meaning.strip(): int(code)
    for code, meaning in re.findall(r"^\| (\d) \| ([^|]+?) \|$", (ROOT / "docs/semantics.md").read_text(), re.MULTILINE)
}
"""What docs/semantics.md says of exit codes."""
