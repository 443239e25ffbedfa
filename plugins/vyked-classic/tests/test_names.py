"""The names of Vyked 2.x are there, and do what they did."""

import asyncio
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import vyked
from processes import HERE, Process, free_port
from processes import eventually as eventually_
from vyked.packet import ControlPacket, MessagePacket
from vyked.pinger import Pinger, TCPPinger
from vyked.pubsub import PubSub
from vyked.utils.jsonencoder import VykedEncoder
from vyked.utils.stats import Aggregator, Stats
from vyked_classic.wire.packets import PARAMS, params_of
from vyked_classic.wire.stream import Stream

from vyked_host.testing import eventually

NAMES = {
    "vyked": """Host TCPService HTTPService TCPServiceClient HTTPServiceClient api apideprecated request publish subscribe xsubscribe get
        post head put patch delete options trace websocket Registry Request Response RequestException VykedServiceException
        VykedServiceError log setup_logging __version__ deprecated""",
    "vyked.registry": "Registry Repository",
    "vyked.utils.decorators": "deprecated",
    "vyked.utils.stats": "Stats Aggregator StatUnit",
    "vyked.utils.jsonencoder": "VykedEncoder",
    "vyked.utils.log": "log logx setup_logging CustomTimeLoggingFormatter CustomJsonFormatter",
    "vyked.exceptions": "VykedException ClientException ClientNotFoundError ClientDisconnected RequestException VykedServiceException VykedServiceError",
    "vyked.pinger": "Pinger TCPPinger HTTPPinger",
    "vyked.pubsub": "PubSub",
    "vyked.packet": "ControlPacket MessagePacket",
    "vyked.services": """TCPService HTTPService TCPServiceClient HTTPServiceClient api apideprecated request publish subscribe xsubscribe get post
        head put patch delete options trace websocket""",
    "vyked.wrappers": "Request Response",
    "vyked.host": "Host",
    "vyked.decorators.tcp": "api apideprecated deprecated request publish subscribe xsubscribe",
    "vyked.decorators.http": "get post head put patch delete options trace",
}  # fmt: skip


@pytest.mark.parametrize("module", NAMES)
def test_every_name_that_people_used_is_there(module):
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_log_is_the_module_as_it_was():
    assert vyked.log is importlib.import_module("vyked.utils.log")


async def test_asyncio_coroutine_is_restored_for_generators_and_plain_functions():
    @asyncio.coroutine
    def one():
        yield from asyncio.sleep(0)
        return 1

    @asyncio.coroutine
    def two():
        return 2

    async def three():
        return 3

    assert (await one(), await two(), await asyncio.coroutine(three)()) == (1, 2, 3)


NAMED = "RuntimeWarning: vyked 2.1.91 is installed beside vyked-classic, and both have the package `vyked`: pip uninstall vyked"


