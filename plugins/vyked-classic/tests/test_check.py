"""``vyked-host classic check``: told with their lines are what stops an old module and what is not as it was; nothing of it runs."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from vyked_classic.check.command import classic
from vyked_classic.check.findings import findings
from vyked_classic.check.modern import modern
from vyked_classic.check.services import classes
from vyked_classic.check.source import read

OLD = """import asyncio
from vyked import Host, HTTPService, TCPService, TCPServiceClient, VykedServiceException, api, get, publish, request, subscribe, trace

raise SystemExit("it was run")

def helper(n):
    yield from asyncio.sleep(1, loop=None)

@asyncio.coroutine
def marked(n):
    yield from helper(n)

class Base(TCPService):
    pass

class Identity(Base):
    def __init__(self, ip, port):
        super(Identity, self).__init__("IdentityService", 1.5, "", port)

    @api
    def create(self, user_name, password="x"):
        yield from marked(1)
        raise VykedServiceException("no")

    @publish
    def created(self, user_name):
        return locals()

class Pages(HTTPService):
    def __init__(self):
        super().__init__("Pages", 1)

    @get(path="/users/{name}", required_params="key", timeout=3)
    def user(self, request):
        return request.GET

    @trace(path="/t")
    def traced(self, request):
        pass

class OtherClient(TCPServiceClient):
    def __init__(self):
        super().__init__("Other", 2)

    @request
    def find(self, name):
        return locals()

    @subscribe
    def found(self, name):
        pass
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "old.py"
        path.write_text(text)
        return path

    return write


def told(path):
    return [(each.line, each.severity, each.what) for each in findings(read(path))]


def test_what_stops_it_and_what_differs_have_their_lines(file):
    found = told(file(OLD))
    stops = [(line, what) for line, severity, what in found if severity == "stops"]
    assert [(line, what.split(" ")[0]) for line, what in stops] == [
        (6, "helper()"),
        (7, "asyncio.sleep(loop=...)"),
        (35, "request.GET"),
    ]
    differs = "\n".join(f"{line} {what}" for line, severity, what in found if severity == "differs")
    for said in (
        "16 Identity: an empty address",
        "23 VykedServiceException",
        "defect 29",
        "defect 41",
        "Pages.user: a route that",
    ):
        assert said in differs


@pytest.mark.parametrize(
    ("line", "told_of"),
    [
        ("asyncio.async(work())", "asyncio.async"),
        ("def start(async=True): pass", "`async` is used as a name"),
        ("from vyked import Bus", "vyked.Bus is of Vyked 1.x"),
        ("x = asyncio.Task.all_tasks()", "asyncio.Task.all_tasks"),
        ("q = asyncio.Queue(loop=loop)", "asyncio.Queue(loop=...)"),
        ("asyncio.coroutine(print)", "asyncio.coroutine is used before vyked is imported"),
        ("from asyncio import sleep, coroutine", "asyncio.coroutine is used before vyked is imported"),
        ("from asyncio import async, sleep", "asyncio.async: "),
        ("await = 5", "`await` is used as a name"),
        ("x.async = dict(async=True)", "`async` is used as a name"),
        ("import asyncio as aio; q = aio.Lock(loop=loop)", "asyncio.Lock(loop=...)"),
        ("from asyncio.queues import Queue as Q; q = Q(loop=loop)", "asyncio.Queue(loop=...)"),
        ("async def work(): await asyncio.wait([work(), work()])", "asyncio.wait() takes no coroutines"),
        ("def work(): yield from asyncio.wait({work() for _ in range(3)})", "asyncio.wait() takes no coroutines"),
        ("print 'x'", "can't parse it"),
    ],
)
def test_what_no_living_python_takes_is_told_and_the_rest_is_looked_at(file, line, told_of):
    path = file(f"import asyncio\n# async is a comment\n{line}\n")
    assert any(at == 3 and severity == "stops" and told_of in what for at, severity, what in told(path))


def test_a_lock_in_a_with_statement_is_told(file):
    path = file("def work(lock):\n    with (yield from lock):\n        pass\n")
    assert any(line == 2 and "with (yield from lock) is gone" in what for line, _, what in told(path))


def test_keywords_that_stand_in_texts_and_comments_are_none(file):
    path = file('"""async, and asyncio.async(x)"""\nx = "async-worker", "#"  # async\nawait = x.async\n')
    assert [(line, what.split(" ")[0]) for line, severity, what in told(path) if severity == "stops"] == [
        (3, "`await`"),
        (3, "`async`"),
    ]


