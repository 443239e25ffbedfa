"""The example as a stranger has it: wheels in an environment of its own, an empty folder, a file of two lines."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

from .program import Running, fetch

ROOT = Path(__file__).parents[2]
SKIPPED = shutil.ignore_patterns("*.egg-info", "__pycache__", "build", "tests")


def wheel_of(source, parts, folder):
    """Build the wheel of a distribution outside its tree, which stays as it is."""
    copy = folder / source.name
    copy.mkdir()
    for part in parts:
        if (source / part).is_dir():
            shutil.copytree(source / part, copy / part, ignore=SKIPPED)
        else:
            shutil.copy(source / part, copy / part)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder / "wheels", copy],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with our two wheels; what they depend on is borrowed from this one."""
    folder = tmp_path_factory.mktemp("wheels")
    wheel_of(ROOT, ["setup.cfg", "pyproject.toml", "README.md", "LICENSE", "vyked_host"], folder)
    wheel_of(ROOT / "services_example", ["setup.cfg", "pyproject.toml", "README.md", "services_example"], folder)
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    for wheel in (folder / "wheels").iterdir():
        zipfile.ZipFile(wheel).extractall(site)
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "env"


def test_the_example_runs_from_its_wheel_in_an_empty_folder(environment, tmp_path):
    where = "import services_example, vyked_host; print(services_example.__file__, vyked_host.__file__)"
    python = environment / "bin" / "python"
    found = subprocess.run(
        [python, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert all(str(environment) in path for path in found.split()), found
    script = environment / "bin" / "vyked-host"
    script.write_text(f"#!{python}\nimport sys\nfrom vyked_host.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    (tmp_path / "vyked.toml").write_text("[services.identity]\n[services.accounts]\n[services.chat]\n")
    ports = ("--set", "transports.tcp.port=0", "--set", "transports.http.port=0")
    host = Running(*ports, folder=tmp_path, program=str(script))
    try:
        assert fetch(f"{host.ready().address(1)}/users/ada") == (200, {"text": "Hello ada"})
        for page, words in (("chat", b"<!doctype html>"), ("chat/chat.js", b"WebSocket"), ("chat/chat.css", b"body {")):
            with urlopen(f"{host.address(1)}/{page}", timeout=30) as answer:
                assert words in answer.read()
        assert host.stop() == 0
    finally:
        host.kill()
