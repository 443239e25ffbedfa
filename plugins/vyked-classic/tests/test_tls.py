"""TLS as old code asked for it: contexts of services, of clients, and towards the registry; `config.json` of the registry."""

import asyncio
import contextlib
import json
import socket
import ssl
import urllib.error
import urllib.request

import pytest
import trustme
import vyked
from processes import HERE, Process, eventually, free_port
from vyked_classic.contexts import Contexts, over_https, secured, towards
from vyked_classic.guests.probe import answers
from vyked_classic.guests.roster import Spot

import vyked_host
from vyked_host.testing import environment

CODE = str(HERE / "old_code" / "secured.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An authority, a certificate of it for 127.0.0.1, and the config.json that names that."""
    here = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(here / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(here / "vault.key"))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(here / "vault.crt"), append=True)
    (here / "config.json").write_text(json.dumps({"SSL_CERTIFICATE": "vault.crt", "SSL_KEY": "vault.key"}))
    return here


def get(url, context=None):
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        return answer.read()


def came(url):
    """What is there; nothing while the service behind it is not known yet."""
    with contextlib.suppress(urllib.error.HTTPError):
        return get(url)


def test_services_clients_and_the_registry_speak_tls_with_the_contexts_that_they_were_given(running, redis, folder):
    registry, tcp, http, till = (free_port() for _ in range(4))
    running(Process("-m", "vyked.registry", "127.0.0.1", str(registry), folder=folder)).logged(
        "registry of Vyked 2.x at"
    )
    places = (str(folder), str(registry), str(redis.port))
    vault = running(Process("-m", "vyked", CODE, "vault", *places, str(tcp), str(http)))
    vault.logged("serving vault")
    consumer = running(Process("-m", "vyked", CODE, "till", *places, str(till)))
    consumer.logged("serving till")
    trusting = ssl.create_default_context(cafile=str(folder / "ca.pem"))

    assert eventually(lambda: came(f"http://127.0.0.1:{till}/till")) == b"opened with 1234"
    assert eventually(lambda: came(f"http://127.0.0.1:{till}/door")) == b"a door", "an HTTPServiceClient over HTTPS"
    assert get(f"https://127.0.0.1:{http}/door", trusting) == b"a door"
    asked = {
        "pid": "1",
        "app": None,
        "name": "vault",
        "version": "1",
        "entity": None,
        "endpoint": "open",
        "from": "a",
        "to": "b",
    }
    packet = json.dumps({**asked, "type": "request", "payload": {"code": "5", "request_id": "r"}}).encode() + b","
    with socket.create_connection(("127.0.0.1", tcp), timeout=60) as plain:
        plain.sendall(packet)
        assert said(plain) == b"", "nothing is served in clear"
    with (
        socket.create_connection(("127.0.0.1", tcp), timeout=60) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1") as link,
    ):
        link.sendall(packet)
        assert json.loads(link.recv(1 << 16).rstrip(b","))["payload"] == {"request_id": "r", "result": "opened with 5"}
    assert (consumer.end(), vault.end()) == (0, 0)


def said(link):
    """What the other side says without TLS, an alert left out."""
    try:
        return b"".join(each for each in iter(lambda: link.recv(1 << 16), b"") if not each.startswith(b"\x15\x03"))
    except ConnectionResetError:
        return b""


async def test_a_service_with_tls_of_its_own_answers_pings_of_the_registry(folder):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "vault.crt", folder / "vault.key")

    async def pong(reader, writer):
        asked = json.loads((await reader.readuntil(b"}"))[:-1] + b"}")
        writer.write(json.dumps({"pid": "1", "type": "pong", "node_id": asked["node_id"]}).encode() + b",")
        await reader.read()
        writer.close()

    async with environment() as env:
        for tls in (None, context):
            server = await asyncio.start_server(pong, "127.0.0.1", 0, ssl=tls)
            port = server.sockets[0].getsockname()[1]
            async with server:
                assert await answers(Spot("vault", "1.0.0", "1", "127.0.0.1", port, "n1", "tcp"), env)
        assert not await answers(Spot("vault", "1.0.0", "1", "127.0.0.1", free_port(), "n1", "tcp"), env)


def test_each_service_is_dialled_with_its_own_context():
    own, all_others = ssl.create_default_context(), ssl.create_default_context()
    contexts = Contexts(client=all_others, vendors={"vault": own})
    assert secured(contexts) == {"vault"}
    assert (towards(contexts, "vault"), towards(contexts, "till"), towards(contexts, "")) == (
        own,
        all_others,
        all_others,
    )


class Client(vyked.TCPServiceClient):
    pass


class Page(vyked.HTTPServiceClient):
    pass


def test_http_clients_share_one_context():
    one, other = ssl.create_default_context(), ssl.create_default_context()
    service = Service(clients=[Page("a", 1, ssl_context=one), Page("b", 1, ssl_context=one), Page("c", 1)])
    found = vyked.Host.tls({"tcp": service})
    assert found["transport.http"]("client") is one
    assert over_https(found["registry.classic"]) == {"a", "b"}
    service.clients = [*service.clients, Page("d", 1, ssl_context=other)]
    with pytest.raises(vyked_host.NotSupported, match="a, b, d have 2 ssl_contexts"):
        vyked.Host.tls({"tcp": service})


class Service(vyked.TCPService):
    def __init__(self, context=None, clients=()):
        super().__init__("vault", 1, "127.0.0.1", 0, ssl_context=context)
        self.clients = list(clients)


@pytest.mark.parametrize("of", ["service", "client"])
async def test_a_context_that_is_not_used_is_refused_and_nothing_sent_in_clear(of):
    context = ssl.create_default_context()
    service = Service(context) if of == "service" else Service(clients=[Client("till", 1, ssl_context=context)])
    with pytest.raises(vyked_host.NotSupported, match=r"ssl_context is not used here.*\[security\.tls\]"):
        await vyked_host.Host(service, text="[plugins]\nautoload = false\n[transports.local]\n").start()
