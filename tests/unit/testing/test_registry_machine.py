"""The machine of the registry suite closes what it has opened where it fails, too. Left open it ended the process of `plugins
verify`, so that of a registry that fails there nobody saw the matrix."""

from pathlib import Path

import pytest

from vyked_host.builtin.embedded.options import RegistryOptions
from vyked_host.builtin.embedded.registry import EmbeddedRegistry
from vyked_host.contracts import Provider
from vyked_host.testing.conformance.registry_machine import RegistryMachine


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
