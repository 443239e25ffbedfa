"""Which names a listener goes by: a page whose own name was made to point at this machine gets nothing."""

from __future__ import annotations

import json
import logging

import aiohttp
import pytest

from vyked_host.assembly.prepare import prepare
from vyked_host.builtin.http.hosts import Hosts
from vyked_host.builtin.http.options import Options
from vyked_host.builtin.http.refusal import Refused

REMEDY = "list it in hosts of its table [transports.http]"
ALWAYS = [
    "localhost",
    "LOCALHOST:4501",
    "shop.localhost",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.9.9.9",
    "[::1]",
    "[::1]:4501",
    "10.0.0.7:9",
    None,
]
FOREIGN = [
    "evil.example",
    "evil.example:4501",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "xlocalhost",
    "",
    "a:b:c",
    "[::1",
    "127.0.0.1@evil.example",
]


def lets_in(name: str | None, **options: object) -> bool:
    try:
        Hosts(Options(**options), logging.getLogger("test")).check(name)  # type: ignore[arg-type]
    except Refused:
        return False
    return True


@pytest.mark.parametrize("host", ALWAYS)
def test_addresses_and_localhost_can_not_be_rebound(host: str | None) -> None:
    assert lets_in(host)
    assert lets_in(host, hosts=("shop.example",))


@pytest.mark.parametrize("host", FOREIGN)
def test_on_loopback_no_other_name_is_known(host: str) -> None:
    assert not lets_in(host)
    assert not lets_in(host, hosts=("shop.example",))
    assert lets_in(host, hosts=("*",))


def test_a_host_goes_by_the_names_it_is_given() -> None:
    assert lets_in("Shop.Example:80", hosts=("shop.example",))
    assert not lets_in("a.shop.example", hosts=("shop.example",))
    assert lets_in("a.shop.example", hosts=(".shop.example",))
    assert not lets_in("ashop.example", hosts=(".shop.example",))
    assert lets_in("shop.internal:9", advertise="shop.internal:4501")


def test_beyond_loopback_any_name_is_taken_until_some_are_listed() -> None:
    assert lets_in("shop.example", host="0.0.0.0")
    assert not lets_in("evil.example", host="0.0.0.0", hosts=("shop.example",))
    assert lets_in("shop.internal", host="shop.internal", hosts=("shop.example",))


PATHS = ["/users/ada", "/-/call/identity/find", "/-/surface", "/-/ready", "/ping", "/_stats", "/", "/nowhere"]
REQUESTS = [*((method, path) for method in ("GET", "POST", "OPTIONS") for path in PATHS), ("OPTIONS", "*")]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_a_rebound_name_gets_421_and_nothing_is_run(served, raw, method, path):
    identity, _, port = served
    connection = await raw(port)
    await connection.send(
        f"{method} {path} HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await connection.everything()
    assert answer.startswith(b"HTTP/1.1 421 Misdirected Request")
    said = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    assert REMEDY in said["error"]
    assert (said["code"], said["executed"]) == ("PERMISSION_DENIED", "not_executed")
    assert identity.calls.calls == []


async def test_a_rebound_name_is_told_in_the_log_once(served, raw, caplog):
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        connection = await raw(served[2])
        await connection.send(b"GET /ping HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        await connection.everything()
    assert caplog.text.count(REMEDY) == 1


async def test_the_names_of_the_file_are_served(serve):
    _, _, port = await serve(hosts=("shop.example",))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/ping", headers={"Host": "shop.example"})).status == 200
        assert (await http.get("/ping", headers={"Host": "evil.example"})).status == 421


@pytest.mark.parametrize("wrong", ["http://shop.example", "shop.example:80", "", "a b"])
def test_a_name_with_a_scheme_or_a_port_is_a_fault_of_the_file(wrong: str) -> None:
    loaded = prepare(None, text=f"[transports.http]\nhosts = ['{wrong}']\n").loaded
    (fault,) = loaded.problems
    assert "a name without scheme and port" in fault.sentence
