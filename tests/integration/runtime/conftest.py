"""A mesh for one test."""

import asyncio

import pytest

from .party import Party


@pytest.fixture
async def party():
    party = Party()
    yield party
    async with asyncio.timeout(20):
        for host in reversed(party.hosts):
            await host.stop()
