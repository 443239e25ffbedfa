"""The commands that look at a mesh, against hosts in processes of their own."""

import json
import re
import secrets
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.nats import jetstream
from tests.ports import free_port
from tests.valkey import Valkey

from .program import PROGRAM, WITHIN_S, command, environment

SHOP = """
import asyncio
from pathlib import Path
from msgspec import Struct
from vyked_host import Service, api, client, publish, subscribe, xsubscribe


class Sold(Struct, frozen=True):
    what: str
    card: str = ""


class Shop(Service, name="shop", version="1.2.0"):
    @api
    async def buy(self, what: str) -> str:
        if what == "lead":
            raise KeyError("a secret of the handler")
        return what

    @api(timeout=60)
    async def hold(self, until: str) -> str:
        self.log.info("holding until %s", until)
        while not Path(until).exists():
            await asyncio.sleep(0.01)
        return "let go"

    @publish(sensitive=["card"])
    def sold(self, what: str, card: str) -> Sold:
        return Sold(what, card)

    @api
    async def sell(self, what: str) -> str:
        return (await self.sold(what, "4111 1111")).id


class Screen(Service, name="screen", version="1.0.0"):
    @subscribe(Shop.sold)
    async def show(self, event: Sold) -> None: ...


class Books(Service, name="books", version="1.0.0"):
    shop = client(Shop, version="2")


class Stock(Service, name="stock", version="1.0.0"):
    @xsubscribe(Shop.sold)
    async def count(self, event: Sold) -> None: ...


class Till(Service, name="till", version="1.0.0"):
    @xsubscribe(Shop.sold)
    async def take(self, event: Sold) -> None: ...
"""


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Shops:
    """A project folder, and hosts started from it."""

    def __init__(self, folder, launch):
        self.folder, self._launch, self.port = folder, launch, free_port()
        self.mesh = f"seen-{secrets.token_hex(4)}"
        (folder / "shop.py").write_text(SHOP)
        self.write()

    def write(self, services="shop", more=""):
        tables = "".join(f'[services.{each}]\nuse = "shop:{each.capitalize()}"\n' for each in services.split())
        (self.folder / "vyked.toml").write_text(
            f'[host]\nmesh = "{self.mesh}"\n[registry.embedded]\naddress = "127.0.0.1:{self.port}"\n'
            f"[transports.tcp]\nport = 0\n{tables}{more}"
        )

    def start(self, *words):
        return self._launch(*words, folder=self.folder).ready()

    def __call__(self, *words):
        return command(*words, folder=self.folder)

    def json(self, *words):
        code, out, err = self(*words, "-o", "json")
        assert code == 0, err
        return json.loads(out)

    def calls_from(self, *words):
        """A command that goes on until it is ended."""
        return subprocess.Popen(
            [PROGRAM, *words], cwd=self.folder, env=environment(), text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def shops(tmp_path, launch):
    return Shops(tmp_path, launch)


def node(host):
    return host.facts["node"]


def until(predicate):
    """Poll until it is true."""
    deadline = time.monotonic() + WITHIN_S
    while not predicate():
        assert time.monotonic() < deadline, "never became true"
        time.sleep(0.05)


def test_ps_shows_every_node_and_calls_spread_over_them(shops):
    hosts = [shops.start(), shops.start()]
    found = shops.json("ps")
    assert {each["node"] for each in found["nodes"]} == set(map(node, hosts))
    assert found["silent"] == []
    assert [each["instances"][0]["status"] for each in found["nodes"]] == ["active"] * 2

    def called():
        assert shops("call", "shop.buy", "what=tin")[:2] == (0, '"tin"\n')
        return all(each["instances"][0]["ok"] for each in shops.json("ps")["nodes"])

    until(called)
    _, out, _ = shops("ps", "-o", "wide")
    assert out.splitlines()[0].split()[:4] == ["NODE", "SERVICE", "VERSION", "STATUS"]
    assert hosts[0].address(0) in out
    assert "1024" in out.split("PLACES")[1]
    assert {each["places"]["most"] for each in shops.json("ps")["nodes"]} == {1024}


def test_a_node_that_does_not_answer_is_shown_with_the_reason(shops):
    well, frozen = shops.start(), shops.start()
    frozen.signal(signal.SIGSTOP)
    try:
        code, out, _ = shops("ps")
        lines = {line.split()[0]: line for line in out.splitlines()}
        assert code == 0
        assert "active" in lines[node(well)]
        assert "no answer: " in lines[node(frozen)]
        assert shops.json("ps")["silent"][0]["node"] == node(frozen)
    finally:
        frozen.signal(signal.SIGCONT)


def test_nobody_there_is_exit_3_with_what_to_do_and_nothing_begins_to_listen(shops):
    for words in (
        ("ps",),
        ("failures",),
        ("registry", "list"),
        ("why", "service", "shop"),
        ("call", "shop.buy"),
        ("tail", "shop.sold@1"),
    ):
        code, out, err = shops(*words)
        assert (code, out) == (3, ""), words
        assert f"no host of mesh '{shops.mesh}' answers at 127.0.0.1:{shops.port}" in err
        assert "start one with `vyked-host run vyked.toml`" in err
        assert not is_open(shops.port)


def test_what_this_folder_knew_last_is_said_to_be_that_and_never_taken_for_running(shops):
    host, other = shops.start(), shops.start()
    until(lambda: any(node(host) in each.read_text() for each in shops.folder.glob(".vyked/*.nodes")))
    nowhere = f"127.0.0.1:{free_port()}"
    code, out, err = shops("ps", "--registry", nowhere)
    assert (code, node(host) in out) == (0, True)
    assert err == f"vyked-host: nobody answers at {nowhere}: these are the nodes that this folder knew last\n"
    for each in (host, other):
        each.signal(signal.SIGKILL)
        each.ends()
    for words in (("ps",), ("drain", node(host)), ("call", "shop.buy")):
        code, out, err = shops(*words)
        assert (code, out) == (3, ""), words
        assert "start one with" in err


def test_why_two_do_not_meet_is_told_to_who_asks(shops):
    shops.start()
    (shops.folder / "secret").write_text("correct horse battery staple")
    plain = (shops.folder / "vyked.toml").read_text()
    (shops.folder / "sealed.toml").write_text(plain + '[security]\nsecret = "${file:secret}"\n')
    for words, said in (
        (
            ("ps", "--config", "sealed.toml"),
            "the client has a mesh secret, and this host has none: set [security] secret alike",
        ),
        (("ps", "--mesh", "elsewhere"), f"this host is of mesh {shops.mesh!r}, the client of 'elsewhere'"),
    ):
        code, out, err = shops(*words)
        assert (code, out, len(err.splitlines())) == (3, "", 1), err
        assert said in err


def test_drain_waits_for_what_runs_and_the_process_ends_well(shops, tmp_path):
    host, other = shops.start(), shops.start()
    beside = shops.calls_from(
        "call", "shop.hold", f"until={tmp_path / 'go'}", "--address", host.address(0), "--timeout", "50"
    )
    host.said("holding until")
    draining = shops.calls_from("drain", node(host))
    lines = iter(draining.stderr.readline, "")
    assert any("is draining, 1 still running: shop.hold" in line for line in lines)
    (tmp_path / "go").touch()
    assert beside.communicate(timeout=WITHIN_S)[0] == '"let go"\n'
    out, _ = draining.communicate(timeout=WITHIN_S)
    assert draining.returncode == 0
    assert re.match(rf"{node(host)} drained in ", out)
    assert host.ends() == 0
    assert [each["node"] for each in shops.json("ps")["nodes"]] == [node(other)]


def test_drain_names_the_nodes_there_are(shops):
    host = shops.start()
    code, _, err = shops("drain", "shopp")
    assert code == 2
    assert node(host) in err


def test_a_failed_call_is_listed_and_explained_by_the_id_in_its_error(shops):
    host = shops.start()
    code, out, err = shops("call", "shop.buy", "what=lead", "-o", "json")
    call_id = json.loads(out)["error"]["call_id"]
    assert code == 5
    assert f"vyked-host why call {call_id}" in err
    (failed,) = shops.json("failures")["calls"]
    assert (failed["id"], failed["code"], failed["instance"]) == (call_id, "INTERNAL", node(host))
    code, out, _ = shops("why", "call", call_id)
    assert code == 0
    assert out.startswith("shop.buy raised KeyError at shop.py:")
    assert "secret" not in out + shops("failures")[1]
    assert shops.json("why", "call", failed["log_id"])[0]["kind"] == "raised"
    assert shops("failures", "--node", node(host), "--since", "1h")[1].count(call_id) == 1
    assert shops("failures", "--since", "soon")[0] == 2


def test_why_a_service_waits_is_said_in_words_and_as_data(shops):
    shops.write("shop books")
    host = shops.start()
    code, out, _ = shops("why", "service", "books")
    assert code == 0
    assert f"shop at {node(host)} is 1.2.0, and 2.0.0 is wanted" in out
    assert shops.json("why", "service", "books")[0]["because"][0]["because"][0]["kind"] == "wrong_version"
    code, out, _ = shops("why", "service", "bokks")
    assert code == 1
    assert "did you mean 'books'?" in out


def test_the_registry_is_held_alone_followed_and_taken_over(shops):
    alone = subprocess.Popen(
        [PROGRAM, "registry", "serve"], cwd=shops.folder, env=environment(), text=True, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seen = []
    watching = None
    try:
        until(lambda: is_open(shops.port))
        threading.Thread(target=lambda: seen.extend(alone.stderr), daemon=True).start()
        host = shops.start()
        watching = shops.calls_from("registry", "watch")
        assert re.match(rf"\+ .*{node(host)}  shop 1\.2\.0", watching.stdout.readline())
        second = shops.start()
        assert f"  {node(second)}  " in watching.stdout.readline()
        listed = shops.json("registry", "list")
        assert {each["node_id"] for each in listed} == {node(host), node(second)}
        alone.send_signal(signal.SIGTERM)
        assert alone.wait(WITHIN_S) == 0
        until(lambda: {each["node"] for each in shops.json("ps")["nodes"]} == {node(host), node(second)})
    finally:
        for each in filter(None, (alone, watching)):
            each.kill()
            each.communicate()


# ---- events ----------------------------------------------------------------------------------------------------------
def redis(server):
    return f'[pubsub]\nuse = "redis"\n[pubsub.redis]\nurl = "{server.url}"\n'


@pytest.fixture(params=["embedded", "redis"])
def bus(request):
    if request.param == "embedded":
        yield ""
        return
    server = Valkey().start()
    yield redis(server)
    server.close()


def test_events_are_published_heard_and_shown_without_what_is_sensitive(shops, bus):
    shops.write("shop screen", bus)
    shops.start()
    listening = shops.calls_from("tail", "shop.sold", "--count", "3")
    assert "listening for shop.sold@1" in listening.stderr.readline()
    assert shops("call", "shop.sell", "what=tin")[0] == 0
    code, out, err = shops("publish", "shop.sold", "what=salt", "card=none")
    assert code == 0
    assert "shop.sold@1 is heard by 1 subscriber" in err
    published = json.loads(out)["id"]
    code, out, _ = shops("publish", "shop.sold@1", '{"what": "rice"}', "--count", "1", "--key", "k")
    assert code == 0
    lines = [json.loads(line) for line in listening.communicate(timeout=WITHIN_S)[0].splitlines()]
    assert [each["payload"]["what"] for each in lines] == ["tin", "salt", "rice"]
    assert lines[0]["payload"]["card"] == "***"
    assert (lines[1]["id"], lines[1]["topic"], lines[2]["key"]) == (published, "shop.sold@1", "k")
    code, out, _ = shops("why", "event", lines[0]["id"])
    assert code == 0
    assert "screen.show: handled at" in out


def test_a_mesh_whose_bus_is_away_can_still_be_looked_at(shops):
    server = Valkey().start()
    try:
        shops.write("shop screen", redis(server))
        host = shops.start()
        server.kill()
        assert shops.json("ps")["nodes"][0]["node"] == node(host)
        assert shops("call", "shop.buy", "what=tin")[0] == 0
        assert shops("why", "service", "shop")[0] == 0
        assert shops("tail", "shop.sold")[0] == 3
    finally:
        server.close()


@pytest.mark.parametrize("how", ["kill", "freeze"])
@pytest.mark.parametrize("use", ["redis-streams", "nats-jetstream"])
def test_hosts_with_groups_whose_bus_is_away_say_all_the_rest_of_themselves(shops, use, how):
    """Whoever asks them waits 3 s; what the bus would say of groups may take an ack wait, 30 s."""
    server = Valkey("port 0").start() if use == "redis-streams" else jetstream()
    try:
        shops.write("shop stock till", f'[pubsub]\nuse = "{use}"\n[pubsub.{use}]\nurl = "{server.url}"\n')
        hosts = [shops.start(), shops.start()]
        event = json.loads(shops("publish", "shop.sold", "what=tin")[1])["id"]
        until(lambda: sum(each["ok"] for at in shops.json("ps")["nodes"] for each in at["subscriptions"]) == 2)
        getattr(server, how)()
        found = shops.json("ps")
        assert (found["silent"], found["groups"]) == ([], None)
        assert {each["node"] for each in found["nodes"]} == set(map(node, hosts))
        assert {each["pending"] for at in found["nodes"] for each in at["subscriptions"]} == {-1}
        code, out, _ = shops("why", "event", event)
        assert (code, "stock@1: handled at" in out) == (0, True), out
    finally:
        if how == "freeze":
            server.thaw()
        server.close()


def test_many_events_at_a_rate_are_summed_up(shops, bus):
    shops.write("shop screen", bus)
    shops.start()
    code, out, _ = shops("publish", "shop.sold", "what=tin", "--count", "20", "--rate", "200")
    told = json.loads(out)
    assert (code, told["published"], told["failed"]) == (0, 20, 0)
    assert told["seconds"] >= 19 / 200
    until(lambda: shops.json("ps")["nodes"][0]["subscriptions"][0]["ok"] == 20)


def test_a_topic_without_a_version_is_asked_for_where_nobody_says_which(shops, bus):
    shops.write("shop", bus)
    shops.start()
    code, _, err = shops("publish", "shoop.sold", "what=tin")
    assert code == 2
    assert "shoop does not run: say which major version is meant, such as shoop.sold@1" in err


def test_bench_says_how_much_a_method_takes(shops):
    shops.start()
    found = shops.json("bench", "shop.buy", "--args", '{"what": "tea"}', "--duration", "0.3s", "--in-flight", "8")
    assert found["outcomes"] == {"OK": found["calls"]}
    assert 0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["max_ms"]
    assert (found["loop"], found["in_flight"], found["rate"], found["endpoint"]) == ("closed", 8, None, "shop.buy")


def test_bench_makes_as_many_calls_a_second_as_it_is_told(shops):
    shops.start()
    found = shops.json("bench", "shop.buy", "what=tea", "--duration", "0.5s", "--rate", "100")
    assert (found["loop"], found["calls"], found["outcomes"]) == ("open", 50, {"OK": 50})
    code, out, err = shops("bench", "shop.buy", "what=tea", "--duration", "0.1s", "--rate", "50")
    assert (code, out.split()[:5]) == (0, ["CALLS/S", "P50", "P90", "P99", "P99.9"])
    assert "outcomes: OK 5" in out
    assert "open loop, 50 a second" in err


def test_bench_compares_the_ways_to_a_method(shops):
    shops.write(more="[transports.http]\nport = 0\n")
    shops.start()
    found = shops.json("bench", "shop.buy", "what=tea", "--duration", "0.3s", "--compare", "tcp,http,local")
    assert list(found["ways"]) == ["tcp", "http", "local"]
    assert all(each["outcomes"] == {"OK": each["calls"]} for each in found["ways"].values())
    code, out, _ = shops("bench", "shop.buy", "what=tea", "--duration", "0.3s", "--compare", "tcp,local")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["WAY", "tcp", "local", "tcp:", "local:"]


def test_bench_fails_under_a_share_of_what_it_saved(shops, tmp_path):
    shops.start()
    file = str(tmp_path / "before.json")
    words = ("bench", "shop.buy", "what=tea", "--duration", "0.2s")
    assert shops(*words, "--save", file)[0] == 0
    code, out, _ = shops(*words, "--baseline", file, "--fail-under", "0.001")
    assert (code, out.split("\n")[0].split()[-2:]) == (0, ["OF", "BASELINE"])
    code, _, err = shops(*words, "--baseline", file, "--fail-under", "1000")
    assert code == 1
    assert "of the baseline, under 1000" in err
    code, out, err = shops(*words, "--in-flight", "8", "--baseline", file)
    assert (code, out) == (2, "")
    assert "was measured otherwise: in_flight 64 there, 8 here" in err
    code, out, err = shops(*words, "--save", str(tmp_path / "nowhere" / "before.json"))
    assert (code, out.split()[0]) == (2, "CALLS/S")  # what was measured is seen in any case
    assert "No such file" in err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("shop.buy", "what=tea", "--compare", "tcp,tcp"), 2, "transports with commas, each once"),
        (("shop.buy", "what=tea", "--compare", "http"), 2, "no [transports.http]; there are: local, tcp"),
        (("shop.by", "what=tea", "--compare", "local"), 5, "did you mean 'buy'"),
        (("shop.buy", "what=tea", "--fail-under", "0.9"), 2, "--baseline FILE"),
        (("shop.buy", "what=tea", "--baseline", "vyked.toml"), 2, "not what `bench --save` writes"),
        (("shop.buy", "what=tea", "--baseline", "nowhere.json"), 2, "No such file"),
        (("shop.buy", "what=lead"), 5, "INTERNAL"),
        (("shop.by",), 5, "did you mean 'buy'"),
        (("shop.buy", "what=tea", "--duration", "soon"), 2, "'soon' is no time span"),
    ],
)
def test_bench_does_not_begin_what_can_not_succeed(shops, words, code, text):
    shops.start()
    found = shops("bench", *words)
    assert (found[0], found[1]) == (code, "")
    assert text in found[2]
