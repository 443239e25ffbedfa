"""A node tells about itself when it is asked: over TCP, while it is full, while it drains."""

import asyncio
import time

import pytest
from msgspec import Struct

from tests.integration.control.meshes import control, meshed, node_of
from vyked_host import Service, api, client, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.assembly.control import NotDrainable
from vyked_host.errors import CallError, DeadlineExceeded, InvalidPayload, RemoteFailure, Unavailable
from vyked_host.model.report import CONTROL
from vyked_host.testing import eventually


class Made(Struct, frozen=True):
    name: str


class Shop(Service, name="shop", version="1.2.0"):
    async def on_start(self) -> None:
        self.gate = asyncio.Event()

    @api
    async def buy(self, what: str) -> str:
        if what == "lead":
            raise KeyError(f"no {what} with a secret")
        return what

    @api
    async def wait(self) -> str:
        await self.gate.wait()
        return "done"

    @api(blocking=True)
    def block(self, seconds: float) -> None:
        time.sleep(seconds)  # what a thread does here

    @publish
    def sold(self, name: str) -> Made:
        return Made(name)

    @api
    async def sell(self, name: str) -> str:
        return (await self.sold(name)).id


class Books(Service, name="books", version="2.0.0"):
    @subscribe(Shop.sold)
    async def every(self, event: Made) -> None:
        if event.name == "bad":
            raise ValueError(f"{event.name} is a secret")

    @xsubscribe(Shop.sold, max_deliveries=1)
    async def one(self, event: Made) -> None:
        if event.name == "bad":
            raise ValueError(f"{event.name} is a secret")


class Needs(Service, name="needs", version="1.0.0"):
    shop = client(Shop, version="2")


async def test_a_node_reports_its_instances_with_their_calls_and_what_they_lack() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, Books, name="here")
        asker = await mesh.asker()
        shop = asker.client(Shop)
        await shop.buy("tin")
        with pytest.raises(RemoteFailure):
            await shop.buy("lead")
        waiting = asyncio.create_task(shop.wait())
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        report = await control(asker, host).report()
        assert (report.node, report.host, report.mesh, report.phase) == (node_of(host), "here", mesh.mesh, "serving")
        assert {each.service: (each.version, each.status) for each in report.instances} == {
            "shop": ("1.2.0", "active"), "books": ("2.0.0", "active"),
        }  # fmt: skip
        found = next(each for each in report.instances if each.service == "shop")
        assert (found.in_flight, found.oldest, found.ok, found.failed) == (1, "shop.wait", 1, 1)
        assert found.oldest_s > 0
        assert {(each.handler, each.group) for each in report.subscriptions} == {
            ("books.every", None),
            ("books.one", "books@2"),
        }
        assert report.memory > 1 << 20
        assert report.connections["tcp"] >= 1
        host.instance(Shop).gate.set()
        assert await waiting == "done"


async def test_what_is_missing_is_in_the_report_of_the_node_that_misses_it() -> None:
    async with meshed() as mesh:
        shop = await mesh.host(Shop, name="shop")
        needs = await mesh.host(Needs, name="needs")
        asker = await mesh.asker()
        (found,) = (await control(asker, needs).report()).instances
        assert (found.status, found.missing) == ("waiting", ("shop",))
        assert [(each.service, each.version, each.required) for each in found.needs] == [("shop", "2.0.0", True)]
        view = await control(asker, needs).view(["shop"])
        assert [(each.node, each.version, each.status) for each in view.instances] == [
            (node_of(shop), "1.2.0", "active")
        ]


async def test_the_control_service_is_in_no_list_and_no_count() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="here")
        asker = await mesh.asker()
        assert [each.service for each in asker.node.directory.nodes[node_of(host)].instances] == ["shop"]
        assert not [path for path in host.node.statistics()["calls"] if path.startswith(CONTROL)]
        surface = host.node.dispatcher.surface("http", "http")
        assert not [each for each in surface.endpoints if each is not None and each.service == CONTROL]


async def test_a_node_answers_while_it_is_full() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="full", more="[limits]\nin_flight = 1\n")
        asker = await mesh.asker()
        waiting = asyncio.create_task(asker.client(Shop).wait())
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        with pytest.raises(CallError, match="enough to do"):
            await asker.client(Shop).buy("tin")
        assert (await control(asker, host).report()).in_flight == 1
        host.instance(Shop).gate.set()
        await waiting


async def test_a_host_inside_a_program_is_not_drained_from_outside() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="inside")
        asker = await mesh.asker()
        with pytest.raises(NotDrainable, match="inside another program"):
            async for _ in control(asker, host).drain():
                pass


