"""Who may talk to whom, and where a host listens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from vyked_host.builtin.tcp.options import DEFAULT_PORT
from vyked_host.contracts import Address, TimingTable
from vyked_host.errors import NotSupported, StartError, Unavailable

from .hosts import ask, environment, serve


async def test_another_mesh_is_refused_naming_ours(site):
    with pytest.raises(Unavailable, match="of mesh 'demo', the client of 'prod'") as caught:
        await site.dial(environment(node="b2", mesh="prod"))
    assert caught.value.executed == "not_sent"


async def test_no_common_serializer_is_refused_naming_both(site):
    with pytest.raises(NotSupported, match="this host has msgpack, json, the client cbor"):
        await site.dial(environment(node="b2", serializers=("cbor",)), serializer="cbor")


async def test_the_clients_first_choice_wins(site):
    assert (await site.dial(serializer="json")).codec == "json"
    channel = await site.dial(environment(node="b2", serializers=("cbor", "json")), serializer="cbor")
    assert channel.codec == "json"


async def test_a_serializer_that_is_not_installed_is_refused_before_a_socket_opens(site):
    with pytest.raises(NotSupported, match="'cbor' is not installed; there are: msgpack, json"):
        await site.dial(serializer="cbor")
    with pytest.raises(NotSupported, match="'cbor' is not installed"):
        await serve(serializer="cbor")


async def test_a_port_that_was_given_and_is_taken_is_an_error(site):
    with pytest.raises(StartError, match="in use"):
        await serve(port=site.address[1])


async def test_an_absent_port_is_the_default_one_or_a_free_one():
    first = await serve(port=None)
    second = await serve(port=None)
    assert second.address[1] not in (0, DEFAULT_PORT)
    assert first.address[1] != second.address[1]
    assert await ask(await second.dial(), "echo", b"x") == b"x"
    await first.aclose()
    await second.aclose()


@pytest.mark.parametrize(
    ("advertise", "expected"),
    [("10.0.0.7:9", "tcp://10.0.0.7:9"), ("10.0.0.7", "tcp://10.0.0.7:{port}"), ("[::1]", "tcp://[::1]:{port}"),
     (None, "tcp://127.0.0.1:{port}")],
)  # fmt: skip
async def test_what_others_dial_is_advertised(advertise, expected):
    site = await serve(advertise=advertise)
    port = site.listener._servers[0].sockets[0].getsockname()[1]
    assert site.listener.addresses == (Address(transport="tcp", uri=expected.format(port=port)),)
    await site.aclose()


async def test_nobody_there_is_unavailable_and_not_sent(site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable, match=r"tcp://127\.0\.0\.1") as caught:
        await site.dialler().dial(Address(transport="tcp", uri=uri), deadline=asyncio.get_running_loop().time() + 5)
    assert caught.value.executed == "not_sent"


async def test_connected_is_not_enough_the_hello_has_to_be_answered(site):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        env = environment(node="b2", timing=TimingTable(dial=0.1))
        with pytest.raises(Unavailable, match="no hello in time"):
            await site.dialler(env).dial(
                Address(transport="tcp", uri=uri), deadline=asyncio.get_running_loop().time() + 5
            )


async def test_a_unix_socket_works_as_well(tmp_path):
    site = await serve()
    path = tmp_path / "lab.sock"
    server = await site.env.net.listen(f"unix:{path}", site.listener.link, None)
    deadline = asyncio.get_running_loop().time() + 5
    channel = await site.dialler().dial(Address(transport="tcp", uri=f"unix:{path}"), deadline=deadline)
    assert await ask(channel, "echo", b"x") == b"x"
    assert site.lab.calls[0].peer.address == "unix"
    await channel.aclose()
    server.close()
    await site.aclose()


async def test_sockets_send_at_once_and_notice_dead_peers(site):
    channel = await site.dial()
    found = channel._transport.get_extra_info("socket")
    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15000
