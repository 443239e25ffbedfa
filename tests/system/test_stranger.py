"""A distribution that lives outside the tree, written from docs/plugins.md alone (`stranger/`), is installed from its wheel,
chosen by name in a vyked.toml, and does everything that the guide promises."""

import asyncio
import importlib
import json
from pathlib import Path
from urllib.error import HTTPError

import pytest

from vyked_host import Host
from vyked_host.testing import (
    BalancerConformance,
    MiddlewareConformance,
    PluginConformance,
    SerializerConformance,
    TransportConformance,
)

from .program import command, fetch
from .wheels import unpacked, wheel

STRANGER = Path(__file__).parent / "stranger"
FILE = """
[host]
mesh = "letters"

[transports.post]
port = 0
serializer = "mirror"

[transports.http]
port = 0

[clients.default]
balancer = "lowest"

[middleware]
server = ["logging", { use = "stamp", word = "FULL STOP" }]

[services.telegraph]

[plugins.options.post-office]
ink = "ink.txt"
"""
THERE = {
    "transport": "post",
    "serializer": "mirror",
    "balancer": "lowest",
    "middleware": "stamp",
    "service": "telegraph",
}


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    return unpacked(wheel(STRANGER, folder / "built"), folder / "installed")


@pytest.fixture
def path(installed):
    return {"PYTHONPATH": str(installed)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vyked.toml").write_text(FILE)
    (tmp_path / "ink.txt").touch()
    return tmp_path


@pytest.fixture
def host(launch, folder, path):
    return launch(folder=folder, **path).ready()


@pytest.fixture
def plugin(installed, monkeypatch):
    """The plugin, in this process."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return importlib.import_module("acme_post.plugin").Plugin()


class TestTransport(TransportConformance):
    @pytest.fixture
    def provider(self, plugin):
        (provider,) = plugin.vyked_transports()
        return provider

    @pytest.fixture
    def options(self, provider):
        return provider.options(port=0)


class TestSerializer(SerializerConformance):
    @pytest.fixture
    def provider(self, plugin):
        (provider,) = plugin.vyked_serializers()
        return provider


class TestBalancer(BalancerConformance):
    spreads = False  # by design: it prefers one

    @pytest.fixture
    def provider(self, plugin):
        (provider,) = plugin.vyked_balancers()
        return provider


class TestMiddleware(MiddlewareConformance):
    transparent = False  # by design: it adds a word to texts

    @pytest.fixture
    def provider(self, plugin):
        (provider,) = plugin.vyked_middlewares()
        return provider


class TestPackaging(PluginConformance):
    @pytest.fixture
    def distribution(self, plugin):
        return "acme-post"


def call(host, *words, folder, path):
    return command("call", *words, "--address", host.address(0), "--mesh", "letters", folder=folder, **path)


def test_a_call_travels_by_the_strangers_transport_and_comes_back_stamped(host, folder, path):
    assert host.address(0).startswith("post://")
    code, out, err = call(host, "telegraph.send", "text=arrived", folder=folder, path=path)
    assert (code, json.loads(out), err) == (0, "arrived FULL STOP", "")


def test_its_service_is_at_the_http_edge_as_any_other(host):
    assert fetch(f"{host.address(1)}/-/call/telegraph/send", {"text": "arrived"}) == (200, "arrived FULL STOP")


def test_streams_and_declared_errors_travel_too(host, folder, path):
    code, out, err = call(host, "telegraph.words", "text=one two", folder=folder, path=path)
    assert (code, [json.loads(line) for line in out.splitlines()], err) == (0, ["one", "two"], "")
    code, _, err = call(host, "telegraph.send", "text=a b c d e f", folder=folder, path=path)
    assert code == 5
    assert "too_long: words=6" in err


def test_a_wrong_field_gets_the_error_that_helps(host, folder, path):
    code, _, err = call(host, "telegraph.send", "txet=a", folder=folder, path=path)
    assert code == 5
    assert "text" in err


def test_it_ends_when_it_is_told_to(host):
    assert host.stop() == 0, host.words


def test_the_health_check_decides_whether_the_host_is_ready(host, folder):
    url = f"{host.address(1)}/-/ready"
    assert fetch(url)[0] == 200
    (folder / "ink.txt").unlink()
    with pytest.raises(HTTPError) as caught:
        fetch(url)
    with caught.value as answer:
        assert answer.code == 503
        assert json.loads(answer.read())["reasons"] == {"ink": "there is no ink.txt"}


def test_the_command_is_listed_and_runs(path, tmp_path):
    assert "vyked-host commands" in command("--help")[1]
    code, out, _ = command("commands", "-o", "json", folder=tmp_path, **path)
    assert code == 0
    assert {"name": "telegram", "summary": "print TEXT as a telegram", "from": "acme-post 1.2.0"} in json.loads(out)
    assert command("telegram", "coming", "home", folder=tmp_path, **path) == (0, "COMING HOME STOP\n", "")
    assert "Print WORDS as a telegram." in command("telegram", "--help", folder=tmp_path, **path)[1]


def test_all_of_it_is_listed_as_in_use(folder, path):
    code, out, _ = command("plugins", "-o", "json", folder=folder, **path)
    assert code == 0
    own = {(each["kind"], each["name"]): each for each in json.loads(out) if each["distribution"] == "acme-post"}
    assert own.keys() == {*THERE.items(), ("hooks", "post-office")}
    assert {each["state"] for each in own.values()} == {"in use"}
    assert {each["version"] for each in own.values()} == {"1.2.0"}


def test_its_options_and_what_it_finds_are_checked_with_the_rest_of_the_file(folder, path):
    wrong = FILE.replace("port = 0\nserializer", "port = 99999\nserialiser").replace("ink =", "inc =")
    (folder / "vyked.toml").write_text(wrong)
    code, out, err = command("check", folder=folder, **path)
    said = out + err
    assert code == 4, said
    for place, words in (("6:8", "99999"), ("7:1", 'did you mean "serializer"'), ("21:7", "knows only ink")):
        assert any(f"vyked.toml:{place} " in line and words in line for line in said.splitlines()), (place, said)


def test_without_the_distribution_the_file_says_what_is_missing(folder):
    code, out, err = command("check", folder=folder)
    assert code == 4
    said = out + err
    for kind, name in THERE.items():
        if kind not in ("serializer", "service"):  # a serializer is an option of the transport that is not there
            assert f"no {kind} '{name}' is installed; pip install the distribution that offers {kind}.{name}" in said
    assert 'no service "telegraph" is installed' in said
    assert "Traceback" not in said


@pytest.mark.timeout(300)  # five suites, each in a process of its own
def test_the_kit_proves_all_of_it_and_prints_the_matrix(path, tmp_path):
    code, out, err = command("plugins", "verify", "acme-post", "-o", "json", folder=tmp_path, within=280, **path)
    assert code == 0, out + err
    found = {each["plugin"]: {row["guarantee"]: row["verdict"] for row in each["rows"]} for each in json.loads(out)}
    assert found == {
        "post-office": {"contract": "left out"},
        "transport.post": {"contract": "passed", "cancels": "passed", "streams": "passed", "push": "passed"},
        "serializer.mirror": {"contract": "passed"},
        "balancer.lowest": {
            "contract": "passed", "spreads": "not declared", "ObservesOutcomes": "not declared", "affine": "not declared",
            "packaging": "passed",
        },
        "middleware.stamp": {"contract": "passed", "transparent": "not declared", "watch": "not declared"},
    }  # fmt: skip


@pytest.fixture
async def caller(plugin, launch, folder, path):
    """Two hosts, and one in this process that knows both."""
    hosts = [launch(folder=folder, **path).ready() for _ in range(2)]
    nodes = ", ".join(f'"{each.address(0)}"' for each in hosts)
    text = (
        '[host]\nmesh = "letters"\n[transports.mail]\nuse = "post"\nport = 0\nserializer = "mirror"\n'
        '[clients.telegraph]\nbalancer = "lowest"\ntransport = "mail"\n'
        f'[registry]\nuse = "static"\n[registry.static]\nnodes = [{nodes}]\n'
    )
    async with Host(text=text) as host:
        yield host, {each.facts["node"]: each.process.pid for each in hosts}


async def test_its_balancer_and_its_serializer_serve_calls_between_hosts(caller):
    host, processes = caller
    telegraph = host.client("telegraph")
    assert {await telegraph.process() for _ in range(10)} == {processes[min(processes)]}
    assert await telegraph.send(text="grüß dich") == "grüß dich FULL STOP"
    channel = await host.dial(host.addresses[0].uri, timeout=5.0)
    assert channel.codec == "mirror"
    await channel.aclose()


async def test_what_the_caller_gives_up_ends_at_the_other_host(caller):
    telegraph = caller[0].client("telegraph")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await telegraph.wait()
    assert await telegraph.waited() == 1
