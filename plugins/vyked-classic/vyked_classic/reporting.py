"""The lines of the logger `stats`, as Vyked 2.x wrote them: totals every two minutes, one line an endpoint every five, and of a registry one
an instance every five."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from vyked_host.contracts import Environment, HostView

TOTALS_S, ENDPOINTS_S, UPTIMES_S = 120.0, 300.0, 300.0
log = logging.getLogger("stats")
Lines = Callable[[], Iterable[Mapping[str, Any]]]


@asynccontextmanager
async def reporting(env: Environment, host: HostView) -> AsyncIterator[None]:
    """Lines are written while this is entered."""
    from vyked.utils.stats import Aggregator, Stats

    Stats.hostname = socket.gethostname()
    Stats.service_name = ",".join(dict.fromkeys(each.service for each in host.node.instances))
    scale = min(1.0, env.timing.scale)
    ending = [
        env.tasks(write(TOTALS_S * scale, lambda: [Stats.summary()]), "totals of calls"),
        env.tasks(write(ENDPOINTS_S * scale, Aggregator.endpoints), "figures of endpoints"),
    ]
    try:
        yield
    finally:
        for cancel in ending:
            cancel()


async def write(seconds: float, lines: Lines) -> None:
    """Log `lines` every so many seconds, until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        for each in lines():
            log.info("%s", dict(each), extra={"stats": dict(each)})
