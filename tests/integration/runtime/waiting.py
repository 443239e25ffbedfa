"""Waiting for a state instead of sleeping for a time."""

import asyncio
from collections.abc import Callable
from typing import Any


async def until(true: Callable[[], Any], within: float = 5.0) -> None:
    """Return once `true()` holds; TimeoutError when it does not within the time."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - any state, not one that has an event
            await asyncio.sleep(0.001)
