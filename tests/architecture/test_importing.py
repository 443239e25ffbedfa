"""Importing has no effects, and costs only what the imported module needs itself."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .sources import ROOT, imports, none, sources

pytestmark = pytest.mark.timeout(300)  # a process for each module of the host
HEAVY = {"redis", "rich", "jsonschema", "tree_sitter"}
"""Required dependencies that a run which does not use them never imports."""

HOME = {"vyked_host.builtin.redis": {"redis"}}
"""Packages whose modules are imported only where that package is used; what names them to the host is not among those."""
DOOR = "provider"

CHILD = Path(__file__).with_name("import_effects.py")


def effects(modules: list[str], folder: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """Module -> what importing it, alone in a fresh interpreter, did: events, and heavy modules that it brought."""
    done = subprocess.run(
        [sys.executable, "-B", str(CHILD), *sorted(HEAVY)],
        input=json.dumps(modules),
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    assert set(found) >= set(modules)
    shared = {name: each for name, each in found.items() if name not in modules}  # which nearly all import
    none(f"{name}: {event}" for name, each in shared.items() for event in (*each["events"], *each["heavy"]))
    return {name: found[name] for name in modules}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, list[str]]]:
    compileall.compile_dir(ROOT / "vyked_host", quiet=2)  # once, not in each of the children: they write nothing
    return effects([each.module for each in sources() if not each.path.endswith("__main__.py")])


def test_no_import_starts_or_opens_anything(found: dict[str, dict[str, list[str]]]) -> None:
    none(f"{module}: {event}" for module, each in found.items() for event in each["events"])


def test_heavy_packages_come_only_with_the_module_that_imports_them_itself(
    found: dict[str, dict[str, list[str]]],
) -> None:
    own = {each.module: {name.partition(".")[0] for _, name in imports(each.tree)} for each in sources()}
    none(
        f"{module}: {name}"
        for module, each in found.items()
        for name in sorted(set(each["heavy"]) - own[module] - of_home(module))
    )


def of_home(module: str) -> set[str]:
    """Heavy packages that `module` may bring since all of its package is about them."""
    if module.endswith(f".{DOOR}"):
        return set()
    return {name for home, names in HOME.items() if module.startswith(f"{home}.") for name in names}


def test_what_names_a_heavy_back_end_to_the_host_is_light(found: dict[str, dict[str, list[str]]]) -> None:
    doors = [f"{home}.{DOOR}" for home in HOME]
    assert [found[door]["heavy"] for door in doors] == [[] for _ in doors]


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("import threading; threading.Thread(target=print, daemon=True).start()", "thread"),
        ("import asyncio; loop = asyncio.new_event_loop()", "socket.__new__"),
        ("import socket; s = socket.socket()", "socket.__new__"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("open('left-behind', 'w')", "open for writing"),
        ("import signal; signal.signal(signal.SIGUSR1, print)", "signal handler"),
        ("import os; os.environ['LEFT'] = '1'", "environment"),
        ("import logging; logging.basicConfig()", "root logger"),
        ("import sys; sys.path.append('/nowhere')", "sys.path"),
        ("import warnings; warnings.simplefilter('ignore')", "warning filters"),
        ("import atexit; atexit.register(print)", "atexit"),
        ("raise RuntimeError('no')", "raised RuntimeError: no"),
    ],
)
def test_a_planted_effect_is_found(text: str, event: str, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(text)
    (tmp_path / "innocent.py").write_text("import asyncio, logging, socket, threading")
    seen = effects(["planted", "innocent"], tmp_path)
    assert event in seen["planted"]["events"]
    assert seen["innocent"]["events"] == []


def test_a_planted_heavy_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("import outer")
    (tmp_path / "outer.py").write_text("import rich")
    assert effects(["planted"], tmp_path)["planted"]["heavy"] == ["rich"]
