"""A host that serves nothing and only calls: what `call` works with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Any

import msgspec

from ..assembly import Host
from ..assembly.environment import mesh_name
from ..assembly.prepare import find, prepare
from ..contracts import Channel, EndpointDescription, Kind
from ..errors import NotFound, StartError, UsageError, VykedError
from ..model import unix
from ..model.report import is_own
from ..model.settings import SecurityTable, Settings, TlsTable
from ..model.values import Value

DEFAULT = "tcp://127.0.0.1:4502"
PORTS = {"tcp": 4502, "http": 4501}
"""Where a transport listens when its file does not say."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # noqa: S104 - what it listens on, not what we bind
DIAL_S = 5.0


class Aim(Value):
    """Which mesh, at which addresses, and how to prove that one belongs there; `file` is the file that says so, empty when none
    does."""

    mesh: str
    addresses: tuple[str, ...]
    file: str = ""
    security: SecurityTable = SecurityTable()


def aim(config_file: str | None, address: str | None, mesh: str | None) -> Aim:
    """Addresses and mesh of the file (the given one, VYKED_CONFIG, ./vyked.toml), flags over it, defaults below it.
    Raises ConfigError."""
    file = find(config_file, os.environ)
    settings = prepare(file).loaded.require() if file else prepare(None, text="").loaded.require()
    wanted = (checked(address),) if address else tuple(listening(settings)) or (DEFAULT,)
    return Aim(mesh=mesh or mesh_name(settings), addresses=wanted, file=file or "", security=proofs(settings))


def proofs(settings: Settings) -> SecurityTable:
    """What a host that only calls needs of ``[security]``, with the files where they are."""
    table = msgspec.structs.replace(settings.security, authenticator=None)
    if table.tls is None:
        return table
    return msgspec.structs.replace(table, tls=msgspec.structs.replace(table.tls, **paths(table.tls, settings.folder)))


def paths(table: TlsTable, folder: str) -> dict[str, str]:
    """The files of a table, whatever the directory."""
    return {key: os.path.join(folder, os.path.expanduser(getattr(table, key))) for key in ("cert", "key", "ca")}


def checked(address: str) -> str:
    """`address` as a URI. Raises UsageError when it is none."""
    if unix.of(address) is not None:
        return address
    scheme, separator, rest = address.partition("://")
    if not separator or not rest.rpartition(":")[2].isdigit():
        raise UsageError(f"{address!r} is no address: write tcp://HOST:PORT, http://HOST:PORT or unix:/PATH")
    return f"{scheme}://{rest}"


def listening(settings: Settings) -> Iterator[str]:
    """Where a host of this file can be reached from this machine; a transport with port 0 can't be known, and over one of another
    protocol nobody can be asked."""
    for table in settings.transports.values():
        if table.use not in PORTS:
            continue
        host, port = getattr(table.options, "host", None), getattr(table.options, "port", None)
        port = PORTS.get(table.use) if port is None else port
        if host and port:
            host = _EVERYWHERE.get(host, host)
            scheme = "https" if table.use == "http" and settings.security.tls is not None else table.use
            yield f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def reached(found: Aim) -> AsyncIterator[tuple[Host, Channel]]:
    """A host that knows whoever listens at the addresses, and a channel to the first that answers. Raises StartError when
    none does."""
    async with Host(text=_text(found), security=found.security) as host:
        channel = await _first(host, found)
        try:
            await _known(host, channel.node_id)
            yield host, channel
        finally:
            await channel.aclose()


def _text(found: Aim) -> str:
    nodes = ", ".join(f'"{each}"' for each in found.addresses)
    return f'[host]\nmesh = "{found.mesh}"\n[plugins]\nautoload = false\n[transports.local]\n[registry]\nuse = "static"\n[registry.static]\nnodes = [{nodes}]\n'


async def _first(host: Host, found: Aim) -> Channel:
    refused: list[str] = []
    for uri in found.addresses:
        try:
            return await host.dial(uri, timeout=DIAL_S)
        except (VykedError, OSError) as error:
            refused.append(str(error) if str(error).startswith(uri) else f"{uri}: {error}")
    start = f"vyked-host run {found.file}".rstrip()
    raise StartError(
        f"nobody to call ({'; '.join(refused)}); start the host with `{start}`, or say which one is meant: --address tcp://HOST:PORT, --mesh NAME"
    )


async def _known(host: Host, node_id: str) -> None:
    async with asyncio.timeout(DIAL_S):
        while node_id not in host.node.directory.nodes:
            await host.node.directory.change()


def endpoint(channel: Channel, service: str, method: str) -> EndpointDescription:
    """What `service.method` is over there, with untyped arguments and result. Raises NotFound naming what exists."""
    if not channel.surface.endpoints:  # a guest: it does not say what it has
        return EndpointDescription(
            service=service, version="", name=method, kind=Kind.UNARY, arguments=dict[str, Any], result=Any
        )
    served = [each for each in channel.surface.endpoints if each is not None and not is_own(each.service)]
    by_method = {each.name: each for each in served if each.service == service}
    if not by_method:
        there = sorted({each.service for each in served})
        raise NotFound(
            f"no service {service!r} at {channel.node_id}; {nearest_of(service, there)}",
            service=service,
            method=method,
            executed="not_sent",
        )
    if method not in by_method:
        raise NotFound(
            f"{service} has no method {method!r}; {nearest_of(method, sorted(by_method))}",
            service=service,
            method=method,
            executed="not_sent",
        )
    return msgspec.structs.replace(by_method[method], arguments=dict[str, Any], result=Any, inbound=Any)


def nearest_of(word: str, known: Sequence[str]) -> str:
    """What may have been meant, and what there is."""
    near = get_close_matches(word, known, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}there {'is' if len(known) == 1 else 'are'}: {', '.join(known) or 'none'}"


def as_data(error: VykedError) -> Mapping[str, Any]:
    """A failed call as data."""
    names = ("code", "type", "executed", "service", "method", "instance", "details", "retry_after", "call_id")
    found = {name: getattr(error, name, None) for name in names}
    return {"message": str(error), **{name: value for name, value in found.items() if value not in (None, "")}}
