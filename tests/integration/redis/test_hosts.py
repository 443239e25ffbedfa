"""Whole hosts on the Redis bus: events between them, what is refused at start, and what a person reads then."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.valkey import Valkey
from vyked_host import Service, api, publish, subscribe, xsubscribe
from vyked_host.assembly import Host
from vyked_host.errors import ConfigError, StartError
from vyked_host.testing import eventually
from vyked_host.testing.leftovers import leaks

PASSWORD = "s3cr3t-of-the-bus"
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


class Sees(Service, name="sees", version="1.0.0"):
    async def on_start(self) -> None:
        self.seen: list[str] = []

    @subscribe(Source.changed)
    async def all_of_them(self, event: Changed) -> None:
        self.seen.append(event.name)


class Wants(Service, name="wants", version="1.0.0"):
    @xsubscribe(Source.changed)
    async def one_of_us(self, event: Changed) -> None: ...


def text(url: str, mesh: str = "shop", timing: str = "") -> str:
    return f"""
[host]
mesh = "{mesh}"
[transports.local]
[pubsub]
use = "redis"
[pubsub.redis]
url = "{url}"
[timing]
{timing}
"""


async def test_events_reach_every_host_of_the_mesh_and_no_other(shared: Valkey) -> None:
    async with (
        leaks(),
        Host(Source, Sees, text=text(shared.url)) as one,
        Host(Sees, text=text(shared.url)) as other,
        Host(Sees, text=text(shared.url, mesh="elsewhere")) as stranger,
    ):
        assert await one.client(Source).change("ada") == "memory"
        await one.client(Source).change("bob")
        await eventually(lambda: one.instance(Sees).seen == other.instance(Sees).seen == ["ada", "bob"])
        assert stranger.instance(Sees).seen == []


async def test_what_needs_more_than_the_bus_gives_is_refused_before_anything_starts(shared: Valkey) -> None:
    with pytest.raises(ConfigError, match=r"'redis' can't give .*wants\.one_of_us: @xsubscribe needs at-least-once"):
        await Host(Wants, text=text(shared.url)).start()


async def test_a_host_that_can_not_reach_its_bus_leaves_nothing_behind(shared: Valkey) -> None:
    async with leaks():
        with pytest.raises(StartError, match=r"unix:///nowhere/s"):
            await Host(Source, text=text("unix:///nowhere/s")).start()


async def test_a_server_that_never_answers_is_given_up_on_in_time(server: Valkey) -> None:
    server.freeze()
    try:
        with pytest.raises(StartError, match=r"did not answer within 0\.3 s"):
            await Host(Source, text=text(server.url, timing="dial = 0.3")).start()
    finally:
        server.thaw()


def program(folder: Path, url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`vyked-host run`, which can't start."""
    (folder / "vyked.toml").write_text(text(url) + '[services.hello]\nuse = "hello:Hello"\n')
    (folder / "hello.py").write_text(
        "from vyked_host import Service, api\n\n\nclass Hello(Service, name='hello', version='1.0.0'):\n"
        "    @api\n    async def greet(self) -> str:\n        return 'hi'\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VYKED_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("vyked-host")), "run", "vyked.toml"], cwd=folder, env=kept | environ,
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip


@pytest.fixture(scope="module")
def guarded() -> Any:
    server = Valkey(f"requirepass {PASSWORD}").start()
    yield server
    server.close()


@pytest.mark.parametrize("debug", ["0", "1"])
def test_a_wrong_password_is_exit_3_and_is_not_shown(guarded: Valkey, tmp_path: Path, debug: str) -> None:
    done = program(tmp_path, "${BUS}", BUS=guarded.url.replace("//", "//:wr0ng-one@"), VYKED_DEBUG=debug)
    assert done.returncode == 3, done.stderr
    assert f"{guarded.url} refused the user or password of [pubsub.redis] url: " in done.stderr
    assert "wr0ng-one" not in done.stdout + done.stderr


def test_a_missing_password_is_exit_3(guarded: Valkey, tmp_path: Path) -> None:
    done = program(tmp_path, guarded.url)
    assert done.returncode == 3, done.stderr
    assert "refused the user or password" in done.stderr
    assert "; correct user and password in [pubsub.redis] url, or" in done.stderr
    assert "start the server" not in done.stderr


def test_nobody_listening_is_exit_3_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can take this port meanwhile
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = program(tmp_path, f"redis://ada:{PASSWORD}@127.0.0.1:{port}/2")
    assert done.returncode == 3, done.stderr
    assert f"redis://127.0.0.1:{port}/2" in done.stderr
    assert "refused" in done.stderr
    assert "start the server, correct [pubsub.redis] url" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_an_address_that_is_none_is_a_fault_of_the_file_and_hides_its_password(tmp_path: Path) -> None:
    done = program(tmp_path, f"redis://:{PASSWORD}/x@127.0.0.1:6379")
    assert done.returncode == 4, done.stderr
    assert "percent-encoded" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


async def test_the_right_password_and_an_acl_user_work(guarded: Valkey) -> None:
    async with Host(Source, Sees, text=text(guarded.url.replace("//", f"//:{PASSWORD}@") + "?db=3")) as host:
        await host.client(Source).change("ada")
        await eventually(lambda: host.instance(Sees).seen == ["ada"])


async def test_the_rights_that_the_manual_names_are_enough(shared: Valkey) -> None:
    [line] = re.findall(r"ACL (SETUSER vyked .*)", MANUAL.read_text())
    shared.ask("ACL", "LOG", "RESET")
    shared.ask("ACL", *line.replace("PASSWORD", "pw").split())
    async with Host(Source, Sees, text=text(shared.url.replace("//", "//vyked:pw@") + "?db=1")) as host:
        await host.client(Source).change("ada")
        await eventually(lambda: host.instance(Sees).seen == ["ada"])
    assert shared.ask("ACL", "LOG") == b"*0\r\n"  # nothing else was tried


async def test_a_user_that_may_not_listen_is_told_which_right_it_lacks(shared: Valkey) -> None:
    shared.ask("ACL", "SETUSER", "mute", "on", ">pw", "+publish", "+ping", "+client", "resetchannels")
    with pytest.raises(Exception, match=r"no events of source\.changed come in: .*ACL SETUSER <user> \+subscribe"):
        await Host(Sees, text=text(shared.url.replace("//", "//mute:pw@"))).start()
