import pytest
from hypothesis import settings
from processes import Server

settings.register_profile("busy", deadline=None)  # how long an example takes says how busy the machine is
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
