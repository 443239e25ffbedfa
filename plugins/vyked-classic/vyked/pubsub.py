"""`vyked.pubsub`: publish and subscribe over Redis by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

AGAIN_S = 1.0
"""Between two tries to subscribe where the server is away."""


class PubSub:
    """One connection to publish, and one for each `subscribe`."""

    def __init__(self, redis_host: str, redis_port: int) -> None:
        self._host, self._port = redis_host or "127.0.0.1", redis_port
        self._connection: Any = None

    def _open(self) -> Any:
        return redis.asyncio.Redis(host=self._host, port=self._port, decode_responses=True)

    async def connect(self) -> None:
        """Make the connection to publish over. Raises OSError when nobody answers."""
        self._connection = self._open()
        try:
            await self._connection.ping()
        except RedisError as error:
            raise OSError(f"the Redis server at {self._host}:{self._port} does not answer: {error}") from error

    async def publish(self, endpoint: str, payload: str) -> bool:
        """Send `payload` on the channel `endpoint`; False: it could not be sent."""
        if self._connection is None:
            return False
        try:
            await self._connection.publish(endpoint, payload)
        except RedisError:
            return False
        return True

    async def subscribe(self, endpoints: Iterable[str], handler: Callable[[str, str], Any]) -> None:
        """Call `handler(channel, payload)` for each message, for ever; what it raises ends it. A connection that is lost is made
        again. With no channels there is nothing to do."""
        channels = list(endpoints)
        while channels:
            try:
                async with self._open() as connection, connection.pubsub() as heard:
                    await heard.subscribe(*channels)
                    async for message in heard.listen():
                        if message["type"] == "message":
                            handler(message["channel"], message["data"])
            except RedisError:
                await asyncio.sleep(AGAIN_S)

    async def aclose(self) -> None:
        """Close the connection to publish over."""
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None
