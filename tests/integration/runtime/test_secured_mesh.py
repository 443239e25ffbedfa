"""A mesh over mutual TLS in one process: who may call, who may announce, and what becomes of those who may not."""

from __future__ import annotations

import asyncio
import sys
import types

import pytest

from tests.certificates import authority, issue
from tests.ports import free_port
from vyked_host import Host, Service, api, context
from vyked_host.errors import CallError, PermissionDenied, StartError
from vyked_host.testing.waiting import eventually

FILE = """
[host]
mesh = "shop"
[transports.tcp]
port = 0
[registry.embedded]
address = "{place}"
[pubsub.embedded]
address = "none"
[timing]
scale = 0.1
hello = 30
dial = 30
start = 100
[security.tls]
cert = "{name}.crt"
key = "{name}.key"
ca = "ca.pem"
"""
SERVE = '[security.serve]\npayments = ["spiffe://shop/payments"]\n'


class Payments(Service, name="payments", version="1.0.0"):
    @api
    async def charge(self, cents: int) -> str:
        caller = context().caller
        return f"{caller.identity if caller else None} pays {cents}"

    @api
    async def refund(self, cents: int) -> int:
        return -cents

    @api
    async def audit(self) -> str:
        return "books"


class Orders(Service, name="orders", version="1.0.0"):
    @api
    async def order(self) -> str:
        return "ordered"


@pytest.fixture
def place():
    return f"127.0.0.1:{free_port()}"


class Party:
    """Hosts that meet at one place, each with a certificate of its own."""

    def __init__(self, folder, place):
        self.folder, self.place, self.ca, self.hosts = folder, place, authority(folder), []

    async def host(self, name, *services, more="", file=FILE):
        issue(self.ca, self.folder, name, uris=[f"spiffe://shop/{name}"])
        path = self.folder / f"{name}.toml"
        path.write_text(file.format(place=self.place, name=name) + more)
        host = Host(str(path), *services)
        await host.start()
        self.hosts.append(host)
        return host

    async def aclose(self):
        for host in reversed(self.hosts):
            await host.stop()


@pytest.fixture
async def party(tmp_path, place):
    made = Party(tmp_path, place)
    yield made
    await made.aclose()


def sees(host, service):
    return lambda: any(each.service == service for record in records(host) for each in record.instances)


def records(host):
    own = host.node.record.node_id
    return [each for each in host.node.directory.nodes.values() if each.node_id != own]


# ---- rogue registration ----------------------------------------------------------------------------------------------
async def test_row_4_only_who_may_serve_a_service_is_announced(party):
    holder = await party.host("orders", Orders, more=SERVE)
    await party.host("payments", Payments)
    await eventually(sees(holder, "payments"))
    found = await holder.client(Payments).charge(5)
    assert found == "spiffe://shop/orders pays 5"


async def test_row_4_a_rogue_that_announces_payments_is_refused_and_never_called(party):
    holder = await party.host("orders", Orders, more=SERVE)
    with pytest.raises(StartError, match=r"spiffe://shop/mallory may not serve payments"):
        await party.host("mallory", Payments)
    assert not sees(holder, "payments")()
    with pytest.raises(CallError):
        await asyncio.wait_for(holder.client("payments").charge(cents=5), 5)


# ---- rogue caller ----------------------------------------------------------------------------------------------------
LISTS = """
[services.payments]
use = "payments_of_test:Payments"
allow = {allow}
"""


@pytest.mark.parametrize(
    ("allow", "charge", "refund", "audit"),
    [
        ('["spiffe://shop/orders"]', True, True, True),
        ('["spiffe://shop/*"]', True, True, True),
        ('["spiffe://bank/*"]', False, False, False),
        ("[]", False, False, False),
        ('{ charge = ["spiffe://shop/orders"] }', True, False, False),
        ('{ charge = ["spiffe://shop/orders"], "*" = ["spiffe://bank/x"] }', True, False, False),
        ('{ audit = ["spiffe://bank/x"], "*" = ["*"] }', True, True, False),
    ],
)
async def test_row_5_the_matrix_of_callers(party, monkeypatch, allow, charge, refund, audit):
    module = types.ModuleType("payments_of_test")
    module.Payments = Payments
    monkeypatch.setitem(sys.modules, "payments_of_test", module)
    await party.host("payments", more=LISTS.format(allow=allow))
    orders = await party.host("orders", Orders)
    await eventually(sees(orders, "payments"))
    client = orders.client(Payments)
    calls = {"charge": lambda: client.charge(5), "refund": lambda: client.refund(5), "audit": client.audit}
    for name, yes in (("charge", charge), ("refund", refund), ("audit", audit)):
        if yes:
            await calls[name]()
            continue
        with pytest.raises(PermissionDenied, match="spiffe://shop/orders may not call it") as caught:
            await calls[name]()
        assert caught.value.executed == "not_executed"


# ---- the rest of a life ----------------------------------------------------------------------------------------------
async def test_a_certificate_that_ends_soon_is_told_by_readiness_and_leaves_the_host_ready(party):
    host = await party.host("orders", Orders)
    watched = host._composition.workshop.certificates
    now = watched.current.expires - 3600
    watched._unix = lambda: now
    ready, told = await host.node.readiness()
    assert (ready, told["notes"]) == (True, {"certificate": "it expires in 0.0 days"})
    now += 7200
    ready, told = await host.node.readiness()
    assert (ready, "has expired" in told["reasons"]["certificate"]) == (False, True)


async def test_new_files_are_found_while_the_host_runs(party):
    host = await party.host("orders", Orders)
    watched = host._composition.workshop.certificates
    before = watched.current.expires
    issue(party.ca, party.folder, "orders", uris=["spiffe://shop/orders"], days=20)
    await eventually(lambda: watched.current.expires != before)
