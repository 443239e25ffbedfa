"""Wheels of this checkout and of strangers, built once a session and unpacked into folders for PYTHONPATH: what an
installer leaves behind, without an environment of its own for each test."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
_LEFT_OVER = shutil.ignore_patterns("*.egg-info", "build", "dist", "__pycache__", ".*_cache", ".hypothesis", ".venv")


def wheel(source, into, only=None):
    """Build the distribution in `source`, from a copy of it (of `only` these names in it), in folder `into`."""
    copy = into / "source"
    for name in only or [each.name for each in source.iterdir()]:
        path = source / name
        if path.is_dir() and not _LEFT_OVER(str(source), [name]):
            shutil.copytree(path, copy / name, ignore=_LEFT_OVER)
        elif path.is_file():
            copy.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy / name)
    done = subprocess.run([sys.executable, "-c", _BUILD, str(into)], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = into.glob("*.whl")
    return found


def unpacked(wheel_file, into):
    """What stands in site-packages once `wheel_file` is installed."""
    with zipfile.ZipFile(wheel_file) as archive:
        archive.extractall(into)
    return into


def names_in(wheel_file):
    """Every path in a wheel."""
    with zipfile.ZipFile(wheel_file) as archive:
        return set(archive.namelist())
