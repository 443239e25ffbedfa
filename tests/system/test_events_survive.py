"""Events through kill -9 of whoever holds the hub, of consumers and publishers, with a path: a history of what was accepted and
what was handled is checked at the end. Accepted is handled or a dead letter; what was handled twice says so."""

import json
import os
import signal
import time
from collections import Counter

import pytest

SERVICES = """
import asyncio, json, os
from msgspec import Struct
from vyked_host import Reject, Retry, Service, background, context, publish, xsubscribe

LOG = os.open("history.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY)


def note(**what):
    os.write(LOG, (json.dumps(what) + "\\n").encode())


class Paid(Struct, frozen=True):
    n: int


class Shop(Service, name="shop", version="1.0.0"):
    @publish
    def paid(self, n: int) -> Paid:
        return Paid(n)

    @background
    async def sell(self) -> None:
        for n in range(1_000_000):
            if os.path.exists("closed"):
                return
            name = f"{os.getpid()}-{n}"
            try:
                await self.paid.using(id=name, timeout=20)(n)
                note(accepted=name)
            except Exception as error:
                note(failed=name, why=repr(error))
            await asyncio.sleep(0.002)


class Stock(Service, name="stock", version="1.0.0"):
    @xsubscribe(Shop.paid, concurrency=8)
    async def on_paid(self, event: Paid) -> None:
        delivery = context().delivery
        note(begun=delivery.id, count=delivery.delivery_count)
        await asyncio.sleep(0.001)
        if event.n % 50 == 7 and delivery.delivery_count == 1:
            raise Retry(after=0.05)
        if event.n % 50 == 11:
            note(dead=delivery.id)
            raise Reject("no")
        note(handled=delivery.id, count=delivery.delivery_count)
"""
FILE = """
[host]
mesh = "{mesh}"
[timing]
scale = 0.1
[pubsub.embedded]
path = "events.db"
ack_wait = 10
[transports.tcp]
port = 0
[services.shop]
use = "events_shop:Shop"
[services.stock]
use = "events_shop:Stock"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "events_shop.py").write_text(SERVICES)
    (tmp_path / "vyked.toml").write_text(FILE.format(mesh=f"kill-{os.getpid()}-{time.monotonic_ns() % 10**6}"))
    return tmp_path


def history(folder):
    """Lines of the log, in order."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def until(predicate, within=30.0):
    deadline = time.monotonic() + within
    while not predicate():
        assert time.monotonic() < deadline, f"not true within {within} s"
        time.sleep(0.02)


def holds(host):
    return host.process.poll() is None and "this node holds the hub" in host.words


def the_holder(hosts):
    until(lambda: any(map(holds, hosts)))
    return next(filter(holds, hosts))


def accepted(folder):
    return {each["accepted"] for each in history(folder) if "accepted" in each}


def ended(folder):
    return {each.get("handled") or each.get("dead") for each in history(folder) if "handled" in each or "dead" in each}


@pytest.mark.timeout(180)
def test_nothing_that_was_accepted_is_lost_to_kill_9(launch, folder):
    hosts = [launch(folder=folder).ready() for _ in range(3)]
    for _ in range(3):
        before = len(accepted(folder)) if (folder / "history.jsonl").exists() else 0
        until(lambda before=before: (folder / "history.jsonl").exists() and len(accepted(folder)) > before + 100)
        holder = the_holder(hosts)
        holder.signal(signal.SIGKILL)
        holder.ends()
        hosts = [each for each in hosts if each is not holder] + [launch(folder=folder).ready()]
    (folder / "closed").touch()
    until(lambda: accepted(folder) <= ended(folder), 40)
    found = history(folder)
    begun = Counter(each["begun"] for each in found if "begun" in each)
    assert len(accepted(folder)) > 300
    for event_id, times in begun.items():
        counts = [each["count"] for each in found if each.get("begun") == event_id]
        assert sorted(set(counts)) == sorted(counts), f"{event_id} came {times} times with the counts {counts}"
    assert [each.stop() for each in hosts] == [0, 0, 0]
