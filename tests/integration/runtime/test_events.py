"""Events inside one node: fan-out, one of a group, retries, dead letters, isolation."""

import asyncio
from typing import Any

import pytest
from msgspec import Struct

from tests.integration.runtime.waiting import until
from vyked_host import Reject, Retry, Service, api, context, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.errors import ConfigError

LOCAL = "[plugins]\nautoload = false\n[transports.local]\n"


class Changed(Struct, frozen=True):
    name: str
    n: int = 0


class Source(Service, name="source", version="1.2.0"):
    @api
    async def change(self, name: str) -> str:
        return (await self.changed(name)).durability

    @api
    async def forget(self, name: str) -> None:
        self.changed(name)

    @publish
    def changed(self, name: str) -> Changed:
        return Changed(name)


class Sees(Service, name="sees", version="1.0.0"):
    async def on_start(self) -> None:
        self.seen: list[Any] = []
        self.counts: list[int] = []

    @subscribe(Source.changed)
    async def all_of_them(self, event: Changed) -> None:
        self.seen.append(event)
        if event.name == "crash":
            raise KeyError("handler")

    @xsubscribe(Source.changed, max_deliveries=3)
    async def one_of_us(self, event: Changed) -> None:
        delivery = context().delivery
        assert delivery is not None
        self.counts.append(delivery.delivery_count)
        if event.name == "again" and delivery.delivery_count < 3:
            raise Retry(after=0.01)
        if event.name == "never":
            raise Retry(after=0.001)
        if event.name == "no":
            raise Reject("not for us")


async def test_an_event_reaches_its_subscribers_and_awaiting_says_how_durable_it_is() -> None:
    async with Host(Source, Sees, text=LOCAL) as host:
        assert await host.client(Source).change("ada") == "memory"
        sees = host.instance(Sees)
        await until(lambda: sees.seen == [Changed("ada")] and sees.counts == [1])


async def test_an_event_that_nobody_awaits_is_published_too() -> None:
    async with Host(Source, Sees, text=LOCAL) as host:
        await host.client(Source).forget("bob")
        await until(lambda: host.instance(Sees).seen == [Changed("bob")])


async def test_one_failing_handler_ends_no_subscription(caplog: pytest.LogCaptureFixture) -> None:
    async with Host(Source, Sees, text=LOCAL) as host:
        for name in ("crash", "ada"):
            await host.client(Source).change(name)
        await until(lambda: Changed("ada") in host.instance(Sees).seen)
    assert "KeyError" in caplog.text


async def test_retry_counts_deliveries_and_then_succeeds() -> None:
    async with Host(Source, Sees, text=LOCAL) as host:
        await host.client(Source).change("again")
        await until(lambda: host.instance(Sees).counts == [1, 2, 3])


@pytest.mark.parametrize(("name", "deliveries"), [("no", [1]), ("never", [1, 2, 3])])
async def test_what_is_rejected_or_given_up_becomes_a_dead_letter(name: str, deliveries: list[int]) -> None:
    async with Host(Source, Sees, text=LOCAL) as host:
        await host.client(Source).change(name)
        await until(lambda: host.instance(Sees).counts == deliveries)
        [exclusive] = [each for each in host.node.subscribers if each.subscription.group]

        async def dead() -> list[Any]:
            return [entry async for entry in host.node.pubsub.dead(exclusive.subscription)]  # type: ignore[attr-defined]

        async with asyncio.timeout(2):
            while not (found := await dead()):  # noqa: ASYNC110 - dead letters have no event
                await asyncio.sleep(0.001)
        assert found[0][0].name == "changed"


async def test_a_payload_that_does_not_fit_is_refused_not_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    class Narrow(Service, name="narrow", version="1.0.0"):
        @subscribe("source.changed", version="1")
        async def wants(self, event: dict[str, int]) -> None: ...

    async with Host(Source, Narrow, text=LOCAL) as host:
        await host.client(Source).change("ada")
        await until(lambda: "does not fit" in caplog.text)


async def test_a_host_can_publish_for_a_service() -> None:
    async with Host(Source, Sees, text=LOCAL) as host:
        await host.publish(Source.changed, Changed("outside"))
        await until(lambda: host.instance(Sees).seen == [Changed("outside")])


async def test_a_bus_that_lacks_what_services_use_is_refused() -> None:
    from vyked_host.assembly.guarantees import refuse_what_the_bus_lacks
    from vyked_host.assembly.services import prepared
    from vyked_host.model.message import Guarantees
    from vyked_host.model.settings import ServiceTable

    planned = [prepared(Sees(), ServiceTable())]
    with pytest.raises(ConfigError, match=r"sees\.one_of_us: @xsubscribe needs at-least-once"):
        refuse_what_the_bus_lacks("plain", Guarantees(), planned)


async def test_two_handlers_of_one_event_in_one_service_both_get_it() -> None:
    class Twice(Service, name="twice", version="1.0.0"):
        async def on_start(self) -> None:
            self.got: list[str] = []

        @xsubscribe(Source.changed)
        async def first(self, event: Changed) -> None:
            self.got.append("first")

        @xsubscribe(Source.changed)
        async def second(self, event: Changed) -> None:
            self.got.append("second")

    async with Host(Source, Twice, text=LOCAL) as host:
        await host.client(Source).change("ada")
        await until(lambda: sorted(host.instance(Twice).got) == ["first", "second"])
