"""Whole hosts on streams: the class that plain PUBLISH refuses runs, across hosts, and with the rights that the manual names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import Struct

from tests.valkey import Valkey
from vyked_host import Service, api, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.errors import ConfigError, StartError
from vyked_host.testing import eventually
from vyked_host.testing.leftovers import leaks

MANUAL = Path(__file__).parents[3] / "docs/redis.md"


class Changed(Struct, frozen=True):
    name: str


class Source(Service, name="source", version="1.2.0"):
    @api
    async def change(self, name: str) -> str:
        return (await self.changed(name)).durability

    @publish
    def changed(self, name: str) -> Changed:
        return Changed(name)


class Both(Service, name="both", version="1.0.0"):
    async def on_start(self) -> None:
        self.seen: list[str] = []
        self.had: list[str] = []

    @subscribe(Source.changed)
    async def all_of_them(self, event: Changed) -> None:
        self.seen.append(event.name)

    @xsubscribe(Source.changed)
    async def one_of_us(self, event: Changed) -> None:
        self.had.append(event.name)


class Leads(Service, name="leads", version="1.0.0"):
    @xsubscribe(Source.changed, strategy="LEADER")
    async def one_of_us(self, event: Changed) -> None: ...


def text(url: str, mesh: str = "shop") -> str:
    return f"""
[host]
mesh = "{mesh}"
[transports.local]
[pubsub]
use = "redis-streams"
[pubsub.redis-streams]
url = "{url}"
"""


async def test_every_host_hears_and_one_of_them_has_it(shared: Valkey) -> None:
    async with (
        leaks(),
        Host(Source, Both, text=text(shared.url)) as one,
        Host(Both, text=text(shared.url)) as other,
    ):
        names = [f"n{at}" for at in range(20)]
        for name in names:
            assert await one.client(Source).change(name) == "process"
        await eventually(lambda: one.instance(Both).seen == other.instance(Both).seen == names)
        await eventually(lambda: sorted(one.instance(Both).had + other.instance(Both).had) == sorted(names))


async def test_events_wait_for_a_host_that_was_away(shared: Valkey) -> None:
    async with Host(Source, text=text(shared.url, "waits")) as source:
        async with Host(Both, text=text(shared.url, "waits")):
            pass
        await source.client(Source).change("ada")
        async with Host(Both, text=text(shared.url, "waits")) as back:
            await eventually(lambda: back.instance(Both).had == ["ada"])
            assert back.instance(Both).seen == []


async def test_a_strategy_that_streams_lack_is_refused_before_anything_starts(shared: Valkey) -> None:
    with pytest.raises(ConfigError, match=r"'redis-streams' can't give .*leads\.one_of_us: .*'leader'"):
        await Host(Leads, text=text(shared.url)).start()


async def test_the_rights_that_the_manual_names_are_enough(shared: Valkey) -> None:
    [line] = re.findall(r"ACL (SETUSER streams .*)", MANUAL.read_text())
    shared.ask("ACL", "LOG", "RESET")
    shared.ask("ACL", *line.replace("PASSWORD", "pw").split())
    async with Host(Source, Both, text=text(shared.url.replace("//", "//streams:pw@"))) as host:
        await host.client(Source).change("ada")
        await eventually(lambda: host.instance(Both).seen == host.instance(Both).had == ["ada"])
    told = shared.ask("ACL", "LOG")
    assert b"config" in told or told == b"*0\r\n"  # what may be refused without harm, and nothing else


async def test_a_user_that_lacks_a_right_keeps_the_host_from_starting_and_is_told_which(shared: Valkey) -> None:
    rights = ["on", ">pw", "resetchannels", "~vyked:*", "+xadd", "+ping", "+info", "+client|setinfo", "+select"]
    shared.ask("ACL", "SETUSER", "weak", *rights)
    with pytest.raises(StartError, match=r"both\.all_of_them: .*User weak .*docs/redis\.md lists the rights") as caught:
        await Host(Both, text=text(shared.url.replace("//", "//weak:pw@"))).start()
    assert caught.value.exit_code == 3
