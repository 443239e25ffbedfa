"""Dead letters from the command line, against a host in a process of its own, on each bus that keeps them."""

import json
import re

import pytest

from tests.nats import jetstream
from tests.valkey import Valkey

from .program import command
from .test_mesh_commands import Shops, until

SHOP = """
from pathlib import Path
from msgspec import Struct
from vyked_host import Reject, Service, api, publish, xsubscribe


class Sold(Struct, frozen=True):
    what: str
    card: str = ""


class Shop(Service, name="shop", version="1.2.0"):
    @publish(sensitive=["card"])
    def sold(self, what: str, card: str) -> Sold:
        return Sold(what, card)

    @api
    async def sell(self, what: str) -> str:
        return (await self.sold(what, "4111")).id

    @publish
    def lost(self, what: str) -> Sold:
        return Sold(what)


class Picky(Service):
    def take(self, event):
        if not Path("open").exists():
            raise Reject(f"closed for {event.what}")
        with open(type(self).__name__.lower(), "a") as file:
            file.write(f"{event.what}\\n")


class Books(Picky, name="books", version="1.0.0"):
    @xsubscribe(Shop.sold)
    async def note(self, event: Sold) -> None:
        self.take(event)


class Store(Picky, name="store", version="3.1.0"):
    @xsubscribe(Shop.sold)
    async def pack(self, event: Sold) -> None:
        self.take(event)

    @xsubscribe(Shop.lost)
    async def look_for(self, event: Sold) -> None:
        self.take(event)
"""


SERVERS = {
    "embedded": None,
    "redis-streams": lambda: Valkey("appendonly yes").start(),
    "nats-jetstream": jetstream,
}


@pytest.fixture(params=["embedded", "redis-streams"])
def shops(tmp_path, launch, request):
    """A shop whose two consumers reject everything, until there is a file called "open"."""
    found = Shops(tmp_path, launch)
    (tmp_path / "shop.py").write_text(SHOP)
    found.bus, made = "", SERVERS[request.param]
    server = made and made()
    if server:
        found.bus = f'[pubsub]\nuse = "{request.param}"\n[pubsub.{request.param}]\nurl = "{server.url}"\n'
    found.write("shop books store", found.bus)
    yield found
    if server:
        server.close()


def published(shops, topic, what):
    code, out, err = shops("publish", topic, f"what={what}", "card=4111")
    assert code == 0, err
    return json.loads(out)["id"]


def letters(shops, *words):
    return [(each["id"], each["group"]) for each in shops.json("dlq", "list", *words)]


def handled(shops, service):
    file = shops.folder / service
    return file.read_text().split() if file.exists() else []


def test_dead_letters_are_seen_replayed_and_forgotten_group_by_group(shops):
    shops.start()
    assert shops("dlq", "list")[2] == "vyked-host: no dead letters\n"
    tea, air = json.loads(shops("call", "shop.sell", "what=tea")[1]), published(shops, "shop.lost", "air")
    both = [(tea, "books@1"), (tea, "store@3")]
    until(lambda: letters(shops) == [(air, "store@3"), *both])
    assert letters(shops, "--topic", "shop.sold") == letters(shops, "--topic", "shop.sold@1") == both
    assert letters(shops, "--topic", "shop.sold@2") == letters(shops, "--topic", "shop.sol") == []
    assert letters(shops, "--group", "store@3") == [(air, "store@3"), (tea, "store@3")]

    code, out, _ = shops("dlq", "show", tea, "--group", "books@1")
    (letter,) = json.loads(out)
    assert (code, letter["payload"], letter["cause"]) == (0, {"what": "tea", "card": "***"}, "closed for tea")

    (shops.folder / "open").touch()
    assert shops("dlq", "replay", tea, "--group", "books@1")[:2] == (0, f"{tea} given to books@1 again\n")
    until(lambda: handled(shops, "books") == ["tea"])
    assert letters(shops) == [(air, "store@3"), (tea, "store@3")]
    assert shops("dlq", "purge", "--topic", "shop.sold", "--yes")[:2] == (0, f"{tea} of store@3 forgotten\n")
    assert shops("dlq", "replay", "--all")[:2] == (0, f"{air} given to store@3 again\n")
    until(lambda: handled(shops, "store") == ["air"])
    assert letters(shops) == []


def test_what_is_not_clear_decides_nothing(shops):
    shops.start()
    tea = published(shops, "shop.sold", "tea")
    until(lambda: len(letters(shops)) == 2)
    for words in (("replay",), ("purge", "--yes"), ("purge", "--yes", "--all", tea), ("purge", tea)):
        code, _, err = shops("dlq", *words)
        assert (code, len(err.splitlines())) == (2, 1), err
    code, _, err = shops("dlq", "purge", "f" * 32, "--yes")
    assert (code, err.partition(";")[0]) == (1, f"vyked-host: no dead letter {'f' * 32}")
    assert shops("dlq", "show", tea, "--group", "nobody@1")[0] == 1
    assert len(letters(shops)) == 2


def test_letters_of_a_group_of_which_nobody_runs_are_there_too(shops):
    shops.write("shop", shops.bus)
    shops.start()  # holds what the mesh has, where that is embedded
    shops.write("books store", shops.bus)
    consumers = shops.start()
    tea = published(shops, "shop.sold", "tea")
    both = [(tea, "books@1"), (tea, "store@3")]
    until(lambda: letters(shops) == both)
    assert consumers.stop() == 0
    assert letters(shops) == both


@pytest.mark.parametrize("shops", SERVERS, indirect=True)
def test_a_group_whose_service_is_gone_is_ended_with_all_that_waits_for_it(shops):
    shops.write("shop", shops.bus)
    shops.start()
    shops.write("books store", shops.bus)
    consumers = shops.start()
    tea = published(shops, "shop.sold", "tea")
    until(lambda: letters(shops) == [(tea, "books@1"), (tea, "store@3")])
    where = ("--topic", "shop.sold@1", "--group", "books@1")
    code, _, err = shops("dlq", "end", *where, "--yes")
    assert code == 1
    assert re.fullmatch("vyked-host: group books@1 of shop.sold@1 has (1 )?members: stop those first\n", err)
    assert consumers.stop() == 0
    done = (0, "books@1 of shop.sold@1 ended; 1 events of it are forgotten\n")
    until(lambda: shops("dlq", "end", *where, "--yes")[:2] == done)
    assert letters(shops) == [(tea, "store@3")]
    code, _, err = shops("dlq", "end", *where, "--yes")
    assert (code, err.partition(";")[0]) == (1, "vyked-host: there is no group books@1 of shop.sold@1")


def test_a_bus_without_dead_letters_says_so(tmp_path, launch):
    server = Valkey().start()
    found = Shops(tmp_path, launch)
    found.write("shop", f'[pubsub]\nuse = "redis"\n[pubsub.redis]\nurl = "{server.url}"\n')
    found.start()
    code, _, err = found("dlq", "list")
    server.close()
    assert code == 2
    assert err.startswith('vyked-host: the bus of this mesh, [pubsub] use = "redis", keeps no dead letters')
    assert command("dlq", "--help")[0] == 0
