"""What Vyked 2.x was documented to do and no other test shows: docs/items-of-vyked.md names these."""

import asyncio
import contextlib
import datetime
import json
import logging
import urllib.parse
import uuid

import aiohttp
import aiohttp.web
import pytest
import vyked
from old_peer import Wire
from processes import Process, eventually, free_port
from test_names import asked
from vyked import api, delete, get, head, options, patch, post, publish, put, request, subscribe, trace
from vyked.registry import listed
from vyked.utils.decorators import deprecated
from vyked.utils.jsonencoder import VykedEncoder
from vyked.utils.log import CustomTimeLoggingFormatter
from vyked_classic.guests import reception
from vyked_classic.times import in_seconds

import vyked_host
from vyked_host.testing import eventually as soon

ALONE = """
[host]
mesh = "m"
[plugins]
autoload = false
[middleware]
server = ["classic"]
[registry]
use = "embedded"
[registry.embedded]
address = "none"
[transports.local]
"""
ON_HTTP = f"{ALONE}[transports.http]\nport = 0\n"
ON_THE_OLD_WIRE = f"{ALONE}[transports.classic]\nport = 0\n"
RECEIVING = f'{ON_THE_OLD_WIRE}registry = "127.0.0.1:{{port}}"\n'
YEAR = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
SECONDS = 1577836800


def port_of(host, transport):
    return urllib.parse.urlsplit(next(each.uri for each in host.addresses if each.transport == transport)).port


# ---- 3: the host -----------------------------------------------------------------------------------------------------
class Tcp(vyked.TCPService):
    def __init__(self, name="some", clients=()):
        super().__init__(name, 1, "127.0.0.1", 0)
        self.clients = list(clients)


@pytest.fixture
def host(monkeypatch):
    for name in ("name", "registry_host", "registry_port", "pubsub_host", "pubsub_port"):
        monkeypatch.setattr(vyked.Host, name, getattr(vyked.Host, name))
    return vyked.Host


def test_what_configure_says_is_where_others_are_met_whenever_it_is_said(host):
    service = Tcp()
    assert (host.registry_port, host.pubsub_port) == (4500, 6379)
    host.configure("Shop", "10.0.0.1", 4600, "10.0.0.2", 6400)
    service.clients = [
        vyked.TCPServiceClient("Other", "1.2")
    ]  # also after it was attached: nothing is read before `run`
    text = host.tables({"tcp": service})
    assert '[registry.classic]\nhost = "10.0.0.1"\nport = 4600' in text
    assert 'url = "redis://10.0.0.2:6400"' in text
    assert '"other" = "1.2"' in text
    host.configure("Shop", registry_host="0.0.0.0", pubsub_host="0.0.0.0")  # what Vyked 2.x had where nothing was said
    text = host.tables({"tcp": service})
    assert '[registry.classic]\nhost = "127.0.0.1"\nport = 4500' in text
    assert 'url = "redis://127.0.0.1:6379"' in text


@pytest.mark.parametrize("address", [None, ""])
def test_a_service_without_an_address_is_told_where_it_listens(host, caplog, address):
    text = host.tables({"tcp": vyked.TCPService("some", 1, address, 1)})
    assert 'host = "127.0.0.1"' in text
    assert "some: without an address it listens at 127.0.0.1; Vyked 2.x listened everywhere" in caplog.text


def registered(port):
    """(service, version, kind) of those who are registered there, "nobody", or None where no answer came."""
    with contextlib.suppress(SystemExit):
        return {tuple(line.split()[:3]) for line in listed(f"127.0.0.1:{port}")} or "nobody"


@pytest.mark.parametrize(
    ("repository", "told"),
    [((), "listens at 127.0.0.1: Vyked 2.x listened everywhere"), (("with",), "on every address")],
)
def test_a_registry_takes_an_address_and_may_take_a_repository(running, repository, told):
    port = free_port()
    process = running(Process("-m", "vyked", "old_code/registry.py", str(port), *repository))
    process.logged(f"the registry listens {told}" if repository else f"the registry {told}")
    process.logged(f"registry of Vyked 2.x at {'0.0.0.0' if repository else '127.0.0.1'}:{port}")
    assert eventually(lambda: registered(port)) == "nobody"


