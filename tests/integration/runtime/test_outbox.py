"""Events that are rows of an author's own database until the bus has them."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from vyked_host import OutboxRow, Service, SqliteOutbox, api, enqueue, publish, subscribe, work
from vyked_host.errors import Overloaded, RemoteFailure, TooLarge, Unavailable, UsageError
from vyked_host.routing.backoff import Backoff
from vyked_host.runtime import lanes
from vyked_host.testing import eventually, running


class Sold(Struct, frozen=True):
    title: str


class PackIt(Struct, frozen=True):
    title: str


class Store(Service, name="store", version="1.0.0"):
    async def on_start(self) -> None:
        self.packed: list[str] = []

    @work
    async def pack(self, job: PackIt) -> None:
        self.packed.append(job.title)


class ShopOptions(Struct, frozen=True):
    path: str = ""


class Shop(Service, name="shop", version="1.0.0"):
    options: ShopOptions

    async def on_start(self) -> None:
        self.db = sqlite3.connect(self.options.path, check_same_thread=False)
        self.db.execute("CREATE TABLE IF NOT EXISTS sale (title TEXT)")
        self.outbox = self.relay(SqliteOutbox(self.options.path))

    async def on_stop(self) -> None:
        self.db.close()

    @publish
    def sold(self, title: str) -> Sold:
        return Sold(title)

    @enqueue(Store.pack)
    def pack(self, title: str) -> PackIt:
        return PackIt(title)

    @api
    async def sell(self, titles: list[str], fails: bool = False, pause: float = 0.0) -> list[str]:
        with self.db:
            found = [self._sell(title) for title in titles]
            if fails:
                raise ValueError("no money")
            await asyncio.sleep(pause)
        return found

    @api(blocking=True)
    def sell_in_a_thread(self, title: str) -> None:
        with self.db:
            self._sell(title)

    def _sell(self, title: str) -> str:
        self.db.execute("INSERT INTO sale VALUES (?)", (title,))
        self.pack.using(key=title).through(self.outbox, self.db)(title)
        return self.sold.through(self.outbox, self.db)(title)


class Books(Service, name="books", version="1.0.0"):
    async def on_start(self) -> None:
        self.noted: list[str] = []

    @subscribe(Shop.sold)
    async def note(self, event: Sold) -> None:
        self.noted.append(event.title)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "shop.db")


def shop(path: str) -> dict[str, Any]:
    return {"shop": {"path": path}}


def left(path: str) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [topic for (topic,) in db.execute("SELECT topic FROM vyked_outbox ORDER BY number")]


async def test_what_is_committed_is_published_in_order_and_forgotten(path):
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        titles = [f"book {at}" for at in range(50)]
        ids = await mesh.client(Shop).sell(titles)
        assert len(set(ids)) == 50
        noted, packed = mesh.instance(Books).noted, mesh.instance(Store).packed
        await eventually(lambda: len(noted) == len(packed) == 50)
        assert noted == titles
        assert sorted(packed) == sorted(titles)
        await eventually(lambda: left(path) == [])


async def test_what_is_rolled_back_was_never_published(path, caplog):
    caplog.set_level(logging.CRITICAL)  # that the handler failed is logged, on purpose
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        with pytest.raises(RemoteFailure):
            await mesh.client(Shop).sell(["never"], fails=True)
        await mesh.client(Shop).sell(["ever"])
        await eventually(lambda: mesh.instance(Books).noted)
        assert mesh.instance(Books).noted == ["ever"]


async def test_nothing_goes_out_before_the_commit(path):
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        selling = asyncio.ensure_future(mesh.client(Shop).sell(["tea"], pause=0.1))
        published = mesh.host.node.publisher.published
        await eventually(lambda: mesh.instance(Shop).db.in_transaction)
        await asyncio.sleep(0)
        assert mesh.host.node.publisher.published == published
        await selling
        await eventually(lambda: mesh.instance(Books).noted == ["tea"])


async def test_a_handler_in_a_thread_may_write_too(path):
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        await mesh.client(Shop).sell_in_a_thread("tea")
        await eventually(lambda: mesh.instance(Books).noted == ["tea"])


async def test_what_is_left_is_published_after_the_next_start(path):
    async with running(Shop, options=shop(path)) as mesh:
        relays: Any = mesh.host.node.hosted[0]._relays
        for cancel in relays._cancel:
            cancel()
        relays._is_started = False  # as if killed: nothing is relayed any more
        with mesh.instance(Shop).db as db:
            for title in ("tea", "salt"):
                mesh.instance(Shop)._sell(title)
            assert db.in_transaction
    assert left(path) == ["store.work-pack@1", "shop.sold@1"] * 2
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        await eventually(lambda: mesh.instance(Books).noted == ["tea", "salt"])
        await eventually(lambda: left(path) == [])


async def test_a_bus_that_is_away_holds_up_its_lane_in_order(path, monkeypatch, caplog):
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        publisher, tried = mesh.host.node.publisher, []
        relay = publisher.relay

        async def refuse(message):
            tried.append(message.id)
            raise Unavailable("the bus is away", executed="unknown")

        monkeypatch.setattr(publisher, "relay", refuse)
        ids = await mesh.client(Shop).sell(["tea", "salt"])
        await eventually(lambda: tried.count(ids[0]) == 2)
        assert ids[1] not in tried  # it follows the first, which the bus has not
        monkeypatch.setattr(publisher, "relay", relay)
        await eventually(lambda: mesh.instance(Books).noted == ["tea", "salt"], 15)
        assert sum("the bus is away" in each.getMessage() for each in caplog.records) == 1  # not at each try
        caplog.clear()


def refuse(monkeypatch, publisher, name: str) -> list[str]:
    """Let the bus take no event of this name; the ids that it refused."""
    refused, relay = [], publisher.relay

    async def relay_others(message):
        if message.name != name:
            return await relay(message)
        refused.append(message.id)
        raise Overloaded("too many dead letters of it", executed="not_executed")

    monkeypatch.setattr(publisher, "relay", relay_others)
    return refused


@pytest.mark.parametrize("keys", ["one", "many"])
async def test_what_a_bus_refuses_of_one_event_holds_up_no_other(keys, path, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(lanes, "AGAIN", Backoff(first=3600.0, most=3600.0))
    async with running(Shop, Books, Store, options=shop(path)) as mesh:
        seller, refused = mesh.instance(Shop), refuse(monkeypatch, mesh.host.node.publisher, "work-pack")
        with seller.db as db:
            for at in range(5 * lanes.MOST):
                seller.pack.using(key=str(at) if keys == "many" else None).through(seller.outbox, db)("book")
            seller.sold.through(seller.outbox, db)("tea")
        await eventually(lambda: mesh.instance(Books).noted == ["tea"])
        assert len(refused) == len(set(refused)) == (lanes.MOST if keys == "many" else 1)  # all that follow wait
        await mesh.client(Shop).sell(["salt"])
        await eventually(lambda: mesh.instance(Books).noted == ["tea", "salt"])
        await mesh.client(Shop).sell(["bread"])
        mesh.host.node.hosted[0]._relays._cancel[0]()  # what is left to do is for the end
    assert left(path) == ["store.work-pack@1"] * (5 * lanes.MOST + 2)


async def test_two_processes_with_one_database_do_not_relay_at_once(path):
    one, other = SqliteOutbox(path), SqliteOutbox(path)
    row = OutboxRow(id="1", topic="shop.sold@1", key=None, packed=b"x")
    with closing(sqlite3.connect(path)) as db, db:
        one.put(db, row)
        one.put(db, row)  # the same id: once
    assert await one.waiting(10) == [row]
    assert await other.waiting(10) == []
    await one.aclose()
    await one.aclose()
    assert await other.waiting(10) == [row]
    await other.sent(["1"])
    assert await other.waiting(10) == []
    await other.aclose()


async def test_a_connection_that_would_commit_by_itself_or_is_to_another_database_is_refused(path, tmp_path):
    outbox = SqliteOutbox(path)
    row = OutboxRow(id="1", topic="shop.sold@1", key=None, packed=b"x")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(UsageError, match="BEGIN one"):
            outbox.put(db, row)
        db.execute("BEGIN")
        outbox.put(db, row)
        db.execute("ROLLBACK")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db, pytest.raises(UsageError, match="another database"):
        outbox.put(db, row)
    await outbox.aclose()


async def test_faults_of_an_author_are_told_where_they_are_made(path):
    async with running(Shop, options=shop(path)) as mesh:
        shop_, stray = mesh.instance(Shop), SqliteOutbox(path)
        with pytest.raises(UsageError, match=r"self\.relay"):
            shop_.sold.through(stray, shop_.db)("tea")
        with pytest.raises(TooLarge):
            shop_.sold.through(shop_.outbox, shop_.db)("x" * (2 << 20))
        assert not shop_.db.in_transaction
        await stray.aclose()
    with pytest.raises(UsageError, match="has no host"):
        Shop().relay(stray)


class InMemory:
    """An outbox over a database that is awaited, as those of servers are."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []
        self.closed = 0

    async def put(self, transaction: list[OutboxRow], row: OutboxRow) -> None:
        await asyncio.sleep(0)
        transaction.append(row)

    async def waiting(self, most: int) -> Sequence[OutboxRow]:
        return self.rows[:most]

    async def sent(self, ids: Sequence[str]) -> None:
        self.rows = [each for each in self.rows if each.id not in ids]

    async def aclose(self) -> None:
        self.closed += 1


class Cafe(Service, name="cafe", version="1.0.0"):
    async def on_start(self) -> None:
        self.outbox = self.relay(InMemory())

    @publish
    def served(self, title: str) -> Sold:
        return Sold(title)

    @api
    async def serve(self, title: str) -> None:
        transaction: list[OutboxRow] = []
        await self.served.through(self.outbox, transaction)(title)
        self.outbox.rows += transaction


class Guests(Service, name="guests", version="1.0.0"):
    async def on_start(self) -> None:
        self.had: list[str] = []

    @subscribe(Cafe.served)
    async def drink(self, event: Sold) -> None:
        self.had.append(event.title)


async def test_any_database_will_do():
    async with running(Cafe, Guests) as mesh:
        await mesh.client(Cafe).serve("tea")
        await eventually(lambda: mesh.instance(Guests).had == ["tea"])
        outbox = mesh.instance(Cafe).outbox
    assert (outbox.rows, outbox.closed) == ([], 1)