def test_what_only_looks_like_it_is_not_told(file):
    text = """import asyncio
from vyked import TCPServiceClient, request
from other import wait

class Client(TCPServiceClient):
    @request
    def find(self, name):
        return locals()

    def both(self):
        yield from asyncio.wait([self.find("a"), self.find("b")])  # each is a Future
        yield from asyncio.wait([asyncio.ensure_future(self.both())])
        wait(loop=1)
        self.queue.sleep(1, loop=2)
        asyncio.get_event_loop().call_soon(print)

async def modern(one):
    async with one as two:
        await (two)
"""
    assert told(file(text)) == []


def test_a_loop_that_is_not_the_host_s_is_told(file):
    (found,) = told(file("import asyncio\n\nloop = asyncio.get_event_loop()\n"))
    assert found[:2] == (3, "differs")
    assert "the host runs on a loop of its own" in found[2]


def test_a_file_is_read_in_the_encoding_that_it_names(file):
    path = file("")
    path.write_bytes(
        "# -*- coding: latin-1 -*-\nname = 'é'\nimport asyncio; asyncio.sleep(1, loop=name)\n".encode("latin-1")
    )
    assert [line for line, *_ in told(path)] == [3]
    path.write_bytes("name = 'é'\n".encode("latin-1"))
    done = run(str(path))
    assert (done.exit_code, "can't be read" in done.output) == (2, True), done.output
    path.write_bytes(b"# coding: nonsense\n")
    assert "unknown encoding" in run(str(path)).output


def test_a_file_with_a_keyword_as_a_name_is_still_read(file):
    assert any("request.GET" in what for _, _, what in told(file(OLD.replace("marked(1)", "asyncio.async(marked(1))"))))


def test_sound_code_has_nothing_to_correct():
    for path in Path(__file__).with_name("old_code").glob("*.py"):
        assert [each for each in findings(read(path)) if each.severity == "stops"] == [], path


def test_a_bus_of_a_service_is_told(file):
    text = "from vyked import TCPService\n\nclass A(TCPService):\n    def f(self):\n        return self.pubsub_bus\n"
    (found,) = [each for each in findings(read(file(text))) if each.severity == "stops"]
    assert (found.line, "self.pubsub_bus is not there" in found.what) == (5, True)


def test_tls_contexts_are_told_where_they_are_given():
    path = Path(__file__).with_name("old_code") / "secured.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [each for each in findings(read(path)) if "ssl_context" in each.what]
    assert [each.severity for each in found] == ["differs"] * 4
    assert all("ssl_context=" in lines[each.line - 1] for each in found)


def test_services_and_clients_are_found_through_their_bases(file):
    found = {each.node.name: (each.kind, each.name, each.version) for each in classes(read(file(OLD)).tree)}
    assert found == {
        "Base": ("TCPService", None, None), "Identity": ("TCPService", "identityservice", "1.5"), "Pages": ("HTTPService", "pages", "1"),
        "OtherClient": ("TCPServiceClient", "other", "2"),
    }  # fmt: skip


def test_the_modern_form_is_code_that_vyked_host_takes(file):
    text = modern(classes(read(file(OLD)).tree))
    ast.parse(text)
    for line in (
        'class Identity(Service, name="identityservice", version="1.5.0"):',
        '    other = client("other", version="2")',
        "    async def create(self, user_name: Any, password: Any = 'x') -> Any: ...",
        "    @get('/users/{name}', timeout=3)",
        '    @subscribe("other.found", version="2")',
    ):
        assert line in text
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def run(*words):
    return CliRunner().invoke(classic, ["check", *words])


def test_the_command_says_places_and_ends_with_1_when_something_stops_it(file):
    path = file(OLD)
    done = run(str(path))
    assert done.exit_code == 1
    assert f"{path}:6:1  stops  helper()" in done.output
    assert "found  Identity: TCPService identityservice 1.5: @api create, @publish created" in done.output
    assert "docs/moving-from-vyked.md" in done.output


def test_the_command_gives_json_and_the_modern_form(file):
    path = file("x = 1\n")
    assert run(str(path)).exit_code == 0
    said = json.loads(run(str(path), "-o", "json").stdout)
    assert (said["file"], said["findings"], said["classes"]) == (str(path), [], [])
    assert run(str(file(OLD)), "--modern").stdout.startswith(
        "from typing import Any\n\nfrom vyked_host import Service, api, client, get"
    )


def test_modules_are_found_by_name_without_being_imported(file, monkeypatch):
    path = file(OLD)
    monkeypatch.chdir(path.parent)
    assert "found  Identity" in run("old").output
    assert "found  Identity" in run("old:Identity").output
    nothing = run("nowhere.at.all")
    assert nothing.exit_code == 2
    assert "neither a file nor a module" in nothing.output


def test_it_is_a_command_of_vyked_host():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("vyked-host")), "classic", "check", "old_code/early.py"],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "found  Early: TCPService early 1: @api shout" in done.stdout
