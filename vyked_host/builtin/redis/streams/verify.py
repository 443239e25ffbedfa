"""What a server has to be set to for events to be safe with it, looked at when a host starts."""

from __future__ import annotations

from typing import Literal

from ....contracts import Environment
from ....errors import Unfit
from ..questions import asked, read_only
from ..server import Server

TABLE = "pubsub.redis-streams"
Durability = Literal["process", "disk"]


async def durability(server: Server, env: Environment, wanted: Durability = "process") -> Durability:
    """How durable what this server keeps is: "disk" where it logs its commands (appendonly yes; the last second may be lost with
    the machine, https://valkey.io/topics/persistence/). Raises Unfit where that is less than `wanted`, or where it throws away keys
    when it is full."""
    async with asked(server, env, TABLE) as answering:
        told, master = await answering.settings("appendonly", "maxmemory-policy"), await answering.master()
    if master:
        raise read_only(TABLE, server.place, master)
    policy = told.get("maxmemory-policy", "")
    if policy.startswith("allkeys"):
        raise Unfit(
            f"the bus 'redis-streams' can't be used: {server.place} throws away any key when its memory is full "
            f"(maxmemory-policy {policy}), and with it events",
            key=f"{TABLE}.url", remedy="CONFIG SET maxmemory-policy noeviction",
        )  # fmt: skip
    found: Durability = "disk" if told.get("appendonly") == "yes" else "process"
    if wanted == "disk" and found != "disk":
        logs = f"has appendonly {told['appendonly']}" if "appendonly" in told else "does not tell (+config|get)"
        raise Unfit(
            f"events have to be on disk, and {server.place} {logs}: what it keeps is lost with its process",
            key=f"{TABLE}.durability", remedy='CONFIG SET appendonly yes, or durability = "process"',
        )  # fmt: skip
    return found
