"""The kit over the embedded bus of a node that does not hold the hub: every call and delivery goes over a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.events.party import Party
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.builtin.embedded.provider import vyked_pubsub_backends
from vyked_host.contracts import Environment
from vyked_host.testing import PubSubConformance


class TestJoined(PubSubConformance):
    ack_wait_s = 1.0

    @pytest.fixture
    def provider(self):
        (found,) = vyked_pubsub_backends()
        return found

    @pytest_asyncio.fixture
    async def env(self, tmp_path: Path) -> AsyncIterator[Environment]:
        party = Party(tmp_path, ack_wait=1.0, scale=1.0)
        _holder, joined = await party.member(), await party.member()
        self.joined = joined
        yield joined.env
        await party.aclose()

    @pytest.fixture
    def options(self):
        return BusOptions(ack_wait=1.0)

    @pytest_asyncio.fixture
    async def bus(self, env):
        yield self.joined.bus
        await self.joined.bus.aclose()


class TestJoinedDurable(TestJoined):
    test_what_waits_for_a_group_is_there_for_the_next_process = None  # the file is the holder's, not this node's

    @pytest_asyncio.fixture
    async def env(self, tmp_path: Path) -> AsyncIterator[Environment]:
        party = Party(tmp_path, ack_wait=1.0, scale=1.0, path="events.db")
        _holder, joined = await party.member(), await party.member()
        self.joined = joined
        yield joined.env
        await party.aclose()

    @pytest.fixture
    def options(self):
        return BusOptions(ack_wait=1.0, path="events.db")


class TestDurable(PubSubConformance):
    ack_wait_s = 1.0

    @pytest.fixture
    def provider(self):
        (found,) = vyked_pubsub_backends()
        return found

    @pytest.fixture
    def options(self):
        return BusOptions(ack_wait=1.0, path="events.db")
