"""A Unix socket beside the port: taken by those who see that very file, closed to other users, and never left in anybody's way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from vyked_host import Service, api
from vyked_host.assembly import Host
from vyked_host.builtin.tcp import near
from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.transport import TcpTransport
from vyked_host.contracts import Address
from vyked_host.errors import StartError, Unavailable
from vyked_host.model.unix import LONGEST, UnixAddress, of
from vyked_host.runtime.links import Link
from vyked_host.runtime.net import AsyncioNet

from .hosts import environment
from .test_tls import Pki


class Echo(Service, name="echo", version="1.0.0"):
    @api
    async def say(self, text: str) -> str:
        return text


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def serving(folder, more=""):
    return Host(Echo, text=f'[host]\nmesh = "near"\n[transports.tcp]\nport = 0\nunix = "{folder}"\n{more}')


def calling(*uris, more=""):
    nodes = ", ".join(f'"{each}"' for each in uris)
    return Host(text=f'[host]\nmesh = "near"\n[registry]\nuse = "static"\n[registry.static]\nnodes = [{nodes}]\n{more}')


def addresses(host):
    """(over TCP, over the Unix socket)"""
    over_tcp, over_unix = (each.uri for each in host.addresses)
    return over_tcp, over_unix


def channel(driver):
    (instance,) = driver.node.clients[-1].target.instances
    return instance.link.best.channel


async def test_hosts_that_see_the_socket_call_over_it_by_themselves(folder, tmp_path):
    text = '[host]\nmesh = "near"\n[registry.embedded]\naddress = "127.0.0.1:{port}"\n[transports.tcp]\nport = 0\nunix = "{folder}"\n'
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    text = text.format(port=port, folder=folder)
    async with Host(Echo, text=text), Host(text=text) as driver:
        assert await driver.client(Echo).say("x" * 200_000) == "x" * 200_000
        assert channel(driver).peer == "unix"


async def test_only_this_user_may_connect_and_nothing_is_left_at_the_end(folder):
    async with serving(folder) as host:
        address = of(addresses(host)[1])
        assert address is not None
        assert stat.S_IMODE(os.stat(address.path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert os.listdir(folder) == [f"vyked-{host.node.record.node_id}.sock"]
    assert os.listdir(folder) == []


@pytest.mark.parametrize("elsewhere", ["another boot", "another file", "no file"])
async def test_a_peer_that_does_not_see_that_very_file_takes_tcp_and_never_touches_it(folder, elsewhere):
    async with serving(folder) as host:
        over_tcp, over_unix = addresses(host)
        seen = of(over_unix)
        assert seen is not None
        boot, device, inode = seen.mark.split(".")
        changed = {
            "another boot": seen._replace(mark=f"{boot[::-1]}.{device}.{inode}"),
            "another file": seen._replace(mark=f"{boot}.{device}.{int(inode, 16) + 1:x}"),
            "no file": seen._replace(path="/nowhere/x.sock"),
        }[elsewhere]
        record = msgspec.structs.replace(
            host.node.record, addresses=(Address("tcp", over_tcp), Address("tcp", changed.uri))
        )
        transport = TcpTransport(Options(), environment(mesh="near"))
        with pytest.raises(Unavailable, match="of another machine or container"):
            await transport.dial(Address("tcp", changed.uri), deadline=asyncio.get_running_loop().time() + 5)
        assert transport.counters.dialled == 0
        link = Link(record, lambda address, limit: transport.dial(address, deadline=limit), 5.0)
        found = await link.best.open(asyncio.get_running_loop().time() + 5)
        assert found.peer == over_tcp.removeprefix("tcp://")
        await link.aclose()


async def test_a_socket_that_nobody_listens_at_is_taken_away_and_one_in_use_is_not(folder):
    folder.mkdir()
    left, foreign = folder / "vyked-dead.sock", folder / "other.sock"
    for each in (left, foreign):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(each))
    async with serving(folder) as first, serving(folder) as second:
        names = {f"vyked-{each.node.record.node_id}.sock" for each in (first, second)}
        assert set(os.listdir(folder)) == names | {"other.sock"}
        async with calling(addresses(first)[1]) as driver:
            assert await driver.client(Echo).say("a") == "a"


def test_what_a_killed_host_left_is_taken_away_by_the_next(folder):
    program = f"""
import asyncio, signal, os
from tests.integration.tcp.test_unix import serving
async def main():
    async with serving({str(folder)!r}):
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = os.listdir(folder)
    assert near.clear(str(folder)) == [str(folder / left)]


async def test_a_name_at_which_somebody_listens_is_an_error_that_names_it(folder):
    folder.mkdir()
    uri = UnixAddress(str(folder / "a.sock")).uri
    net, link = AsyncioNet(), lambda: None
    first = await net.listen(uri, link, None)
    with pytest.raises(StartError, match=r"a\.sock can't be bound") as refused:
        await net.listen(uri, link, None)
    assert refused.value.in_use
    assert os.listdir(folder) == ["a.sock"]
    first.close()


async def test_a_path_that_the_kernel_does_not_take_is_told(tmp_path):
    with pytest.raises(StartError, match=rf"too long for a Unix socket, which has {LONGEST} bytes"):
        async with serving(tmp_path / ("x" * LONGEST)):
            pass


async def test_the_secret_has_to_be_proven_over_it_too(folder):
    secret = '[security]\nsecret = "correct horse battery staple"\n'
    async with serving(folder, secret) as host:
        over_unix = addresses(host)[1]
        async with calling(over_unix, more=secret) as driver:
            assert await driver.client(Echo).say("a") == "a"
            assert channel(driver).peer == "unix"
        async with calling(over_unix, more=secret.replace("horse", "mouse")) as stranger:
            with pytest.raises(Unavailable):
                await stranger.client(Echo).say("a")


async def test_certificates_are_shown_over_it_too_and_have_to_be_for_the_host_of_the_address(folder, tmp_path):
    pki = Pki(tmp_path)

    def table(name):
        found = pki.table(name, uris=[f"spiffe://near/{name}"])
        files = {each: tmp_path / getattr(found, each) for each in ("cert", "key", "ca")}
        return "[security.tls]\n" + "".join(f'{name} = "{path}"\n' for name, path in files.items())

    async with serving(folder, table("host")) as host:
        over_unix = addresses(host)[1]
        async with calling(over_unix, more=table("caller")) as driver:
            assert await driver.client(Echo).say("a") == "a"
            assert channel(driver).peer == "unix"
        plain = calling(over_unix)
        async with plain:
            with pytest.raises(Unavailable):
                await plain.client(Echo).say("a")


@pytest.mark.parametrize(
    "address", [UnixAddress("/run/a b.sock", "10.0.0.7", "boot.1.2"), UnixAddress("/x?y#z", "[::1]"), UnixAddress("/x")]
)
def test_an_address_is_read_as_it_was_written(address):
    assert of(address.uri) == address


def test_other_addresses_are_none_of_it():
    assert of("tcp://127.0.0.1:4502") is None
    assert of("unix:/run/x.sock") == UnixAddress("/run/x.sock")
    assert not near.is_elsewhere("unix:/nowhere/x.sock"), "one without a mark was written by a person"
