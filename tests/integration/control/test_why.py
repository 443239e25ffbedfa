"""Staged failures in real hosts: `why` names the true cause of each."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from msgspec import Struct

from tests.integration.control.meshes import Meshed, meshed, node_of
from tests.valkey import Valkey
from vyked_host import Reject, Retry, Service, ServiceError, api, client, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.catalog.explain_call import why_call
from vyked_host.catalog.explain_event import why_event
from vyked_host.catalog.explain_service import why_service
from vyked_host.catalog.findings import Finding
from vyked_host.cli.facts import call_facts, event_facts, service_facts
from vyked_host.cli.words import lines
from vyked_host.errors import CallError, VykedError
from vyked_host.testing import eventually


class Sold(Struct, frozen=True):
    what: str


class SoldOut(ServiceError, code="sold_out", status=409):
    what: str


class Store(Service, name="store", version="1.2.0"):
    async def on_start(self) -> None:
        self.gate = asyncio.Event()

    @api(raises=[SoldOut])
    async def take(self, what: str) -> str:
        if what == "lead":
            raise KeyError("a secret of mine")
        if what == "gold":
            raise SoldOut(what)
        return what

    @api
    async def wait(self) -> None:
        await self.gate.wait()

    @api
    async def hog(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - the loop is to be blocked

    @api(blocking=True)
    def block(self, seconds: float) -> None:
        time.sleep(seconds)

    @publish
    def sold(self, what: str) -> Sold:
        return Sold(what)

    @publish
    def alone(self, what: str) -> Sold:
        return Sold(what)

    @api
    async def sell(self, what: str) -> str:
        return (await self.sold(what)).id

    @api
    async def cry(self, what: str) -> str:
        return (await self.alone(what)).id


class Books(Service, name="books", version="3.0.0"):
    async def on_start(self) -> None:
        self.gate = asyncio.Event()

    @xsubscribe(Store.sold, max_deliveries=2, concurrency=1)
    async def note(self, event: Sold) -> None:
        if event.what == "slow":
            await self.gate.wait()
        if event.what == "never":
            raise Reject("we do not book that")
        if event.what == "later":
            raise Retry(after=30.0, reason="the ledger is closed")
        if event.what == "bad":
            raise ValueError("a secret of mine")


class Screen(Service, name="screen", version="1.0.0"):
    @subscribe(Store.sold)
    async def show(self, event: Sold) -> None:
        if event.what == "bad":
            raise ValueError("a secret of mine")


class Old(Service, name="old", version="1.0.0"):
    @subscribe("store.alone", version="7")
    async def show(self, event: Any) -> None: ...


class Wants2(Service, name="wants2", version="1.0.0"):
    store = client("store", version="2")


class Wants1(Service, name="wants1", version="1.0.0"):
    store = client("store", version="1")


class Misspelled(Service, name="misspelled", version="1.0.0"):
    store = client("stoer")


class Front(Service, name="front", version="1.0.0"):
    middle = client("middle")


class Middle(Service, name="middle", version="1.0.0"):
    store = client("store", version="9")


class Hen(Service, name="hen", version="1.0.0"):
    egg = client("egg")


class Egg(Service, name="egg", version="1.0.0"):
    hen = client("hen")


def told(findings: tuple[Finding, ...]) -> str:
    text = "\n".join(lines(findings))
    assert "secret" not in text
    return text


async def of_service(mesh: Meshed, name: str, at: str = "") -> tuple[Finding, ...]:
    return why_service(await service_facts(await mesh.asker(), name, at))


async def of_call(asker: Host, error: CallError, calling: Host | None = None) -> tuple[Finding, ...]:
    return why_call(await call_facts(asker, error.call_id))


# ---- services --------------------------------------------------------------------------------------------------------
async def test_a_dependency_that_is_there_in_another_version_only() -> None:
    async with meshed() as mesh:
        store = await mesh.host(Store, name="store")
        wants = await mesh.host(Wants2, name="wants")
        (found,) = await of_service(mesh, "wants2")
        assert found.causes == ("waiting", "lacks", "wrong_version")
        text = told((found,))
        assert f"store at {node_of(store)} is 1.2.0, and 2.0.0 is wanted" in text
        assert f"{node_of(wants)} finds no usable store" in text  # who judged it


async def test_a_dependency_that_nobody_ever_had_and_what_may_have_been_meant() -> None:
    async with meshed() as mesh:
        await mesh.host(Store, name="store")
        await mesh.host(Misspelled, name="wants")
        (found,) = await of_service(mesh, "misspelled")
        assert found.causes == ("waiting", "lacks", "never_seen")
        assert "did you mean 'store'?" in told((found,))


async def test_a_dependency_whose_node_left_makes_no_waiting_but_a_degraded_service() -> None:
    async with meshed() as mesh:
        store = await mesh.host(Store, name="store")
        wants = await mesh.host(Wants1, name="wants")
        await eventually(lambda: wants.node.record.instances[0].status == "active")
        left = node_of(store)
        await store.stop()
        mesh.hosts.remove(store)
        await eventually(lambda: wants.node.membership.missing["wants1/1.0.0"] == ("store",))
        (found,) = await of_service(mesh, "wants1")
        assert found.causes == ("degraded", "lacks", "gone")
        assert f"store was at {left}, which left" in told((found,))


async def test_a_chain_of_waiting_services_is_followed_to_its_first_cause() -> None:
    async with meshed() as mesh:
        await mesh.host(Store, name="store")
        await mesh.host(Middle, name="middle")
        await mesh.host(Front, name="front")
        (found,) = await of_service(mesh, "front")
        assert found.causes == ("waiting", "lacks", "waiting", "lacks", "wrong_version")
        assert "is 1.2.0, and 9.0.0 is wanted" in told((found,))


async def test_services_that_wait_for_each_other_in_a_circle() -> None:
    async with meshed() as mesh:
        await mesh.host(Hen, name="hen")
        await mesh.host(Egg, name="egg")
        (found,) = await of_service(mesh, "hen")
        assert found.causes == ("waiting", "lacks", "waiting", "lacks", "cycle")
        assert "hen -> egg -> hen" in told((found,))


async def test_a_node_that_does_not_answer_is_said_with_the_reason() -> None:
    async with meshed() as mesh:
        mute = await mesh.host(Store, name="mute")
        await mesh.host(Wants2, name="wants")
        asker = await mesh.asker()
        await mute.node.close_listeners()
        found = why_service(await service_facts(asker, "wants2"))
        assert found[-1].kind == "silent"
        assert f"node {node_of(mute)} does not answer" in told(found)


async def test_a_service_that_nobody_serves() -> None:
    async with meshed() as mesh:
        await mesh.host(Store, name="store")
        (found,) = await of_service(mesh, "stroe")
        assert found.kind == "never_seen"
        assert "did you mean 'store'?" in told((found,))


async def test_a_service_whose_only_node_left() -> None:
    async with meshed() as mesh:
        await mesh.host(Old, name="stays")
        store = await mesh.host(Store, name="store")
        left = node_of(store)
        await store.stop()
        mesh.hosts.remove(store)
        stays = mesh.hosts[0]
        await eventually(lambda: left not in stays.node.directory.nodes)
        (found,) = await of_service(mesh, "store")
        assert (found.kind, found.about["node"]) == ("gone", left)


async def test_a_service_that_is_fine_and_one_asked_at_a_node_that_does_not_have_it() -> None:
    async with meshed() as mesh:
        await mesh.host(Store, name="store")
        await mesh.host(Old, name="other")
        (fine,) = await of_service(mesh, "store")
        assert fine.kind == "active"
        (elsewhere,) = await of_service(mesh, "store", at="other")
        assert elsewhere.kind == "not_there"
        (nowhere,) = await of_service(mesh, "store", at="othr")
        assert nowhere.kind == "no_such_node"


# ---- calls -----------------------------------------------------------------------------------------------------------
async def staged(mesh: Meshed, more: str = "") -> tuple[Host, Host]:
    host = await mesh.host(Store, name="store", more=more)
    return host, await mesh.asker()


async def test_a_handler_that_raised() -> None:
    async with meshed() as mesh:
        host, asker = await staged(mesh)
        with pytest.raises(CallError) as raised:
            await asker.client(Store).take("lead")
        found = await of_call(asker, raised.value)
        assert found[0].kind == "raised"
        assert "KeyError at test_why.py" in told(found)
        assert node_of(host) in told(found[:1])


async def test_a_handler_that_was_too_slow() -> None:
    async with meshed() as mesh:
        host, asker = await staged(mesh)
        with pytest.raises(CallError) as raised:
            # a quarter of it is more than what a slow machine's loop is held up for by the hosts that have just started here
            await asker.client(Store).wait.using(timeout=1.0)()
        await eventually(lambda: not host.node.dispatcher.running)
        found = await of_call(asker, raised.value)
        assert found[0].kind == "slow_handler"
        times = next(each for each in found if each.kind == "time")
        assert float(times.about["running_s"]) > 0.5


async def test_a_blocked_event_loop_and_not_the_method_that_was_called() -> None:
    async with meshed() as mesh:
        host, asker = await staged(mesh)
        store = asker.client(Store)
        await store.take("tin")  # the connection stands
        waiting = asyncio.create_task(store.wait.using(timeout=0.5)())
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        await store.hog(1.2)
        with pytest.raises(CallError) as raised:
            await waiting
        await eventually(lambda: host.node.lag.lag_s > 0.5)
        found = await of_call(asker, raised.value)
        assert found[0].kind == "blocked"
        assert found[0].about["node"] == node_of(host)


async def test_a_call_that_got_no_thread() -> None:
    async with meshed() as mesh:
        host, asker = await staged(mesh, more="[limits]\nblocking_threads = 1\n")
        first = asyncio.create_task(asker.client(Store).block(0.6))
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        with pytest.raises(CallError) as raised:
            await asker.client(Store).block.using(timeout=0.15)(0.0)
        await first
        found = await of_call(asker, raised.value)
        assert found[0].kind == "queued"
        assert "no thread was free" in told(found)


async def test_a_node_that_had_enough_to_do() -> None:
    async with meshed() as mesh:
        host, asker = await staged(mesh, more="[limits]\nin_flight = 1\n")
        waiting = asyncio.create_task(asker.client(Store).wait())
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        with pytest.raises(CallError) as raised:
            await asker.client(Store).take("tin")
        found = await of_call(asker, raised.value)
        assert (found[0].kind, found[0].about["in_flight"]) == ("full", 1)
        host.instance(Store).gate.set()
        await waiting


class Broker(Service, name="broker", version="1.0.0"):
    """Calls others, so that its node remembers the caller's side."""

    store = client("store", version="1", required=False)

    async def on_start(self) -> None:
        self.id = ""

    @api
    async def try_it(self, method: str) -> str:
        try:
            await getattr(self.store, method).using(timeout=2.0)()
        except CallError as error:
            self.id = error.call_id
        return self.id