# ---- failures --------------------------------------------------------------------------------------------------------
async def test_a_failed_call_is_found_at_both_sides_by_the_id_in_its_error() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="here")
        asker = await mesh.asker()
        with pytest.raises(RemoteFailure) as raised:
            await asker.client(Shop).buy("lead")
        (callee,) = (await control(asker, host).calls(raised.value.call_id)).calls
        (caller,) = (await asker.ask(asker.node.record).calls(raised.value.call_id)).calls
        assert (callee.side, callee.endpoint, callee.code, callee.executed) == (
            "callee",
            "shop.buy",
            "INTERNAL",
            "executed",
        )
        assert (caller.side, caller.instance, caller.number) == ("caller", node_of(host), callee.number)
        assert callee.caller_node == node_of(asker)
        assert callee.cause.startswith("KeyError at test_control.py:")
        assert callee.log_id == caller.log_id == raised.value.id
        assert (await control(asker, host).calls(raised.value.id)).calls == (callee,)
        assert caller.waiting_s >= callee.running_s > 0
        assert "secret" not in f"{callee}{caller}"


async def test_arguments_that_do_not_fit_are_kept_by_the_name_of_their_field_only() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="here")
        asker = await mesh.asker()
        with pytest.raises(InvalidPayload):
            await asker.client("shop").buy(what=17)
        (found,) = (await control(asker, host).failures(0.0)).calls
        assert (found.code, found.executed, found.cause, found.text) == (
            "INVALID_ARGUMENT",
            "not_executed",
            "field what",
            "",
        )


async def test_a_call_without_time_says_where_it_went() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="here")
        asker = await mesh.asker()
        with pytest.raises(DeadlineExceeded) as raised:
            await asker.client(Shop).wait.using(timeout=0.15)()
        await eventually(lambda: not host.node.dispatcher.running)
        (caller,) = (await asker.ask(asker.node.record).calls(raised.value.call_id)).calls
        (callee,) = (await control(asker, host).calls(raised.value.call_id)).calls
        assert caller.waiting_s >= 0.14
        assert callee.running_s > 0.05
        assert callee.queued_s == 0


async def test_a_blocking_call_that_got_no_thread_was_queued_and_not_executed() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="here", more="[limits]\nblocking_threads = 1\n")
        asker = await mesh.asker()
        first = asyncio.create_task(asker.client(Shop).block(0.4))
        await eventually(lambda: len(host.node.dispatcher.running) == 1)
        with pytest.raises(DeadlineExceeded) as raised:
            await asker.client(Shop).block.using(timeout=0.1)(0.0)
        await first
        (callee,) = (await control(asker, host).calls(raised.value.call_id)).calls
        assert callee.executed == "not_executed"
        assert callee.queued_s > 0.05
        assert callee.cause == "no thread was free for it"


async def test_a_node_that_can_not_be_reached_costs_dialling_time() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, name="here")
        asker = await mesh.asker()
        record = asker.node.directory.nodes[node_of(host)]
        shop = asker.client(Shop)
        await host.stop()
        with pytest.raises(Unavailable):
            await shop.buy.using(instance=record.node_id)("tin")
        found = (await asker.ask(asker.node.record).failures(0.0)).calls
        assert found[-1].executed == "not_sent"
        assert found[-1].id


async def test_calls_that_succeed_leave_nothing_in_the_log() -> None:
    async with Host(Shop, text="[transports.local]\n") as host:
        for _ in range(50):
            await host.client(Shop).buy("tin")
        assert not host.node.dispatcher.failures.calls


async def test_the_log_is_bounded() -> None:
    async with Host(Shop, text="[transports.local]\n") as host:
        for _ in range(1100):
            with pytest.raises(InvalidPayload):
                await host.client("shop").buy(what=1)
        assert len(host.node.dispatcher.failures.calls) == 1000


# ---- events ----------------------------------------------------------------------------------------------------------
async def test_the_way_of_an_event_is_told_without_its_payload() -> None:
    async with meshed() as mesh:
        host = await mesh.host(Shop, Books, name="here")
        asker = await mesh.asker()
        event_id = await asker.client(Shop).sell("bad")
        await eventually(lambda: len(host.node.dispatcher.failures.deliveries) == 2)
        trail = await control(asker, host).deliveries(event_id, "")
        (published,) = trail.published
        assert (published.topic, published.outcome) == ("shop.sold@1", "")
        assert {(each.handler, each.verdict) for each in trail.delivered} == {
            ("books.every", "retry"),
            ("books.one", "reject"),
        }
        assert [(each.group, each.deliveries) for each in trail.dead] == [("books@2", 1)]
        assert "secret" not in str(trail)
        assert all("ValueError at test_control.py" in each.cause for each in trail.delivered)