def beside(folder, *words):
    """What a program says where the folder has a distribution `vyked` installed, and perhaps its package."""
    (folder / "vyked-2.1.91.dist-info").mkdir()
    (folder / "vyked-2.1.91.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: vyked\nVersion: 2.1.91\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}
    return subprocess.run([sys.executable, *words], cwd=HERE, env=env, capture_output=True, text=True, timeout=120)


def test_the_original_beside_it_is_named(tmp_path):
    done = beside(tmp_path, "-m", "vyked", "nothing.py")
    assert (NAMED in done.stderr, "nothing.py is no file" in done.stderr) == (True, True), done.stderr


def test_the_original_that_was_installed_over_it_is_named_by_vyked_host(tmp_path):
    (tmp_path / "vyked").mkdir()
    (tmp_path / "vyked" / "__init__.py").write_text("from asyncio import async\n")
    done = beside(tmp_path, "-m", "vyked_host", "classic", "check", "old_code/early.py")
    assert (done.returncode, NAMED in done.stderr) == (0, True), done.stderr


def test_packets_are_made_as_the_wire_has_them():
    class Client:
        name, version = "b", "2"

    places = [("h", 1, "n", "tcp")]
    made = {
        "register": ControlPacket.registration("h", 1, "n", "a", "1", [Client], "tcp"),
        "registered": ControlPacket.activated({("b", "2"): places}),
        "get_instances": ControlPacket.get_instances("a", "1"),
        "get_subscribers": ControlPacket.get_subscribers("a", "1", "e"),
        "instances": ControlPacket.send_instances("a", "1", "r", places),
        "deregister": ControlPacket.deregister("a", "1", "n"),
        "xsubscribe": ControlPacket.xsubscribe("a", "1", "h", 1, "n", [("b", "2", "e", "LEADER")]),
        "new_instance": ControlPacket.new_instance("a", "1", "h", 1, "n", "tcp"),
        "subscribers": ControlPacket.subscribers("a", "1", "e", "r", [("c", "1", "h", 1, "n", "LEADER")]),
    }
    assert set(made) == set(PARAMS)
    for kind, said in made.items():
        (packet,) = Stream().receive(json.dumps(said).encode() + b",")
        assert packet.type == kind
        assert isinstance(params_of(packet), PARAMS[kind])
    request = MessagePacket.request("a", "1", None, "request", "find", {"x": 1}, None)
    assert request["payload"]["x"] == 1
    assert len(request["payload"]["request_id"]) == 8
    assert ControlPacket.pong("n", payload={"tcp": "n"})["type"] == "pong", "it said ping when it had a payload"


def test_times_are_written_as_whole_seconds():
    at = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert json.dumps({"at": at}, cls=VykedEncoder) == '{"at": 1577829600}'


def test_the_stats_are_a_tree_with_the_average_of_the_last_ten():
    for time in range(20):
        Aggregator.update_stats("kept", "succesful", float(time), "tcp")
    Aggregator.update_stats("kept", "timeout", 14.5, "tcp", success=False)
    endpoint = Aggregator.dump_stats()["sub"]["tcp"]["sub"]["kept"]
    assert (endpoint["count"], endpoint["success_count"], endpoint["average"]) == (21, 20, 14.95)
    assert endpoint["sub"]["succesful"]["count"] == 20
    (line,) = [each for each in Aggregator.endpoints() if each["method"] == "kept"]
    assert line["CODE_succesful"] == 20
    assert {"http_timedout", "tcp_timedout", "timedout", "hostname"} <= set(Stats.summary())


async def test_pubsub_by_hand_reaches_those_who_subscribed(redis):
    bus, heard = PubSub("127.0.0.1", redis.port), []
    await bus.connect()
    listening = asyncio.ensure_future(bus.subscribe(["a", "b"], lambda channel, text: heard.append((channel, text))))
    await asyncio.wait_for(PubSub("127.0.0.1", redis.port).subscribe([], print), 1)
    async with asyncio.timeout(10):
        while not heard:
            assert await bus.publish("a", "1")
            await asyncio.sleep(0.01)
    assert heard[0] == ("a", "1")
    listening.cancel()
    await asyncio.wait({listening})
    await bus.aclose()
    assert not await bus.publish("a", "1")
    with pytest.raises(OSError, match="does not answer"):
        await PubSub("127.0.0.1", free_port()).connect()


async def test_a_pinger_gives_up_after_so_many_missing_answers():
    class Handler:
        pings = timeouts = 0

        def send_ping(self, payload=None):
            self.pings += 1

        def on_timeout(self):
            self.timeouts += 1

    handler = Handler()
    pinger = Pinger(handler, interval=0.01, timeout=0.01, max_failures=2)
    pinger.send_ping()
    await eventually(lambda: handler.timeouts)
    assert (handler.pings, handler.timeouts) == (3, 1)

    sent, gone = [], []

    class Wire:
        def send(self, packet):
            sent.append(packet)

    class Watcher:
        def on_timeout(self, *who):
            gone.append(who)

    node = TCPPinger("h", 1, "n", Wire(), Watcher(), interval=0.01, timeout=0.01, max_failures=0)
    node.ping({"tcp": "n"})
    await eventually(lambda: gone == [("h", 1, "n")])
    assert (sent[0]["type"], sent[0]["payload"]) == ("ping", {"tcp": "n"})


# ---- python -m vyked -------------------------------------------------------------------------------------------------
def asked(url, **more):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_an_old_file_runs_alone_and_is_drained(running):
    http, tcp = free_port(), free_port()
    process = running(Process("-m", "vyked", "old_code/alone.py", str(http), str(tcp)))
    process.logged("serving identityservice")
    at = f"http://127.0.0.1:{http}"
    assert asked(f"{at}/users/ada?key=1") == (200, b"Hello ADA")
    assert asked(f"{at}/people", data=b'{"a": 1}', headers={"Content-Type": "application/json"}) == (200, b'{"a": 1}')
    status, body = asked(f"{at}/users/ada")
    assert (status, json.loads(body)["error"]) == (400, "Required params key not found")
    assert asked(f"{at}/slow")[0] in (408, 504)
    assert asked(f"{at}/ping") == (200, b"")
    status, body = asked(f"{at}/_stats")
    total = json.loads(body)
    assert (status, set(total), set(total["sub"])) == (200, {"count", "average", "success_count", "sub"}, {"http"})
    hello = total["sub"]["http"]["sub"]["hello"]
    assert (hello["count"], hello["success_count"], hello["sub"]["200"]["count"]) == (2, 1, 1)
    assert hello["sub"]["400"]["count"] == 1, "a missing parameter counts"
    assert json.loads(asked(f"{at}/_stats")[1])["sub"]["http"]["sub"]["stats"]["count"] == 1, "it counts itself"
    assert re.fullmatch(r"vyked_Identity_[0-9a-f-]{36}", title_of(process))
    assert process.end(signal.SIGTERM) == 0


def title_of(process):
    """What the system calls it."""
    return Path(f"/proc/{process.process.pid}/cmdline").read_text(encoding="utf-8").rstrip("\0")


def test_the_registry_is_called_by_its_name(running):
    process = running(Process("-m", "vyked.registry", "127.0.0.1", str(free_port())))
    process.logged("registry of Vyked 2.x at")
    assert title_of(process) == "vyked-registry"


LOGGING = {
    "version": 1,
    "formatters": {"json": {"()": "vyked.utils.log.CustomJsonFormatter", "extrad": {"team": "shop"}}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["out"]},
}


@pytest.mark.parametrize("words", [["-m", "vyked.registry"], ["-m", "vyked", str(HERE / "old_code" / "alone.py")]])
def test_config_log_json_says_how_a_process_logs(running, tmp_path, words):
    (tmp_path / "config_log.json").write_text(json.dumps(LOGGING))
    ports = ["127.0.0.1", str(free_port())] if "vyked.registry" in words else [str(free_port()), str(free_port())]
    process = running(Process(*words, *ports, folder=tmp_path))
    assert process.said(lambda said: "serving" in said["message"], message=..., team="shop")


@pytest.mark.parametrize("text", ["version: 1", "[]", "{}", '{"version": 1, "root": {"handlers": ["none"]}}'])
def test_a_config_log_json_that_can_t_be_used_is_named(tmp_path, text):
    (tmp_path / "config_log.json").write_text(text)
    words = [sys.executable, "-m", "vyked.registry", "127.0.0.1", str(free_port())]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "config_log.json: " in done.stderr) == (4, True), done.stderr
    assert "Traceback" not in done.stderr


