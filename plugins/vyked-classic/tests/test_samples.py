"""The samples of Vyked's own description run, and so do old modules under vyked-host run."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from processes import HERE, Process, eventually, free_port, old_service

PROGRAM = str(Path(sys.executable).with_name("vyked-host"))


@pytest.fixture
def registry(running):
    port = free_port()
    process = running(Process("-m", "vyked.registry", "127.0.0.1", str(port)))
    process.logged("registry of Vyked 2.x at")
    return port


def get(url, **more):
    with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=10) as answer:
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
    consumer.logged("Password changed event received for ada")
    assert (
        old.call("identityservice", "1", "create", {"user_name": None, "password": "x"})["error"]
        == "username cannot be none"
    )
    counted = json.loads(get(f"http://127.0.0.1:{http}/_stats"))["sub"]
    assert counted["tcp"]["sub"]["create"]["sub"]["unhandled_error"]["count"] == 1
    assert counted["http"]["sub"]["get"]["count"] == 1
    assert identity.end() == 0
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
    checked = subprocess.run([PROGRAM, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    host = running(Process("-m", "vyked_host", "run", folder=tmp_path))
    host.logged("ready in")
    call = [PROGRAM, "call", "early.shout", "text=hi", "--address", f"tcp://127.0.0.1:{port}"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, '"HI"'), done.stderr
