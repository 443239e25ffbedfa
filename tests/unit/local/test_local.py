"""The transport of a process to itself."""

import pytest

from vyked_host.builtin.local.provider import ADDRESS, Local, vyked_transports
from vyked_host.contracts import Surface
from vyked_host.errors import NotSupported


async def test_it_listens_nowhere_and_can_not_be_dialled():
    (provider,) = vyked_transports()
    assert provider.guarantees(provider.options()).streams
    transport = provider.build(provider.options(), None)
    assert isinstance(transport, Local)
    listener = await transport.serve(None, Surface(revision=1, endpoints=()))
    assert listener.addresses == (ADDRESS,)
    listener.expose(Surface(revision=2, endpoints=()))
    listener.stop_accepting()
    await listener.aclose()
    with pytest.raises(NotSupported, match="tcp or http"):
        await transport.dial(ADDRESS, deadline=1.0)