def told_by_the_registry(*words):
    """(exit code, what is said) of `python -m vyked.registry`, which ends by itself with these words."""
    line = [sys.executable, "-m", "vyked.registry", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.parametrize("words", [["--help"], ["127.0.0.1", "4500", "more"], ["--list", "127.0.0.1"]])
def test_words_that_a_registry_does_not_know_are_told(words):
    code, said = told_by_the_registry(*words)
    assert (code, "usage: python -m vyked.registry [HOST [PORT]]" in said) == (1, True), said


def test_a_registry_that_can_t_listen_says_why_in_plain_words():
    code, said = told_by_the_registry("no-such-host.invalid", "4500")
    assert (code, "no-such-host.invalid:4500 can't be bound: " in said) == (3, True), said
    assert "Unknown error" not in said
    with socket.create_server(("127.0.0.1", 0)) as others:
        port = others.getsockname()[1]
        code, said = told_by_the_registry("127.0.0.1", str(port))
    assert code == 3
    assert re.search(rf"plugin vyked-classic \S+: \[transports.classic\] registry: 127.0.0.1:{port} is in use", said), (
        said
    )


def test_a_registry_without_services_says_so(running):
    port = free_port()
    running(Process("-m", "vyked.registry", "127.0.0.1", str(port))).logged("registry of Vyked 2.x at")
    nobody = (0, f"nobody is registered at 127.0.0.1:{port}")
    eventually_(lambda: told_by_the_registry("--list", f"127.0.0.1:{port}") == nobody)


def test_the_registry_is_run_without_a_warning():
    words = [sys.executable, "-W", "error", "-m", "vyked.registry", "127.0.0.1", "no-port"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.stderr.startswith("'no-port' is no port"), done.stderr


@pytest.mark.parametrize(("words", "code", "told"), [([], 2, "usage"), (["nothing.py"], 2, "is no file")])
def test_what_can_t_be_run_is_told(words, code, told):
    done = subprocess.run([sys.executable, "-m", "vyked", *words], capture_output=True, text=True, timeout=120)
    assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (code, True, False)


def test_a_file_that_no_living_python_parses_is_told_with_its_line(tmp_path):
    file = tmp_path / "old.py"
    file.write_text("import asyncio\n\nasyncio.async(1)\n")
    done = subprocess.run([sys.executable, "-m", "vyked", str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert f"{file}:3" in done.stderr
    assert "Traceback" not in done.stderr
