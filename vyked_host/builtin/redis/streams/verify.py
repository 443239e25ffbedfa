"""What a server has to be set to for events to be safe with it, looked at when a host starts."""

from __future__ import annotations

from typing import Literal

from ....contracts import Environment
from ....errors import StartError
from ..questions import asked
from ..server import Server


async def durability(server: Server, env: Environment) -> Literal["process", "disk"]:
    """How durable what this server keeps is: "disk" where it logs its commands (appendonly yes; the last second may be lost with
    the machine, https://valkey.io/topics/persistence/). Raises StartError where it throws away keys when it is full."""
    async with asked(server, env, "redis-streams") as answering:
        told = await answering.settings("appendonly", "maxmemory-policy")
    policy = told.get("maxmemory-policy", "")
    if policy.startswith("allkeys"):
        raise StartError(
            f"the bus 'redis-streams' can't be used: {server.place} throws away any key when its memory is full "
            f"(maxmemory-policy {policy}), and with it events; CONFIG SET maxmemory-policy noeviction"
        )
    return "disk" if told.get("appendonly") == "yes" else "process"
