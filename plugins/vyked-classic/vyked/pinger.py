"""`vyked.pinger`: asks somebody again and again whether they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiohttp

from .packet import ControlPacket

PING_INTERVAL = 5.0
PING_TIMEOUT = 10.0
FAILURES = 5
"""Seconds between a pong and the next ping, seconds to wait for a pong, and pongs that may stay out: those of Vyked 2.x."""
log = logging.getLogger("vyked.pinger")


class Pinger:
    """Calls `handler.send_ping(payload=...)` until `stop`, and `handler.on_timeout()` once too many were not answered by
    `pong_received()`."""

    def __init__(
        self, handler: Any, interval: float = PING_INTERVAL, timeout: float = PING_TIMEOUT, loop: Any = None,
        max_failures: int = FAILURES,
    ) -> None:  # fmt: skip
        self._handler, self._interval, self._timeout, self._most = handler, interval, timeout, max_failures
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None

    def send_ping(self, payload: Any = None) -> None:
        """Begin: the first ping goes out after `interval`. Needs a running loop."""
        self._later(self._interval, self._ping, payload)

    def stop(self) -> None:
        """End it. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pong_received(self, payload: Any = None) -> None:
        """An answer came: the next ping goes out after `interval`."""
        if self._timer is not None:
            self._failures = 0
            self._later(self._interval, self._ping, payload)

    def _later(self, seconds: float, call: Callable[..., None], payload: Any) -> None:
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(seconds, call, payload)

    def _ping(self, payload: Any) -> None:
        self._later(self._timeout, self._missed, payload)
        self._handler.send_ping(payload=payload)

    def _missed(self, payload: Any) -> None:
        self._failures += 1
        if self._failures <= self._most:
            self._later(self._interval, self._ping, payload)
            return
        self.stop()
        self._handler.on_timeout()


class _NodePinger:
    """Pings one node; `handler.on_timeout(host, port, node_id)` is called when it does not answer any more."""

    def __init__(self, host: str, port: int, node_id: str, handler: Any, **timing: Any) -> None:
        self._host, self._port, self._node_id, self._handler = host, port, node_id, handler
        self._pinger = Pinger(self, **timing)

    def ping(self, payload: Any = None) -> None:
        """Begin to ping. Needs a running loop."""
        self._pinger.send_ping(payload)

    def stop(self) -> None:
        """End it."""
        self._pinger.stop()

    def pong_received(self, payload: Any = None) -> None:
        """An answer came."""
        self._pinger.pong_received(payload)

    def on_timeout(self) -> None:
        """Too many were not answered."""
        self._handler.on_timeout(self._host, self._port, self._node_id)


class TCPPinger(_NodePinger):
    """Pings over a connection of the old wire: `protocol.send(dict)` sends."""

    def __init__(self, host: str, port: int, node_id: str, protocol: Any, handler: Any, **timing: Any) -> None:
        super().__init__(host, port, node_id, handler, **timing)
        self._protocol = protocol

    def send_ping(self, payload: Any = None) -> None:
        """Send one."""
        self._protocol.send(ControlPacket.ping(self._node_id, payload=payload))


class HTTPPinger(_NodePinger):
    """Pings ``GET /ping``: the answer is the pong."""

    def __init__(self, host: str, port: int, node_id: str, handler: Any, **timing: Any) -> None:
        super().__init__(host, port, node_id, handler, **timing)
        self._asking: set[asyncio.Future[None]] = set()

    def send_ping(self, payload: Any = None) -> None:
        """Send one."""
        asking = asyncio.ensure_future(self._ask(payload))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _ask(self, payload: Any) -> None:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://{self._host}:{self._port}/ping") as answer:
                if answer.ok:
                    self.pong_received(payload)
        except (OSError, aiohttp.ClientError) as error:
            log.info("%s:%s does not answer GET /ping: %s", self._host, self._port, error)
