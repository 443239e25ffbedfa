import pytest
from hypothesis import HealthCheck, settings
from processes import Server

# how long an example takes, and making it, says how busy the machine is
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def redis():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def running():
    """Takes processes, and ends what is left of them."""
    started = []

    def run(process):
        started.append(process)
        return process

    yield run
    for each in started:
        each.close()
