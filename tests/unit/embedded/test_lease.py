"""What a lease at the embedded registry says when it is over: whether that is a cause for worry."""

from vyked_host.builtin.embedded.options import RegistryOptions
from vyked_host.builtin.embedded.registry import EmbeddedRegistry
from vyked_host.contracts import Anew, Provider, Taken
from vyked_host.testing import eventually
from vyked_host.testing.conformance.company import QUICK, company
from vyked_host.testing.virtual_time import virtual_time

PROVIDER = Provider(
    name="embedded", summary="", options=RegistryOptions, build=lambda options, env: EmbeddedRegistry(options, env)
)


async def test_a_registry_that_started_anew_is_the_reason_that_it_gives() -> None:
    with virtual_time():
        async with company(PROVIDER, RegistryOptions(), QUICK) as nodes:
            one = await nodes.join("one")
            lease = await one.registry.announce(one.record("shop"))
            await nodes.hub.end()
            await eventually(lease.lost.done)
            assert isinstance(lease.lost.result(), Anew)


async def test_an_id_that_another_process_took_is_never_taken_for_a_registry_that_started_anew() -> None:
    """Also where both happened: to announce again would be a fight."""
    with virtual_time():
        async with company(PROVIDER, RegistryOptions(), QUICK) as nodes:
            early, late = await nodes.join("same"), await nodes.join("same")
            first = await early.registry.announce(early.record("shop"))
            early.seat.mute = True
            await nodes.hub.end()
            await late.registry.announce(late.record("shop"))
            early.seat.mute = False
            await eventually(first.lost.done)
            assert isinstance(first.lost.result(), Taken)