def test_a_process_that_starts_before_its_registry_waits_for_it_and_registers_each_of_its_services(running, redis):
    registry, http, tcp = (free_port() for _ in range(3))
    identity = running(Process("-m", "vyked", "old_code/identity.py", *map(str, (http, tcp, registry, redis.port))))
    identity.logged(f"identityservice 1 is not registered at 127.0.0.1:{registry}")
    running(Process("-m", "vyked.registry", "127.0.0.1", str(registry))).logged("registry of Vyked 2.x at")
    eventually(lambda: registered(registry) == {("identityservice", "1", "tcp"), ("identityservice", "1", "http")})


def test_in_ronin_mode_publishing_ends_nothing_and_a_call_fails_at_once(running):
    http, tcp = free_port(), free_port()
    process = running(Process("-m", "vyked", "old_code/ronin.py", str(http), str(tcp)))
    process.logged("serving alone")
    assert asked(f"http://127.0.0.1:{http}/publish") == (200, b"published")
    assert asked(f"http://127.0.0.1:{http}/call") == (200, b"ClientNotFoundError")
    assert process.end() == 0


class Echo(Tcp):
    def __init__(self):
        super().__init__("echo")

    @api
    def echo(self, data):
        return data

    @api
    def wire(self, entity=None, **more):
        return {"entity": entity, **more}

    @api
    def when(self):
        return {"at": YEAR, "all": [YEAR, 1], "of": (YEAR,), "other": "text"}

    @api
    def happen(self, at):
        self.happened(at)

    @publish
    def happened(self, at):
        return {"at": YEAR, "given": at}


class EchoClient(vyked.TCPServiceClient):
    def __init__(self):
        super().__init__("echo", 1)
        self.heard = []

    @request
    def echo(self, data):
        return locals()

    @request
    def when(self):
        return locals()

    @request
    def happen(self, at):
        return locals()

    @subscribe
    def happened(self, at, given):
        self.heard.append((at, given))


class Page(vyked.HTTPService):
    def __init__(self, client):
        super().__init__("page", 1, "127.0.0.1", 0)
        self.clients, self.client = [client], client

    @get(path="/echo")
    async def echo(self, request):
        return vyked.Response(text=await self.client.echo("page"))


async def test_a_client_object_of_both_services_of_a_process_calls_for_both():
    client = EchoClient()
    both = Tcp("both", [client]), Page(client)
    async with vyked_host.Host(Echo(), *both, text=ON_HTTP) as host:
        assert await client.echo("tcp") == "tcp"
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port_of(host, 'http')}") as http,
            http.get("/echo") as said,
        ):
            assert await said.text() == "page"


# ---- 4 and 6: routes -------------------------------------------------------------------------------------------------
class Base(vyked.HTTPService):
    @get(path="/of/{any}")
    def inherited(self, request):
        return vyked.Response(text=f"any {request.match_info['any']}")


class Routes(Base):
    def __init__(self):
        super().__init__("routes", 1, "127.0.0.1", 0)

    @get(path="/of/this")
    def this(self, request):
        return vyked.Response(text="this")

    @get(path=[r"/number/{n:\d+}", "/zero"], required_params=["one", "two"])
    def number(self, request):
        return vyked.Response(text=request.match_info.get("n", "0"))

    @post(path="/posted", required_params="key")
    async def posted(self, request):
        return vyked.Response(text=await request.text())

    @get(path="/slow", timeout=2.0)  # a stalled machine begins it all the same
    async def slow(self, request):
        await asyncio.Event().wait()

    @get(path="/broken")
    async def broken(self, request):
        raise RuntimeError("broken")

    @get(path="/refused")
    async def refused(self, request):
        raise vyked.VykedServiceException("refused")

    @get("/placed/{n}", ["one"], 30)
    def placed(self, request):
        return vyked.Response(text=request.match_info["n"])

    @get(path="/teapot")
    async def teapot(self, request):
        return vyked.Response(status=418)


def _answering(status):
    def answer(self, request):
        return vyked.Response(status=status)

    return answer


VERBS = {"POST": post, "PUT": put, "PATCH": patch, "DELETE": delete, "HEAD": head, "OPTIONS": options, "TRACE": trace}
for _n, (_verb, _decorator) in enumerate(VERBS.items()):
    _body = _answering(220 + _n)
    _body.__name__ = f"by_{_verb.lower()}"
    setattr(Routes, _body.__name__, _decorator(path=f"/by/{_verb}")(_body))


class ByVerb(Routes):
    """Made after its members were."""


@pytest.fixture
async def web():
    async with (
        vyked_host.Host(ByVerb(), text=ON_HTTP) as host,
        aiohttp.ClientSession(f"http://127.0.0.1:{port_of(host, 'http')}") as http,
    ):

        async def said(path, verb="GET", **more):
            async with http.request(verb, path, **more) as answer:
                return answer.status, await answer.text()

        yield said


