"""One serving host per test, closed at its end; nothing of it may stay behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from .hosts import Site, serve


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = await serve()
    yield made
    async with asyncio.timeout(10):
        await made.aclose()
    assert made.listener.connections == 0
