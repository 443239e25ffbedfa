"""Connections to the Redis server, without redis-py's own ways of hiding that one was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from vyked_host.contracts import Environment

FAULTS = (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)


def connection(url: str, env: Environment) -> Redis:
    """A client that fails at once when its connection is lost, and within `[timing] dial` where nobody answers."""
    made: Any = Redis.from_url(
        url, single_connection_client=True, retry=Retry(NoBackoff(), 0), retry_on_error=[], socket_keepalive=True,
        socket_connect_timeout=env.timing.dial, socket_timeout=None, protocol=2,
    )  # fmt: skip
    return made  # type: ignore[no-any-return]


@asynccontextmanager
async def opened(url: str, env: Environment) -> AsyncIterator[Redis]:
    """A client that is connected, closed at the end whatever happened: redis-py leaves it open when connecting is given up."""
    client = connection(url, env)
    try:
        await client.ping()
        yield client
    finally:
        await client.aclose()


def place(url: str) -> str:
    """Where the server is, without the password that the url may hold."""
    return url.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://")
