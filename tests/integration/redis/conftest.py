"""A server for the whole package, and one of its own for a test that breaks it. Timers are a twentieth of the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.stalls import watch
from tests.valkey import Valkey
from vyked_host.builtin.redis.bus import RedisBus
from vyked_host.builtin.redis.options import BusOptions
from vyked_host.contracts import Environment, TimingTable
from vyked_host.testing import environment
from vyked_host.testing.leftovers import leaks

TIMING = TimingTable(ping=0.4, pong=0.3, dial=1.5)


@pytest.fixture(scope="package")
def shared() -> Iterator[Valkey]:
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
def server() -> Iterator[Valkey]:
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
async def env() -> AsyncIterator[Environment]:
    watch()  # its process outlives the tests: it must not begin within one that looks for what is left
    async with leaks(), environment(timing=TIMING) as env:
        yield env


@pytest.fixture
async def open_bus(env: Environment) -> AsyncIterator[Callable[..., RedisBus]]:
    """Opens a bus; all are closed at the end, and nothing of them may be left."""
    made = []

    def open_bus(url: str, **options: int | str) -> RedisBus:
        made.append(RedisBus(BusOptions(url=url, **options), env))
        return made[-1]

    yield open_bus
    for bus in made:
        await bus.aclose()