async def test_routes_of_bases_are_served_and_of_two_that_fit_the_more_exact_one_answers(web):
    assert await web("/of/that") == (200, "any that")
    assert await web("/of/this") == (200, "this"), "it was the first one of the class, and of its bases before those"


async def test_paths_are_written_as_aiohttp_takes_them_and_may_be_several(web):
    query = "?one=1&two=2"
    assert await web(f"/number/12{query}") == (200, "12")
    assert (await web(f"/number/x{query}"))[0] == 404
    assert await web(f"/zero{query}") == (200, "0")


async def test_path_parameters_and_time_limit_may_be_given_by_place(web):
    assert await web("/placed/1?one=1") == (200, "1")
    assert (await web("/placed/1"))[0] == 400
    (found,) = [each for each in ByVerb().__describe__().endpoints if each.name == "placed"]
    assert found.timeout_s == 30


@pytest.mark.parametrize("verb", VERBS)
async def test_each_verb_has_its_decorator(web, verb):
    assert (await web(f"/by/{verb}", verb))[0] == 220 + list(VERBS).index(verb)


async def test_required_params_are_those_of_the_query_and_all_that_miss_are_named(web):
    status, body = await web("/zero?two=2")
    assert (status, json.loads(body)["error"]) == (400, "Required params one not found")
    status, body = await web("/zero")
    assert (status, json.loads(body)["error"]) == (400, "Required params one,two not found")
    assert (await web("/posted", "POST", data={"key": "x"}))[0] == 400, "in the body it does not count"
    assert await web("/posted?key=1", "POST", data=b"text") == (200, "text")


async def test_outcomes_of_routes_are_counted_by_status_and_kind(web):
    status, body = await web("/slow")
    assert status == 504, "it was 408, which says that the client was slow"
    assert "own limit is 2 s" in json.loads(body)["error"]
    for path in ("/broken", "/refused", "/teapot", "/zero", "/zero?one=1&two=2"):
        await web(path)
    counted = json.loads((await web("/_stats"))[1])["sub"]["http"]["sub"]
    kinds = {name: set(counted[name]["sub"]) for name in ("slow", "broken", "refused", "teapot", "number")}
    assert kinds == {
        "slow": {"timeout"}, "broken": {"unhandled_exception"}, "refused": {"handled_exception"}, "teapot": {"418"},
        "number": {"200", "400"},
    }  # fmt: skip


def test_requests_and_responses_are_those_of_aiohttp():
    assert issubclass(vyked.Response, aiohttp.web.Response)
    assert issubclass(vyked.Request, aiohttp.web.Request)


def test_two_methods_for_one_route_are_refused_at_start():
    class Twice(Base):
        def __init__(self):
            super().__init__("twice", 1, "127.0.0.1", 0)

        @get(path="/of/{any}")
        def again(self, request):
            return vyked.Response()

    with pytest.raises(vyked_host.UsageError, match=r"GET /of/\{any\} is already the route of inherited"):
        Twice().__describe__()


def test_a_deprecated_function_says_so_where_it_is_called():
    @deprecated
    def old(x):
        return x

    with pytest.warns(DeprecationWarning, match="Call to deprecated function old") as caught:
        assert old(1) == 1
    assert caught[0].filename == __file__


# ---- 6, 8 and 10: on the wire ----------------------------------------------------------------------------------------
class Peer:
    """An old process at a port."""

    def __init__(self):
        self.heard = []

    async def to(self, port):
        loop = asyncio.get_running_loop()
        _, self.wire = await loop.create_connection(
            lambda: Wire(lambda packet, _: self.heard.append(packet)), "127.0.0.1", port
        )
        return self

    async def says(self, answers=1, **packet):
        """Say it, and give the next answers."""
        before = len(self.heard)
        self.wire.send({"pid": "p", **packet})
        await soon(lambda: len(self.heard) >= before + answers)
        return self.heard[before:]


@pytest.fixture
async def peer():
    peers = []

    async def connected(port):
        peers.append(await Peer().to(port))
        return peers[-1]

    yield connected
    for each in peers:
        each.wire.transport.close()


async def called(peer, endpoint, **payload):
    more = {"app": "a", "name": "echo", "version": "1", "entity": None, "from": "f", "to": "t"}
    (answer,) = await peer.says(type="request", endpoint=endpoint, payload={"request_id": "r", **payload}, **more)
    return answer["payload"]["result"]


