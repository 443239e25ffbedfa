from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from vyked_host.builtin.http.options import Options
from vyked_host.builtin.http.transport import HttpTransport
from vyked_host.contracts import Listener

from .raw import Raw
from .services import Identity
from .small_calls import environment

Served = tuple[Identity, Listener, int]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Starts a listener on a free port: (options=, env=, calls=) -> (identity, listener, port)."""
    listeners: list[Any] = []

    async def start(*, env: Any = None, calls: Any = None, **options: Any) -> Served:
        identity = Identity()
        transport = HttpTransport(Options(**({"port": 0} | options)), env or environment())
        listener = await transport.serve(calls or identity.calls, identity.calls.surface)
        listeners.append(listener)
        return identity, listener, int(listener.addresses[0].uri.rpartition(":")[2])

    yield start
    for listener in listeners:
        await listener.aclose()


@pytest.fixture
async def served(serve: Callable[..., Awaitable[Served]]) -> Served:
    return await serve()


@pytest.fixture
async def http(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{served[2]}") as session:
        yield session


@pytest.fixture
async def raw() -> AsyncIterator[Callable[[int], Awaitable[Raw]]]:
    """Opens plain sockets: (port) -> Raw."""
    opened: list[Raw] = []

    async def connect(port: int) -> Raw:
        opened.append(await Raw.connect(port))
        return opened[-1]

    yield connect
    for each in opened:
        await each.close()
