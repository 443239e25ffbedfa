"""What a server has to be set to for a registry to be safe with it, looked at when a host starts."""

from __future__ import annotations

from ....contracts import Environment
from ....errors import Unfit
from ..questions import asked, read_only
from ..server import Server

TABLE = "registry.redis"


async def fit(server: Server, env: Environment) -> None:
    """Raises Unfit where the server throws away keys when it is full: those of a registry have a time to live, so the policies
    `volatile-...` are no better (https://valkey.io/topics/lru-cache/). Raises StartError, Away where it can't be reached."""
    async with asked(server, env, TABLE) as answering:
        told, master = await answering.settings("maxmemory", "maxmemory-policy"), await answering.master()
    if master:
        raise read_only(TABLE, server.place, master)
    policy = told.get("maxmemory-policy", "noeviction")
    if told.get("maxmemory", "0") != "0" and policy != "noeviction":
        raise Unfit(
            f"the registry 'redis' can't be used: {server.place} throws away keys when its memory is full "
            f"(maxmemory-policy {policy}), and with them what is known of nodes",
            key=f"{TABLE}.url", remedy="CONFIG SET maxmemory-policy noeviction",
        )  # fmt: skip
