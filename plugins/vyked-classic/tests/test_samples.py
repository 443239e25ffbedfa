"""The samples of Vyked's own description run, and so do old modules under vyked-host run."""

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from processes import HERE, Process, eventually, free_port, old_service
from systems import System

PROGRAM = str(Path(sys.executable).with_name("vyked-host"))


@pytest.fixture
def registry(running):
    port = free_port()
    process = running(Process("-m", "vyked.registry", "127.0.0.1", str(port)))
    process.logged("registry of Vyked 2.x at")
    return port


def get(url, **more):
    with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=60) as answer:
        return answer.read()


def test_the_samples_run_with_addresses_filled_in(running, redis, registry):
    http, tcp, accounts = free_port(), free_port(), free_port()
    ports = (str(registry), str(redis.port))
    consumer = running(Process("-m", "vyked", "old_code/accounts.py", str(accounts), *ports))
    consumer.logged("serving")
    identity = running(Process("-m", "vyked", "old_code/identity.py", str(http), str(tcp), *ports))
    identity.logged("serving identityservice")
    assert get(f"http://127.0.0.1:{http}/users/ada") == b"Hello ada"
    assert (
        get(f"http://127.0.0.1:{http}/users", data=b'{"a": 1}', headers={"Content-Type": "application/json"})
        == b'{"a": 1}'
    )
    old = running(
        old_service(
            "till",
            needs=[["accounts", "1"], ["identityservice", "1"]],
            registry=f"127.0.0.1:{registry}",
            redis=redis.at,
        )
    )
    old.said(lambda fact: len(fact["registered"]) == 2, registered=...)
    eventually(lambda: sum("connected" in fact for fact in old.facts) == 2)
    assert old.call("accounts", "1", "open", {"user_name": "ada"})["result"] == {"opened": "ada"}
    assert old.call("accounts", "1", "look", {"user_name": "ada"})["result"] == "Hello ada"
    consumer.logged("Password changed event received for ada")
    assert (
        old.call("identityservice", "1", "create", {"user_name": None, "password": "x"})["error"]
        == "username cannot be none"
    )
    counted = json.loads(get(f"http://127.0.0.1:{http}/_stats"))["sub"]
    assert counted["tcp"]["sub"]["create"]["sub"]["unhandled_error"]["count"] == 1
    assert counted["http"]["sub"]["get"]["count"] == 2
    assert identity.end() == 0
    assert consumer.end() == 0


def test_an_http_client_reaches_an_http_service_of_vyked_2(running, redis):
    system = System(running, redis, "old")
    running(old_service("identityservice", "1", **system.at)).said(up=...)
    running(old_service("identityservice", "1", kind="http", **system.at)).said(up=...)
    consumer = running(
        Process("-m", "vyked", "old_code/accounts.py", str(free_port()), str(system.port), str(redis.port))
    )
    consumer.logged("serving")
    old = running(old_service("till", needs=[["accounts", "1"]], **system.at))
    old.said(connected=...)

    def asked():
        return old.call("accounts", "1", "look", {"user_name": "ada"}).get("result")

    verb, path, _ = eventually(asked).split()
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    assert (verb, urllib.parse.urlsplit(path).path) == ("GET", "/users/ada")
    assert query == {"key": "value", "version": "1", "service": "identityservice", "app": "test"}
    assert consumer.end() == 0


FILE = """
[host]
mesh = "m"
[plugins]
autoload = false
[registry]
use = "embedded"
[registry.embedded]
address = "none"
[middleware]
server = ["logging", "classic"]
[transports.classic]
port = 0
[transports.tcp]
port = {port}
[services.early]
use = "early:Early"
arguments = ["127.0.0.1", 0]
"""


def test_an_old_module_runs_under_vyked_host_run(running, tmp_path):
    port = free_port()
    (tmp_path / "vyked.toml").write_text(FILE.format(port=port))
    (tmp_path / "early.py").write_text((HERE / "old_code" / "early.py").read_text())
    checked = subprocess.run([PROGRAM, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    host = running(Process("-m", "vyked_host", "run", folder=tmp_path))
    host.logged("ready in")
    call = [PROGRAM, "call", "early.shout", "text=hi", "--address", f"tcp://127.0.0.1:{port}"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, '"HI"'), done.stderr


HELPERS = """
import asyncio


@asyncio.coroutine
def outside(text):
    yield from asyncio.sleep(0)
    return text.upper()
"""


def test_helpers_that_are_imported_before_vyked_are_coroutines_too(tmp_path):
    """Under vyked-host run and check: nobody has imported vyked when the module of helpers is."""
    early = (HERE / "old_code" / "early.py").read_text()
    start, end = early.index("@asyncio.coroutine"), early.index("class Early")
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "early.py").write_text("from helpers import outside\n" + early[:start] + early[end:])
    (tmp_path / "vyked.toml").write_text(FILE.format(port=0).replace("[plugins]\nautoload = false\n", ""))
    checked = subprocess.run([PROGRAM, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
