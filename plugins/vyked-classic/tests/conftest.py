import pytest
from processes import Server


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
