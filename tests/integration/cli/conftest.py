"""A distribution on the path with commands, one without a working module, and the program to run beside them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
import click
from vyked_host.contracts import hookimpl


def build():
    @click.command("greetings", help="Say hello.")
    def greetings():
        click.echo("hello from a plugin")
    return greetings


def cannot():
    raise RuntimeError("no licence")


@hookimpl
def vyked_commands():
    return [("greetings", "Say hello.", build), ("licence", "Never works.", cannot), ("run", "Not this one.", cannot)]
"""


def distribution(folder, name, module, text):
    """An installed distribution as the importer sees it: a module and its metadata."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[vyked_host.plugins]\n{module} = {module}\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    distribution(folder, "acme-commands", "acme_commands", PLUGIN)
    distribution(folder, "acme-broken", "acme_broken", "raise ImportError('of all things')\n")
    return folder


@pytest.fixture
def program(installed, tmp_path):
    """Run `vyked-host` in an empty folder with both installed: (exit code, stdout, stderr)."""

    def run(*words, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("VYKED_", "_VYKED"))}
        script = str(Path(sys.executable).with_name("vyked-host"))
        done = subprocess.run(
            [script, *words], cwd=tmp_path, env=kept | {"PYTHONPATH": str(installed)} | more, capture_output=True, text=True,
            timeout=30,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run
