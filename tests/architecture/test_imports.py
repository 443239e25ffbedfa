"""The layers hold, and the contracts in setup.cfg would notice if they did not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .sources import ROOT

IMPORTLINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IMPORTLINTER, "--no-cache", "--config", "setup.cfg"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "vyked_host", folder / "vyked_host", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", folder)
    return folder


def test_all_import_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("errors.py", "from .model import names", "layers point one way"),
        ("runtime/tasks.py", "from ..loading import catalogue", "layers point one way"),
        ("model/version.py", "import asyncio", "pure layers know no I/O, clock or chance"),
        ("routing/affinity.py", "import random", "pure layers know no I/O, clock or chance"),
        ("runtime/dispatcher.py", "import pluggy", "only loading and contracts import pluggy"),
        ("runtime/client.py", "import redis", "nothing but builtin imports aiohttp or redis"),
        (
            "builtin/balancers/provider.py",
            "from ..serializers import provider",
            "built-in plugins are independent of one another",
        ),
        ("config/source.py", "import vyked_host", "nobody inside imports the public face"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, module: str, statement: str, contract: str) -> None:
    file = copy / "vyked_host" / module
    original = file.read_text()
    file.write_text(f"{original}\n{statement}\n")
    try:
        done = lint(copy)
    finally:
        file.write_text(original)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