async def test_an_api_does_not_see_what_belongs_to_the_wire(peer):
    async with vyked_host.Host(Echo(), text=ON_THE_OLD_WIRE) as host:
        old = await peer(port_of(host, "classic"))
        assert await called(old, "wire", entity="e", from_id="i", other=1) == {"entity": None, "other": 1}
        assert await called(old, "echo", data=1, entity="e", from_id="i") == 1


async def test_times_are_whole_seconds_in_results_arguments_and_events(peer):
    client = EchoClient()
    async with vyked_host.Host(Echo(), Tcp("consumer", [client]), text=ON_THE_OLD_WIRE) as host:
        old = await peer(port_of(host, "classic"))
        expected = {"at": SECONDS, "all": [SECONDS, 1], "of": [SECONDS], "other": "text"}
        assert await called(old, "when") == expected
        assert await client.when() == expected
        assert await client.echo({"deep": [YEAR]}) == {"deep": [SECONDS]}
        await client.happen(YEAR)
        await soon(lambda: client.heard)
        assert client.heard == [(SECONDS, SECONDS)]


def test_what_has_no_times_is_left_as_it_is():
    for value in ({"a": [1, {"b": (2, None)}]}, [], "x", (1,), {1, 2}):
        assert in_seconds(value) is value
    naive = datetime.datetime(2020, 1, 1)  # local, as Vyked 2.x took it
    assert in_seconds([naive]) == [int(naive.timestamp())]


def test_uuids_are_written_as_text():
    assert json.dumps([uuid.UUID(int=5)], cls=VykedEncoder) == '["00000000-0000-0000-0000-000000000005"]'


def test_times_of_log_lines_have_microseconds():
    record = logging.makeLogRecord({"msg": "x", "created": 0.25})
    formatter = CustomTimeLoggingFormatter("%(asctime)s")
    assert formatter.format(record).endswith(".250000")
    assert CustomTimeLoggingFormatter("%(asctime)s", "%f").format(record) == "250000"


# ---- 7: the registry -------------------------------------------------------------------------------------------------
def registration(node, host="10.1.2.3", name="echo"):
    return {
        "type": "register",
        "params": {
            "name": name, "version": "1", "host": host, "port": 9, "node_id": node, "dependencies": [], "type": "tcp",
        },
    }  # fmt: skip


async def instances(peer, name="echo"):
    said = {"name": name, "version": "1"}
    (answer,) = await peer.says(type="get_instances", request_id="r", params=said, **said)
    return [(each["host"], each["node"]) for each in answer["params"]["instances"]]


@pytest.mark.parametrize(("trust", "expected"), [("false", "127.0.0.1"), ("true", "10.1.2.3")])
async def test_the_address_is_that_of_the_connection_or_what_is_said_where_that_is_trusted(peer, trust, expected):
    port = free_port()
    text = f"{RECEIVING.format(port=port)}trust_host = {trust}\n"
    async with vyked_host.Host(text=text):
        old = await peer(port)
        await old.says(**registration("e1"))
        assert await instances(old) == [(expected, "e1")]


async def test_a_ping_for_somebody_who_is_not_registered_is_not_answered(peer):
    port = free_port()
    async with vyked_host.Host(text=RECEIVING.format(port=port)):
        old = await peer(port)
        await old.says(**registration("e1"))
        await old.says(answers=0, type="ping", node_id="registry", payload={"tcp": "e2"})
        (answer,) = await old.says(type="ping", node_id="registry", payload={"tcp": "e1"})
        assert (answer["type"], answer["node_id"]) == ("pong", "registry")
        assert [each["type"] for each in old.heard] == ["registered", "pong"], "that for e2 stayed without an answer"


async def test_the_registry_logs_since_when_each_service_is_here(peer, caplog, monkeypatch):
    monkeypatch.setattr(reception, "UPTIMES_S", 0.05)
    caplog.set_level(logging.INFO, "stats")
    port = free_port()

    def lines():
        return [each.stats for each in caplog.records if "uptime" in getattr(each, "stats", {})]

    async with vyked_host.Host(text=RECEIVING.format(port=port)):
        old = await peer(port)
        await old.says(**registration("e1"))
        await soon(lines)
    line = lines()[0]
    assert (line["service_name"], line["hostname"], line["status"]) == ("echo/1", "127.0.0.1", True)
    assert line["uptime"] >= 0
