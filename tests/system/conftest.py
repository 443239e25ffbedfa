"""The suite runs once with calls over tcp and once with the transport of the same table swapped for http, by one flag.

VYKED_SYSTEM_SET="transports.tcp.use=x" runs it with another transport in that place instead.
"""

import os
from pathlib import Path

import pytest

from .program import Running

ROOT = Path(__file__).parents[2]
SWAPS = {"over tcp": "transports.tcp.use=tcp", "over http": "transports.tcp.use=http"}
if chosen := os.environ.get("VYKED_SYSTEM_SET"):
    SWAPS = {chosen: chosen}

SLOW = """
import asyncio
from pathlib import Path
from vyked_host import Service, api


class Slow(Service, name="slow", version="1.0.0"):
    @api
    async def hold(self, until: str) -> str:
        self.log.info("holding until %s", until)
        while not Path(until).exists():
            await asyncio.sleep(0.01)
        return "let go"

    @api
    async def echo(self, text: str) -> str:
        return text

    @api
    async def fail(self) -> None:
        raise RuntimeError("a secret of the handler")

    async def on_stop(self) -> None:
        self.log.info("on_stop ran")
"""
SLOW_FILE = '[host]\nmesh = "slow"\n[transports.tcp]\nport = 0\n[services.slow]\nuse = "slow:Slow"\n'


@pytest.fixture
def launch():
    """Start `vyked-host run`; ended with the test."""
    started = []

    def launch(*words, folder, **more):
        started.append(Running(*words, folder=folder, **more))
        return started[-1]

    yield launch
    for each in started:
        each.kill()


@pytest.fixture(params=list(SWAPS.values()), ids=list(SWAPS))
def start(request, launch):
    """The same, with the transport of this run in the place of tcp."""
    return lambda *words, **more: launch(*words, "--set", request.param, **more)


@pytest.fixture
def demo(start):
    """The demo of the repository, on free ports."""
    return start("--set", "transports.tcp.port=0", "--set", "transports.http.port=0", folder=ROOT).ready()


@pytest.fixture
def folder(tmp_path):
    """A vyked.toml with a service whose handler holds until a file appears."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "vyked.toml").write_text(SLOW_FILE)
    return tmp_path


@pytest.fixture
def slow(start, folder):
    """That service, served."""
    return start(folder=folder).ready()