async def test_nobody_to_call() -> None:
    async with meshed() as mesh:
        await mesh.host(Broker, name="broker")
        asker = await mesh.asker()
        found = why_call(await call_facts(asker, await asker.client(Broker).try_it("take")))
        assert found[0].kind == "nobody"
        assert "vyked-host why service store" in told(found)


async def test_arguments_that_do_not_fit() -> None:
    async with meshed() as mesh:
        await mesh.host(Broker, name="broker")
        await mesh.host(Store, name="store")
        asker = await mesh.asker()
        found = why_call(await call_facts(asker, await asker.client(Broker).try_it("take")))
        assert (found[0].kind, found[0].about["what"]) == ("misfit", "field what")
        assert found[0].about["caller"] == "broker/1.0.0"


async def test_a_node_that_was_lost_while_it_had_the_call() -> None:
    async with meshed() as mesh:
        broker = await mesh.host(Broker, name="broker")
        store = await mesh.host(Store, name="store")
        asker = await mesh.asker()
        trying = asyncio.create_task(asker.client(Broker).try_it("wait"))
        await eventually(lambda: len(store.node.dispatcher.running) == 1)
        lost = node_of(store)
        await store.node.abort()
        call_id = await trying
        await eventually(lambda: lost not in broker.node.directory.nodes)
        found = why_call(await call_facts(asker, call_id))
        assert (found[0].kind, found[0].about["node"]) == ("node_lost", lost)


