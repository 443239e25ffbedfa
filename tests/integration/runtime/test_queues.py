"""Task queues between services of a host."""

import logging
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import Struct

from vyked_host import Reject, Retry, Service, api, context, enqueue, work
from vyked_host.contracts import KnowsLag
from vyked_host.errors import ConfigError, NotSupported
from vyked_host.testing import eventually, running


class Mail(Struct, frozen=True):
    to: str


class Mailer(Service, name="mailer", version="1.0.0"):
    async def on_start(self) -> None:
        self.sent: list[tuple[str, int]] = []

    @work(concurrency=2, max_deliveries=3)
    async def send(self, job: Mail) -> None:
        delivery = context().delivery
        assert delivery is not None
        if job.to == "busy" and delivery.delivery_count == 1:
            raise Retry(after=0.01)
        if job.to == "nobody":
            raise Reject("there is nobody")
        self.sent.append((job.to, delivery.delivery_count))


class Shop(Service, name="shop", version="1.0.0"):
    @enqueue(Mailer.send)
    def mail(self, to: str) -> Mail:
        return Mail(to)

    @enqueue("mailer.send", version="1")
    def mail_by_name(self, to: str) -> dict[str, str]:
        return {"to": to}

    @api
    async def sell(self, to: str) -> str:
        return (await self.mail(to)).id


class Late(Service, name="late", version="1.0.0"):
    @enqueue(Mailer.send, delay=60.0)
    def mail(self, to: str) -> Mail:
        return Mail(to)


async def test_jobs_are_done_with_the_guarantees_of_xsubscribe():
    async with running(Mailer, Shop) as mesh:
        for to in ("ada", "busy", "nobody"):
            await mesh.client(Shop).sell(to)
        await mesh.instance(Shop).mail_by_name("bob")
        await mesh.settled()
        assert sorted(mesh.instance(Mailer).sent) == [("ada", 1), ("bob", 1), ("busy", 2)]
        bus = mesh.host.node.pubsub
        assert isinstance(bus, KnowsLag)
        (found,) = await bus.lag()
        assert (found.topic, found.group, found.dead) == ("mailer.work-send@1", "mailer@1", 1)


async def test_a_job_under_one_id_is_done_once():
    async with running(Mailer, Shop) as mesh:
        shop = mesh.instance(Shop)
        for _ in range(3):
            assert (await shop.mail.using(id="order-17")("ada")).id == "order-17"
        await shop.mail("bob")
        await mesh.settled()
        assert sorted(mesh.instance(Mailer).sent) == [("ada", 1), ("bob", 1)]


async def test_a_job_is_done_when_it_is_due():
    async with running(Mailer, Shop, Late, virtual_time=True) as mesh:
        shop, mailer = mesh.instance(Shop), mesh.instance(Mailer)
        await shop.mail.using(delay=30.0)("in half a minute")
        await mesh.instance(Late).mail("in a minute")
        await mesh.instance(Late).mail.using(delay=0.0)("at once")
        await mesh.advance(1)
        assert [to for to, _ in mailer.sent] == ["at once"]
        await mesh.advance(30)
        assert [to for to, _ in mailer.sent] == ["at once", "in half a minute"]
        await mesh.advance(31)
        assert [to for to, _ in mailer.sent] == ["at once", "in half a minute", "in a minute"]


async def test_a_time_may_be_said_instead_of_a_delay():
    async with running(Mailer, Shop) as mesh:
        shop, mailer = mesh.instance(Shop), mesh.instance(Mailer)
        await shop.mail.using(not_before=datetime.now(UTC) + timedelta(hours=1))("later")
        await shop.mail.using(not_before=datetime.now(UTC) - timedelta(hours=1))("now")
        await eventually(lambda: mailer.sent)
        assert mailer.sent == [("now", 1)]


async def test_jobs_without_anybody_who_takes_them_wait(caplog):
    async with running(Shop) as mesh:
        await mesh.client(Shop).sell("ada")
        bus = mesh.host.node.pubsub
        assert isinstance(bus, KnowsLag)
        (found,) = await bus.lag()
        assert (found.group, found.members, found.waiting) == ("mailer@1", 0, 1)
        caplog.set_level(logging.ERROR)  # that it is lost with this mesh is told, on purpose


@pytest.mark.parametrize(
    ("service", "words"), [(Mailer, "mailer.send: @work needs"), (Shop, "shop.mail: @enqueue needs")]
)
async def test_a_bus_without_queues_is_refused_at_start(service, words):
    with pytest.raises(ConfigError, match=words):
        async with running(service, config='[pubsub]\nuse = "redis"'):
            pytest.fail("it started")


async def test_a_delay_that_the_bus_can_t_keep_is_refused(monkeypatch):
    async with running(Shop) as mesh:
        publisher = mesh.host.node.publisher
        monkeypatch.setattr(publisher, "guarantees", msgspec.structs.replace(publisher.guarantees, delays=False))
        with pytest.raises(NotSupported, match="without a delay"):
            mesh.instance(Shop).mail.using(delay=1.0)("ada")
