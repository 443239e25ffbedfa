"""A host that serves nothing and joins a mesh as its file says: what every command that looks at a mesh works with."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from ..assembly import Host
from ..assembly.control import Control
from ..assembly.environment import mesh_name
from ..assembly.prepare import Prepared, find, prepare
from ..catalog.findings import Silent, nearest
from ..errors import Away, StartError, UsageError, VykedError
from ..model.report import NodeReport
from ..model.settings import Settings
from ..model.topology import GUEST, NodeRecord
from ..model.values import Value
from .client import DEFAULT, PORTS, checked, listening
from .failures import say

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_BARE = ("services={}", "plugins.autoload=false")
"""Of a host that only asks: no service is imported, and no plugin runs that the file does not name."""
_NO_BUS = ('pubsub.use="embedded"', 'pubsub.embedded={ address = "none" }')
"""The whole table: a file of events that the table names belongs to the hosts that run."""
PLACE = "127.0.0.1:4500"
FIRST_S = 2.0
"""How long nodes are waited for, once the registry is joined."""


class Reach(Value):
    """Which mesh is meant, and how it is found: the file's own way, a registry at HOST:PORT, or one address of a host."""

    file: str | None = None
    mesh: str | None = None
    registry: str | None = None
    address: str | None = None
    overrides: tuple[str, ...] = ()
    """More of what ``--set`` takes."""


def mesh_options(function: F) -> F:
    """``--config --mesh --registry --address``, given to the command as one `reach`."""

    def with_reach(*, config_file: str | None, mesh: str | None, registry: str | None, address: str | None, **rest: Any) -> Any:  # fmt: skip
        logging.basicConfig(level=logging.ERROR, format="%(message)s")
        found = Reach(file=find(config_file, os.environ), mesh=mesh, registry=registry, address=address)
        return function(reach=found, **rest)

    with_reach.__name__, with_reach.__doc__ = function.__name__, function.__doc__
    with_reach.__dict__.update(function.__dict__)
    options = (
        click.option("--config", "config_file", metavar="FILE", help="Default: VYKED_CONFIG, else ./vyked.toml."),
        click.option("--mesh", help="Another mesh than that of the file."),
        click.option(
            "--registry", metavar="HOST:PORT", help="Where the hosts of the mesh meet, if not as the file says."
        ),
        click.option("--address", metavar="URI", help="One host by its address, without any registry."),
    )
    decorated: Any = with_reach
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click's decorators give back what they are given


# ---- joining ---------------------------------------------------------------------------------------------------------
def ready(reach: Reach, addresses: tuple[str, ...] = (), *, has_bus: bool = True) -> Prepared:
    """The file of `reach` with its flags over it; `addresses`: these hosts instead of a registry. Without its bus a host can
    look at a mesh whose bus is away."""
    overrides = [*_BARE, *(() if has_bus else _NO_BUS), *reach.overrides]
    if reach.mesh:
        overrides.append(f'host.mesh="{reach.mesh}"')
    if reach.registry:
        overrides += ['registry.use="embedded"', f'registry.embedded.address="{reach.registry}"']
        overrides += _bus_at(reach, overrides) if has_bus else []
    if addresses:
        listed = ", ".join(f'"{each}"' for each in addresses)
        overrides += ['registry.use="static"', f"registry.static.nodes=[{listed}]"]
    return prepare(reach.file, text=None if reach.file else "", overrides=overrides)


def _bus_at(reach: Reach, overrides: list[str]) -> list[str]:
    """An embedded bus is where the registry is."""
    loaded = prepare(reach.file, text=None if reach.file else "", overrides=overrides).loaded
    uses_embedded = loaded.require().pubsub.use == "embedded"
    return [f'pubsub.embedded.address="{reach.registry}"'] if uses_embedded else []


@asynccontextmanager
async def joined(reach: Reach, *, has_bus: bool = False) -> AsyncIterator[Host]:
    """A host in the mesh, which sees at least one other; `has_bus`: it takes part in events too. Raises StartError when nobody
    is there."""
    prepared = ready(reach, (checked(reach.address),) if reach.address else (), has_bus=has_bus)
    host, refused = await _through_registry(prepared)
    if host is None:
        host = await _by_address(reach, prepared, refused, has_bus)
    try:
        yield host
    finally:
        await host.stop()


async def _through_registry(prepared: Prepared) -> tuple[Host | None, str]:
    """None, with the reason: nobody is there, as far as the registry of the file can tell."""
    settings = prepared.loaded.require()
    place = getattr(settings.registry.options, "address", None) or PLACE
    nobody = f"no host of mesh {mesh_name(settings)!r} answers" + (
        f" at {place}" if settings.registry.use == "embedded" else ""
    )
    host = Host.joining(prepared)
    try:
        await host.start()
    except Away:
        return None, nobody
    except StartError as error:
        if settings.registry.use != "embedded":
            raise
        return None, str(error)
    if await _somebody(host) and (settings.registry.use != "embedded" or await _is_current(host, place)):
        return host, ""
    await host.stop()
    return None, nobody