async def test_an_error_that_the_service_declares() -> None:
    async with meshed() as mesh:
        host, asker = await staged(mesh)
        with pytest.raises(VykedError):
            await asker.client("store").take(what="gold")
        failed = host.node.dispatcher.failures.calls[-1]
        found = why_call(await call_facts(asker, failed.id))
        assert (found[0].kind, found[0].about["type"]) == ("declared", "sold_out")


async def test_a_call_that_nobody_remembers() -> None:
    async with meshed() as mesh:
        _, asker = await staged(mesh)
        found = why_call(await call_facts(asker, "nobody-17"))
        assert found[0].kind == "unknown_call"


# ---- events ----------------------------------------------------------------------------------------------------------
async def event(mesh: Meshed, what: str, *services: type, method: str = "sell") -> tuple[Host, Host, str]:
    host = await mesh.host(Store, *services, name="store")
    asker = await mesh.asker()
    return host, asker, await getattr(asker.client("store"), method)(what=what)


async def kinds(asker: Host, event_id: str) -> list[str]:
    found = why_event(await event_facts(asker, event_id))
    told(found)
    return [each.kind for each in found]


async def test_an_event_that_was_handled() -> None:
    async with meshed() as mesh:
        host, asker, event_id = await event(mesh, "tin", Books, Screen)
        await eventually(lambda: all(each.counters.ok for each in host.node.subscribers))
        assert await kinds(asker, event_id) == ["published", "handled", "handled"]


async def test_an_event_that_nobody_subscribes_to() -> None:
    async with meshed() as mesh:
        _, asker, event_id = await event(mesh, "tin", Books, method="cry")
        assert await kinds(asker, event_id) == ["published", "nobody_subscribed"]


