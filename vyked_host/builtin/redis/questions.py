"""What a server is asked before a host starts to use it: is it one, does it let us in, how is it set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from redis.exceptions import NoPermissionError, ResponseError

from ...contracts import Environment
from ...errors import Away, StartError, Unfit
from .faults import Denied, Unreachable
from .server import Server
from .wire import FAILURES, Wire, hang_up

KINDS = (b"redis_version:", b"valkey_version:")


class Asked:
    """A server that answered; more can be asked of it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def settings(self, *names: str) -> Mapping[str, str]:
        """CONFIG GET of each; those that the server does not tell (managed services, ACL) are absent."""
        found: dict[str, str] = {}
        for name in names:
            try:
                reply = await _reply(self._wire, "CONFIG", "GET", name)
            except ResponseError:
                continue
            if isinstance(reply, list) and len(reply) == 2:
                found[name] = bytes(reply[1]).decode(errors="replace")
        return found

    async def master(self) -> str:
        """Where the server of which this is a read-only copy is; empty where it takes writes, or does not tell."""
        try:
            reply = await _reply(self._wire, "INFO", "replication")
        except ResponseError:
            return ""
        lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        if told.get("role") != "slave" or told.get("slave_read_only") == "0":
            return ""
        host = told.get("master_host", "")
        return f"{f'[{host}]' if ':' in host else host}:{told.get('master_port', '')}"


def read_only(table: str, place: str, master: str) -> Unfit:
    """What is said of a server that takes no writes."""
    kind, _, name = table.partition(".")
    return Unfit(
        f"the {_KINDS[kind]} {name!r} can't be used: {place} is a read-only replica of {master}",
        key=f"{table}.url", remedy="write the address of that one, or redis+sentinel:// with those of the Sentinels",
    )  # fmt: skip


@asynccontextmanager
async def asked(server: Server, env: Environment, table: str) -> AsyncIterator[Asked]:
    """A connection to a server that is one, for as long as a dial may take; `table` is that of who asks. Raises StartError that says
    what to do; for a registry that can't be reached now, Away."""
    try:
        async with asyncio.timeout(env.timing.dial):
            wire = await server.dial(env.timing.dial)
            try:
                await _introduced(server, wire)
                yield Asked(wire)
            finally:
                await hang_up(wire)
    except TimeoutError:
        raise _unusable(table, Unreachable(server.silent(env.timing.dial))) from None
    except Unreachable as error:
        raise _unusable(table, error) from None
    except FAILURES as error:
        raise _unusable(table, server.unreachable(error), is_there=True) from None  # the cause may quote the password


async def _introduced(server: Server, wire: Wire) -> None:
    await _reply(wire, "PING")
    told = await _told(wire)
    if not any(kind in told for kind in KINDS):
        raise Denied(f"what answers at {server.place} is no Redis or Valkey")


async def _told(wire: Wire) -> bytes:
    try:
        found = await _reply(wire, "INFO", "server")
    except NoPermissionError:
        return KINDS[0]  # nobody else refuses in these words
    return found if isinstance(found, bytes) else b""


async def _reply(wire: Wire, *words: str) -> object:
    await wire.send_packed_command(wire.pack_commands([words]))
    return await wire.read_response(disable_decoding=True, disconnect_on_error=False)


_KINDS = {"pubsub": "bus", "registry": "registry"}


def _unusable(table: str, cause: Unreachable, *, is_there: bool = False) -> StartError:
    """`is_there`: it had answered."""
    kind, _, name = table.partition(".")
    word = _KINDS[kind]
    text = (
        f"the {word} {name!r} can't be used: {cause}; {cause.todo.format(table=table)}, or choose "
        f'another {word} with [{kind}] use = "embedded"'
    )
    is_away = kind == "registry" and not is_there and not isinstance(cause, Denied)
    return Away(text) if is_away else StartError(text)
