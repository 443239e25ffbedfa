"""An Environment for a plugin under test: real clock, sockets and tasks of the running loop, serializers of the host."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from ..builtin.serializers.provider import vyked_serializers
from ..contracts import Address, Channel, Environment, LimitsTable, Serializer, TimingTable
from ..errors import NotSupported
from ..runtime.clock import LoopClock
from ..runtime.net import AsyncioNet
from ..runtime.private_hub import PrivateHub
from ..runtime.tasks import TaskScope


@asynccontextmanager
async def environment(**changes: Any) -> AsyncIterator[Environment]:
    """An Environment with a mesh and node id of its own, `changes` replacing any of its fields. At the end its tasks are
    cancelled and its folder is removed."""
    clock, log = LoopClock(asyncio.get_running_loop()), logging.getLogger("vyked.test")
    tasks = TaskScope(log)
    found: dict[str, Serializer] = {}
    hub = PrivateHub("test")
    with tempfile.TemporaryDirectory() as folder:
        env = Environment(
            name="test",
            node_id=f"test-{secrets.token_hex(4)}",
            namespace=f"mesh-{secrets.token_hex(4)}",
            state_dir=folder,
            limits=LimitsTable(),
            timing=TimingTable(),
            clock=clock,
            rng=random.Random(),
            net=AsyncioNet(),
            tasks=tasks,
            log=log,
            dial=_dial,
            tls=_tls,
            serializers=lambda: found,
            callers=tuple,
            hub=lambda _address: hub,
            folder=folder,
        )
        env = msgspec.structs.replace(env, **changes)
        found |= {each.name: each.build(each.options(), env) for each in vyked_serializers()}
        try:
            yield env
        finally:
            await hub.aclose()
            await tasks.cancel()
            clock.close()


async def _dial(address: Address, _deadline: float) -> Channel:
    raise NotSupported(f"this environment has no transports, so {address.uri} can't be dialled: pass dial=")


def _tls(_side: Literal["server", "client"], /, **_: Any) -> ssl.SSLContext | None:
    return None