async def test_an_event_whose_subscriber_wants_another_major_version() -> None:
    async with meshed() as mesh:
        _, asker, event_id = await event(mesh, "tin", Old, method="cry")
        found = why_event(await event_facts(asker, event_id))
        assert [each.kind for each in found] == ["published", "other_major"]
        assert "store.alone@7, and this is store.alone@1" in told(found)


async def test_an_event_that_became_a_dead_letter_after_its_deliveries() -> None:
    async with meshed() as mesh:
        host, asker, event_id = await event(mesh, "never", Books)
        await eventually(lambda: host.node.dispatcher.failures.deliveries)
        found = why_event(await event_facts(asker, event_id))
        assert [each.kind for each in found] == ["published", "dead_letter"]
        assert "books@3: a dead letter after delivery 1: we do not book that" in told(found)


async def test_an_event_that_comes_again_later() -> None:
    async with meshed() as mesh:
        host, asker, event_id = await event(mesh, "later", Books)
        await eventually(lambda: host.node.dispatcher.failures.deliveries)
        found = why_event(await event_facts(asker, event_id))
        assert [each.kind for each in found] == ["published", "retried"]
        assert "the ledger is closed" in told(found)


async def test_an_event_that_a_plain_subscriber_failed_on() -> None:
    async with meshed() as mesh:
        host, asker, event_id = await event(mesh, "bad", Screen)
        await eventually(lambda: host.node.dispatcher.failures.deliveries)
        assert await kinds(asker, event_id) == ["published", "failed_once"]


async def test_an_event_that_is_being_handled_and_one_that_waits_behind_it() -> None:
    async with meshed() as mesh:
        host, asker, slow = await event(mesh, "slow", Books)
        await eventually(lambda: host.node.subscribers[0].counters.in_flight == 1)
        behind = await asker.client(Store).sell("tin")
        assert await kinds(asker, slow) == ["published", "being_handled"]
        assert await kinds(asker, behind) == ["published", "waits_its_turn"]
        host.instance(Books).gate.set()
        await eventually(lambda: host.node.subscribers[0].counters.ok == 2)


async def test_an_event_that_was_published_before_anybody_listened() -> None:
    async with meshed() as mesh:
        _, asker, event_id = await event(mesh, "tin")
        await mesh.host(Screen, name="late")
        await eventually(lambda: len(asker.node.directory.nodes) == 3)
        assert await kinds(asker, event_id) == ["published", "subscribed_later"]


async def test_an_event_whose_group_has_no_member_left_waits_for_one() -> None:
    async with meshed() as mesh:
        await mesh.host(Store, name="store")
        books = await mesh.host(Books, name="books")
        asker = await mesh.asker()
        await asker.client(Store).sell("tin")
        await eventually(lambda: books.node.subscribers[0].counters.ok == 1)
        await books.stop()
        mesh.hosts.remove(books)
        event_id = await asker.client(Store).sell("tin")
        found = why_event(await event_facts(asker, event_id))
        assert [each.kind for each in found] == ["published", "no_member"]
        assert "books@3: no member of the group is alive, after 0 deliveries; waiting for it: 1" in told(found)


async def test_an_event_crosses_from_the_node_that_published_it_to_the_one_that_failed_on_it() -> None:
    async with meshed() as mesh:
        store = await mesh.host(Store, name="store")
        books = await mesh.host(Books, name="books")
        asker = await mesh.asker()
        event_id = await asker.client(Store).sell("never")
        await eventually(lambda: books.node.dispatcher.failures.deliveries)
        found = why_event(await event_facts(asker, event_id))
        assert [each.kind for each in found] == ["published", "dead_letter"]
        assert (found[0].about["node"], found[1].about["node"]) == (node_of(store), node_of(books))


async def test_an_event_that_was_never_published() -> None:
    async with meshed() as mesh:
        _, asker, _ = await event(mesh, "tin", Books)
        assert await kinds(asker, "f" * 32) == ["never_published"]


async def test_an_event_that_the_bus_did_not_accept() -> None:
    server = Valkey().start()
    try:
        async with meshed() as mesh:
            bus = f'[pubsub]\nuse = "redis"\n[pubsub.redis]\nurl = "{server.url}"\n'
            host = await mesh.host(Store, Screen, name="store", more=bus)
            asker = await mesh.asker(bus)
            server.kill()
            with pytest.raises(CallError):
                await asker.client(Store).sell("tin")
            event_id = host.node.publisher.trail.published[-1].event_id
            found = why_event(await event_facts(asker, event_id))
            assert found[0].kind == "bus_refused"
    finally:
        server.close()
