"""Both type checkers infer what the face promises, and refuse what they should: an unused ignore is a failure."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SHOWN = ["shop.py", "typing_asserts.py", "faces_asserts.py"]
PYRIGHT = {
    "typeCheckingMode": "strict",
    "reportUnnecessaryTypeIgnoreComment": "error",
    "extraPaths": [str(REPOSITORY)],
    "pythonVersion": "3.11",
}


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    for name in SHOWN:
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def checked(command: list[str], folder: Path) -> None:
    environ = os.environ | {"MYPYPATH": str(REPOSITORY)}
    found = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environ, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.timeout(330)
def test_mypy_strict_infers_and_refuses(shown: Path, pytestconfig: pytest.Config) -> None:
    kept = getattr(pytestconfig, "cache", None)
    cache = kept.mkdir("mypy-face") if kept else shown / "cache"
    flags = ["--strict", "--warn-unused-ignores", "--follow-imports=silent", "--config-file=", "--python-version=3.11"]
    checked(["mypy", *flags, f"--cache-dir={cache}", *SHOWN], shown)


@pytest.mark.timeout(330)
def test_pyright_strict_infers_and_refuses(shown: Path) -> None:
    # basedpyright is pyright with its node inside the wheel: nothing is downloaded when the test runs
    (shown / "pyrightconfig.json").write_text(json.dumps(PYRIGHT))
    checked(["basedpyright", "--pythonpath", sys.executable], shown)
