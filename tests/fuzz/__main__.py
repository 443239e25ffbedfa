"""python -m tests.fuzz [TARGET ...] [--seconds N] [--keep]: atheris (https://github.com/google/atheris) on the targets, one after the
other, each in a process of its own, beginning with its corpus. `--keep` adds what it found to the corpus. Without atheris the corpus is
replayed, and that is said."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from .targets import TARGETS, corpus, keep


def run(name: str, seconds: int, *, keeps: bool) -> int:
    """Fuzz one target in a process of its own; its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        for at, each in enumerate(corpus(name)):
            Path(folder, f"seed{at}").write_bytes(each)
        words = [sys.executable, "-m", "tests.fuzz.worker", name, folder, str(seconds)]
        code = subprocess.run(words, check=False).returncode
        found = {each.read_bytes() for each in Path(folder).iterdir()}
        print(f"{name}: {len(found) - len(corpus(name))} inputs that reach something new; exit {code}")
        if keeps and not code:
            keep(name, found)
        return code


def main() -> int:
    """The worst exit code."""
    given = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    given.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    given.add_argument("--seconds", type=int, default=60, help="for each target")
    given.add_argument("--keep", action="store_true", help="add what was found to the corpus")
    said = given.parse_args()
    names = said.targets or list(TARGETS)
    if importlib.util.find_spec("atheris") is None:
        for name in names:
            for each in corpus(name):
                TARGETS[name](each)
        print("atheris is not installed here: the corpus was replayed, and nothing new was tried")
        return 0
    return max(run(name, said.seconds, keeps=said.keep) for name in names)


if __name__ == "__main__":
    sys.exit(main())
