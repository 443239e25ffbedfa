"""The machine of the registry suite closes what it has opened where it fails, too. Left open it ended the process of `plugins
verify`, so that of a registry that fails there nobody saw the matrix."""

import asyncio
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from vyked_host.builtin.embedded.options import RegistryOptions
from vyked_host.builtin.embedded.registry import EmbeddedRegistry
from vyked_host.contracts import Provider
from vyked_host.testing.conformance.company import QUICK
from vyked_host.testing.conformance.registry_machine import A_MOMENT_S, RegistryMachine

A_LONG_WHILE_S = 3.0


class TellsOfNobody(EmbeddedRegistry):
    async def watch(self, services):
        async for change in super().watch(services):
            if change.snapshot and not change.nodes:
                yield change


def test_a_machine_that_fails_at_its_end_leaves_nothing_open():
    provider = Provider(name="planted", summary="planted", options=RegistryOptions, build=TellsOfNobody)
    machine = RegistryMachine(provider, RegistryOptions(), virtual=True)
    machine.begin({"a", "b"})
    folders = [Path(each.env.state_dir) for each in machine._members.values()]
    assert all(each.exists() for each in folders)
    with pytest.raises(AssertionError, match="are there"):
        machine.teardown()
    assert machine._loop.is_closed()
    assert not [each for each in folders if each.exists()]


class Slow(EmbeddedRegistry):
    """What it tells comes two moments late, as on a machine with much else to do."""

    async def watch(self, services):
        async for change in super().watch(services):
            await asyncio.sleep(2 * A_MOMENT_S)
            yield change


class Forgets(EmbeddedRegistry):
    """One who was known is not for a while, though nothing happened to it."""

    async def watch(self, services):
        async for change in super().watch(services):
            yield change
            if change.nodes:
                gone = tuple(node.node_id for _, node in change.nodes)
                yield msgspec.structs.replace(change, revision=change.revision + 1, snapshot=False, nodes=(), gone=gone)
                await asyncio.sleep(A_LONG_WHILE_S)
                yield msgspec.structs.replace(change, revision=change.revision + 2, snapshot=False)


@contextmanager
def in_real_time(registry):
    provider = Provider(name="planted", summary="planted", options=RegistryOptions, build=registry)
    machine = RegistryMachine(provider, RegistryOptions(), virtual=False)
    try:
        yield machine
    finally:
        machine._end()


def test_where_time_is_real_a_slow_machine_is_no_fault():
    with in_real_time(Slow) as machine:
        machine.begin({"a", "b"})
        machine.a_node_that_is_there_is_known()
        machine._run(machine._announce("c", machine._members["c"].record("shop")))
        machine.a_node_that_is_there_is_known()
        time.sleep(3 * QUICK.lease)  # between two steps nobody says a word
        machine.a_node_that_is_there_is_known()
        machine._run(machine.leases["c"].withdraw())
        machine._forget("c")
        machine.settle()


def test_where_time_is_real_a_node_that_was_known_and_is_not_is_a_fault_though_it_comes_back():
    with in_real_time(Forgets) as machine:
        machine.begin({"a"})
        machine.known = {"a"}
        with pytest.raises(AssertionError, match=r"\['a'\] are there and not known any more"):
            machine.a_node_that_is_there_is_known()
