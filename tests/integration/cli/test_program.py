import json
import socket
import subprocess
import sys

import pytest

from vyked_host.cli import COMMANDS

SERVICE = """
from vyked_host import Service, api, get, publish

class Hello(Service, name="hello", version="1.2.0"):
    \"\"\"Greets.\"\"\"

    @api(idempotent=True)
    @get("/hello/{name}")
    async def greet(self, name: str, shout: bool = False) -> str:
        return name

    @publish
    def greeted(self, name: str) -> str:
        return name
"""
FILE = '[services.hello]\nuse = "hello:Hello"\n[transports.tcp]\nport = 0\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hello.py").write_text(SERVICE)
    (tmp_path / "vyked.toml").write_text(FILE)
    return tmp_path


def test_help_imports_nothing_but_click():
    code = (
        "import sys; from vyked_host.cli import main; main(['--help']);"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('aiohttp', 'msgspec', 'pluggy', 'rich', 'importlib_metadata')"
        " or m.startswith(('vyked_host.runtime', 'vyked_host.config', 'vyked_host.loading', 'vyked_host.assembly'))), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(program, name):
    code, out, err = program(name, "--help")
    assert (code, err) == (0, "")
    assert "Usage: vyked-host" in out


def test_version_is_one_line(program):
    code, out, _ = program("--version")
    assert code == 0
    assert out.startswith("vyked-host ")


def test_a_wrong_command_is_told_the_right_one(program):
    code, _, err = program("rum")
    assert code == 2
    assert "did you mean 'run'?" in err


def test_a_plugins_command_runs_under_its_name(program):
    code, out, err = program("greetings")
    assert (code, out) == (0, "hello from a plugin\n")
    assert "acme-broken 1.2" in err  # named, and in nobody's way


def test_all_commands_are_listed_with_where_they_come_from(program):
    code, out, _ = program("commands", "-o", "json")
    found = {each["name"]: each["from"] for each in json.loads(out)}
    assert code == 0
    assert found["greetings"] == "acme-commands 1.2"
    assert found["run"].startswith("vyked-host ")  # a plugin can't take the host's own


def test_a_near_miss_of_a_plugins_command_is_told_too(program):
    assert "did you mean 'greetings'?" in program("greeting")[2]


def test_a_command_that_cannot_be_built_names_its_plugin(program):
    code, _, err = program("licence")
    assert code == 3
    assert "acme-commands 1.2" in err
    assert "no licence" in err
    assert "Traceback" not in err


def test_the_traceback_is_there_for_who_asks(program):
    assert "Traceback" in program("licence", VYKED_DEBUG="1")[2]


def test_disabled_plugins_add_nothing(program):
    code, _, err = program("greetings", VYKED_PLUGINS_DISABLE="all")
    assert code == 2
    assert "acme-broken" not in err


def test_a_shell_can_complete(program):
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = program("completion", shell)
        assert code == 0
        assert "_VYKED_HOST_COMPLETE" in out
    completed = program(_VYKED_HOST_COMPLETE="bash_complete", COMP_WORDS="vyked-host co", COMP_CWORD="1")[1]
    assert {line.partition(",")[2] for line in completed.split()} == {"config", "commands", "completion"}


def test_faults_of_a_file_are_shown_with_their_places(program, folder):
    (folder / "vyked.toml").write_text(FILE + "prot = 1\n")
    for words in (("run",), ("services",), ("call", "hello.greet")):
        code, _, err = program(*words)
        assert code == 4
        assert "vyked.toml:5:1" in err
        assert "port" in err
        assert "Traceback" not in err


def test_nothing_to_run_says_how_to_begin(program):
    code, _, err = program("run")
    assert code == 2
    assert "vyked-host new project" in err


@pytest.mark.parametrize("flag", [(), ("--no-plugins",), ("--no-plugins=acme-broken",)])
def test_leaving_out_plugins_takes_no_word_after_it(program, folder, flag):
    (folder / "vyked.toml").write_text("[hots]\n")
    code, _, err = program("run", *flag, "vyked.toml")
    assert code == 4
    assert "did you mean" in err


def test_services_of_a_file(program, folder):
    code, out, _ = program("services", "-o", "json")
    (found,) = json.loads(out)
    assert code == 0
    assert (found["name"], found["version"], found["class"]) == ("hello", "1.2.0", "hello:Hello")
    assert found["methods"] == [
        {"name": "greet", "kind": "unary", "signature": "(name: str, shout: bool = False) -> str", "routes": ["GET /hello/{name}"],
         "raises": [], "idempotent": True, "summary": ""}
    ]  # fmt: skip
    assert found["events"] == ["greeted"]
    assert (found["works"], found["enqueues"]) == ([], [])
    assert "GET /hello/{name}" in program("services")[1]


def test_installed_services_are_listed_without_importing_them(program):
    code, out, _ = program("services", "--installed", "-o", "json")
    assert code == 0
    assert isinstance(json.loads(out), list)


def test_doctor_finds_nothing_wrong_with_what_is_right(program, folder):
    code, out, _ = program("doctor", "-o", "json", VYKED_PLUGINS_DISABLE="acme-broken")
    found = json.loads(out)
    assert code == 0, found
    assert {"python", "packages", "loop", "files", "plugins", "file"} <= {each["what"] for each in found}


def test_doctor_names_a_port_that_is_taken_and_a_file_that_is_wrong(program, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (folder / "vyked.toml").write_text(FILE.replace("port = 0", f"port = {port}"))
        code, out, _ = program("doctor")
    assert code == 1
    assert f"127.0.0.1:{port}" in out
    (folder / "vyked.toml").write_text("[hots]\n")
    code, out, _ = program("doctor")
    assert code == 1
    assert "vyked.toml:1:2" in out


def test_a_class_that_is_not_there_is_told_without_a_file(program, folder):
    for source, says in (("hallo:Hello", "no module 'hallo'"), ("hello:Hallo", "Hallo")):
        code, _, err = program("run", source)
        assert code == 4
        assert says in err
        assert "vyked.toml" not in err


def test_services_show_queues_and_who_enqueues(program, folder):
    (folder / "hello.py").write_text(
        "from vyked_host import Service, enqueue, work\n"
        "class Hello(Service, name='hello', version='1'):\n"
        "    @work\n"
        "    async def pack(self, job: str) -> None: ...\n"
        "    @enqueue(pack)\n"
        "    def order(self, what: str) -> str:\n"
        "        return what\n"
    )
    code, out, _ = program("services")
    assert code == 0
    assert out.splitlines()[1:] == ["  works pack(str)", "  enqueues hello.pack"]
