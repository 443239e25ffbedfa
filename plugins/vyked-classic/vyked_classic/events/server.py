"""Connections to the Redis server, without redis-py's own ways of hiding that one was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from vyked_host import ConfigError, StartError
from vyked_host.contracts import Environment

FAULTS = (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)


def connection(url: str, env: Environment) -> Redis:
    """A client that fails at once when its connection is lost, and within `[timing] dial` where nobody answers. Raises ConfigError
    where `url` is none."""
    try:
        made: Any = Redis.from_url(
            url, single_connection_client=True, retry=Retry(NoBackoff(), 0), retry_on_error=[], socket_keepalive=True,
            socket_connect_timeout=env.timing.dial, socket_timeout=None, protocol=2,
        )  # fmt: skip
    except ValueError:  # it quotes the url, and a password with it
        raise ConfigError(
            "[pubsub.classic] url is no address of a Redis server; write redis://USER:PASSWORD@HOST:PORT/DATABASE, with any of "
            "/ ? # @ : % in a password percent-encoded"
        ) from None
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
    """Where the server is, without the password that the url may hold: before the host, or behind a "?"."""
    address, _, query = url.partition("?")
    if "@" in query:  # of what should be percent-encoded nobody knows where it ends
        return "the address in its url"
    return address.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://")


def unusable(url: str, error: BaseException) -> StartError:
    """What is said at start of a server that can't be used, and what to do about it."""
    if isinstance(error, (AuthenticationError, NoPermissionError)):
        todo = "correct user and password in [pubsub.classic] url, or what the server lets this user do"
    else:
        todo = "start it, or correct [pubsub.classic] url"
    return StartError(f"the Redis server at {place(url)} can't be used: {error}; {todo}")