async def _is_current(host: Host, place: str) -> bool:
    """Is what `host` knows of a registry, or does one of the nodes that were known last answer?"""
    if host.node.directory.view.epoch is not None:
        return True
    answers, _ = await reports(host)
    if answers:
        say(f"nobody answers at {place}: these are the nodes that this folder knew last")
    return bool(answers)


async def _by_address(reach: Reach, prepared: Prepared, refused: str, has_bus: bool) -> Host:
    """The hosts of the file where its transports listen: a host may keep its registry to itself."""
    settings = prepared.loaded.require()
    addresses = (checked(reach.address),) if reach.address else _listening(reach, settings)
    if addresses:
        host = await Host.joining(ready(reach, addresses, has_bus=has_bus)).start()
        if await _somebody(host):
            return host
        refused = "; ".join(filter(None, (refused, await _refusals(host, addresses))))
        await host.stop()
    elif (lacks := _lacks(settings)) and not reach.registry:
        refused = f"{refused}; {lacks}"
    start = f"vyked-host run {reach.file or ''}".rstrip()
    raise StartError(
        f"{refused}; start one with `{start}`, or say which is meant: --mesh NAME, --registry HOST:PORT, --address tcp://HOST:PORT"
    )


def _lacks(settings: Settings) -> str:
    """What a host of this file needs to be asked where no registry tells of it; "" where it has that."""
    if not settings.transports or any(table.use in PORTS for table in settings.transports.values()):
        return ""
    names = ", ".join(f"[transports.{name}]" for name in settings.transports)
    return f"over {names} no host can be asked by itself, without a registry: give it [transports.tcp] or [transports.http] as well"


def _listening(reach: Reach, settings: Settings) -> tuple[str, ...]:
    if reach.registry:
        return ()
    return tuple(listening(settings)) or (() if reach.file else (DEFAULT,))


async def _refusals(host: Host, addresses: tuple[str, ...]) -> str:
    told = []
    for uri in addresses:
        try:
            await (await host.dial(uri, timeout=FIRST_S)).aclose()
        except (VykedError, OSError) as error:
            told.append(str(error) if str(error).startswith(uri) else f"{uri}: {error}")
    return "; ".join(told) or ", ".join(addresses)


async def _somebody(host: Host) -> bool:
    try:
        async with asyncio.timeout(FIRST_S if host.node.settings.registry.use != "static" else 0.0):
            while not others(host):
                await host.node.directory.change()
    except TimeoutError:
        return bool(others(host))
    return True


def others(host: Host) -> list[NodeRecord]:
    """The nodes that can be asked: hosts that only call have no address."""
    own = host.node.record.node_id
    found = [each for each in host.node.directory.known.values() if each.node_id != own and each.addresses]
    return sorted(found, key=lambda each: each.node_id)


# ---- asking ----------------------------------------------------------------------------------------------------------
async def ask_all(host: Host, question: Callable[[Control], Awaitable[T]]) -> tuple[list[T], list[Silent]]:
    """Every node's answer, and the nodes that gave none, with the reason."""
    records = others(host)
    asked = await asyncio.gather(*(_asked(host, each, question) for each in records))
    answers = [each for each in asked if not isinstance(each, Silent)]
    return answers, [each for each in asked if isinstance(each, Silent)]


async def _asked(host: Host, record: NodeRecord, question: Callable[[Control], Awaitable[T]]) -> T | Silent:
    if (guest := record.labels.get(GUEST)) is not None:
        return Silent(node=record.node_id, reason=f"a guest: {guest}", instances=record.instances)
    try:
        return await question(host.ask(record))
    except VykedError as error:
        doubt = host.node.directory.doubts.get(record.node_id)
        return Silent(node=record.node_id, reason=f"{doubt}, {error}" if doubt else str(error))


async def reports(host: Host) -> tuple[list[NodeReport], list[Silent]]:
    """What each node says of itself."""
    return await ask_all(host, lambda control: control.report())


async def chosen(host: Host, name: str) -> NodeRecord:
    """The node called `name`: an id, or the name of a host that runs once. Raises UsageError naming what there is."""
    records = {each.node_id: each for each in others(host)}
    if name in records:
        return records[name]
    answers, _ = await reports(host)
    named = [each.node for each in answers if each.host == name and each.node in records]
    if len(named) == 1:
        return records[named[0]]
    if named:
        raise UsageError(f"{name!r} runs {len(named)} times: name one of {', '.join(sorted(named))}")
    near = nearest(name, {*records, *(each.host for each in answers)})
    guess = f"did you mean {near!r}? " if near else ""
    raise UsageError(f"no node {name!r}; {guess}there are: {', '.join(sorted(records))}")
