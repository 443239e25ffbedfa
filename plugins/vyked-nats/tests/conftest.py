import pytest
from hypothesis import HealthCheck, settings
from server import JETSTREAM, NatsServer
from vyked_nats.bus import NatsBus
from vyked_nats.options import BusOptions

from vyked_host.contracts import TimingTable
from vyked_host.testing import environment, leaks

# how long an example takes, and making it, says how busy the machine is
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


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


@pytest.fixture
async def open_bus(env):
    made = []

    def open_bus(url, **options):
        made.append(NatsBus(BusOptions(url=url, **options), env))
        return made[-1]

    yield open_bus
    for bus in made:
        await bus.aclose()
