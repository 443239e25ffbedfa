"""The static registry over real tcp: hosts are asked, known, gone, and known again."""

import msgspec
import pytest

from vyked_host.builtin.static.provider import StaticOptions, vyked_registries
from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.provider import vyked_transports
from vyked_host.testing import environment, eventually
from vyked_host.testing.conformance.bench import SURFACE, Service
from vyked_host.testing.conformance.registries import View, record


@pytest.fixture
async def env():
    async with environment() as env:
        yield msgspec.structs.replace(env, dial=lambda address, deadline: tcp(env).dial(address, deadline=deadline))


def tcp(env, port=0):
    return vyked_transports()[0].build(Options(port=port), env)


def registry(env, *nodes):
    return vyked_registries()[0].build(StaticOptions(nodes=nodes), env)


async def served(env, node_id, port=0):
    return await tcp(msgspec.structs.replace(env, node_id=node_id), port).serve(Service(env), SURFACE)


async def test_a_listed_host_says_itself_what_it_serves(env):
    host = await served(env, "far")
    static = registry(env, host.addresses[0].uri)
    view = View(static.watch(None), env)
    await eventually(lambda: view.knows("far"))
    found = view.nodes["far"][1]
    assert [(each.service, each.version, each.status) for each in found.instances] == [("bench", "1.2.0", "active")]
    assert found.addresses == host.addresses
    await static.aclose()
    await eventually(lambda: view.ended)
    await host.aclose()


async def test_a_host_that_is_away_is_gone_and_comes_back(env):
    host = await served(env, "far")
    port = int(host.addresses[0].uri.rpartition(":")[2])
    static = registry(env, host.addresses[0].uri)
    view = View(static.watch(None), env)
    await eventually(lambda: view.knows("far"))
    await host.aclose()
    await eventually(lambda: view.knows())
    again = await served(env, "far-again", port)
    await eventually(lambda: view.knows("far-again"))
    await static.aclose()
    await again.aclose()


async def test_a_host_that_never_was_there_is_named_once(env, caplog):
    host = await served(env, "far")
    uri = host.addresses[0].uri
    await host.aclose()
    static = registry(env, uri)
    view = View(static.watch(None), env)
    await eventually(lambda: uri in caplog.text)
    assert view.knows()
    await static.aclose()


async def test_one_host_with_two_addresses_is_one_and_this_host_is_left_out(env):
    one, two, own = [await served(env, node_id) for node_id in ("far", "far", env.node_id)]
    static = registry(env, *(each.addresses[0].uri for each in (one, two, own)))
    view = View(static.watch(None), env)
    await eventually(lambda: view.knows("far") and len(view.nodes["far"][1].addresses) == 2)
    other = View(static.watch(frozenset({"nothing"})), env)
    await eventually(lambda: other.seen)
    assert other.knows()
    await static.aclose()
    for host in (one, two, own):
        await host.aclose()


async def test_announcing_changes_nothing_and_is_never_lost(env):
    static = registry(env)
    lease = await static.announce(record(env, "me"))
    await lease.update(record(env, "me", "shop"))
    await lease.withdraw()
    assert not lease.lost.done()
    await static.aclose()


def test_an_address_has_to_be_one():
    assert StaticOptions(nodes=("tcp://10.0.0.7:4502", "http://[::1]:80/"))
    for wrong in ("10.0.0.7:4502", "tcp://host", "tcp://ho st:1"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"nodes": [wrong]}, StaticOptions)
