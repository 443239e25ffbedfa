import pytest
from server import JETSTREAM, NatsServer

from vyked_host.contracts import TimingTable
from vyked_host.testing import environment, leaks


@pytest.fixture(scope="session")
def shared():
    server = NatsServer(JETSTREAM).start()
    yield server
    server.close()


@pytest.fixture
def server():
    server = NatsServer(JETSTREAM).start()
    yield server
    server.close()


@pytest.fixture
async def env():
    async with leaks(), environment(timing=TimingTable(ping=0.4, pong=0.3, dial=1.5)) as env:
        yield env
