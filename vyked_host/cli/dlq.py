"""``vyked-host dlq``: dead letters, the events that the handlers of a group gave up on. They stay until somebody decides."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from ..assembly import Host
from ..contracts import DeadLetters, Event
from ..errors import EXIT_FAILED, UsageError
from ..model.message import SENSITIVE
from ..model.names import split_topic
from ..model.report import without_text
from ..model.values import Value
from ..model.version import parse
from .durations import clock
from .ending import end
from .failures import say
from .meshes import Reach, joined, mesh_options
from .printing import output_option, print_json, print_table
from .tail import shown

F = TypeVar("F", bound=Callable[..., Any])
HEADER = ("PUBLISHED", "ID", "TOPIC", "GROUP", "DELIVERIES", "CAUSE")
EPILOG = """\b
Examples:
  vyked-host dlq list                                  every one of the mesh
  vyked-host dlq show 713ea43a1ae0d51452ad5cbb576e8f53  with its payload
  vyked-host dlq replay 713ea43a1ae0d51452ad5cbb576e8f53
  vyked-host dlq replay --topic shop.sold --group books@1
  vyked-host dlq purge --topic shop.sold --yes
  vyked-host dlq end --topic shop.sold@1 --group books@1    nobody of books comes back
"""


class DeadEvent(Value):
    """One dead letter as people and programs see it."""

    id: str
    topic: str
    group: str
    deliveries: int
    cause: str
    published: float
    source: str
    key: str | None
    payload: Any


class Wanted(Value):
    """Which dead letters are meant: all that fit everything that is said."""

    ids: frozenset[str] = frozenset()
    topic: str | None = None
    group: str | None = None

    def fits(self, topic: str, group: str) -> bool:
        """Could a letter of this group be meant?"""
        if self.group is not None and group != self.group:
            return False
        if self.topic is None:
            return True
        service, name, major = split_topic(self.topic)
        return topic == f"{service}.{name}@{major}" if major is not None else topic.startswith(f"{service}.{name}@")


@click.group("dlq", no_args_is_help=True, epilog=EPILOG)
def command() -> None:
    """Dead letters: events that the handlers of a group gave up on.

    They are kept for that group, and the others handled theirs. A handler gives up with Reject, or when it failed as often as
    its `max_deliveries` says.
    """


command.add_command(end)


def filters(function: F) -> F:
    """``--topic --group``."""
    topic = click.option("--topic", metavar="SERVICE.EVENT[@MAJOR]", help="Those of this event only.")
    group = click.option("--group", metavar="GROUP", help="Those of this group only, such as books@1.")
    return topic(group(function))


# ---- looking ---------------------------------------------------------------------------------------------------------
@command.command("list")
@filters
@mesh_options
@output_option
def listed(reach: Reach, topic: str | None, group: str | None, output: str) -> None:
    """Show dead letters, those of each group oldest first, whether or not any of its members runs."""
    found = asyncio.run(_found(reach, Wanted(topic=topic, group=group)))
    if output == "json":
        print_json(found)
    elif found:
        print_table(HEADER, [_row(each) for each in found])
    else:
        say("no dead letters")


def _row(each: DeadEvent) -> tuple[str, ...]:
    return (clock(each.published), each.id, each.topic, each.group, str(each.deliveries), each.cause or "-")


@command.command("show")
@click.argument("event_id", metavar="ID")
@filters
@mesh_options
def show(reach: Reach, event_id: str, topic: str | None, group: str | None) -> None:
    """Print one event with its payload, once for each group that gave up on it, as JSON. What its publisher calls sensitive is
    shown as ***."""
    found = asyncio.run(_found(reach, Wanted(ids=frozenset({event_id}), topic=topic, group=group)))
    if not found:
        _none(event_id)
    print_json(found)


async def _found(reach: Reach, wanted: Wanted) -> list[DeadEvent]:
    async with _bus(reach) as (host, bus):
        return [_told(host, group, *letter) async for group, letter in _letters(bus, wanted)]


async def _letters(bus: DeadLetters, wanted: Wanted) -> AsyncIterator[tuple[str, tuple[Event, str, int]]]:
    boxes = [each for each, _ in await bus.letterboxes()]
    for box in sorted(boxes, key=lambda each: (each.service, each.name, each.major, str(each.group))):
        if wanted.fits(f"{box.service}.{box.name}@{box.major}", str(box.group)):
            async for letter in bus.dead(box):
                if not wanted.ids or letter[0].id in wanted.ids:
                    yield str(box.group), letter


def _told(host: Host, group: str, event: Event, cause: str, deliveries: int) -> DeadEvent:
    topic = f"{event.service}.{event.name}@{parse(event.version).major}"
    hides = bool(event.metadata.get(SENSITIVE))
    return DeadEvent(
        id=event.id, topic=topic, group=group, deliveries=deliveries, cause=without_text(cause) if hides else cause,
        published=event.published_unix_s, source=event.source, key=event.key, payload=shown(host, event),
    )  # fmt: skip


# ---- deciding --------------------------------------------------------------------------------------------------------
@command.command("replay")
@click.argument("event_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of the mesh.")
@filters
@mesh_options
def replay(
    reach: Reach, event_ids: tuple[str, ...], everything: bool, topic: str | None, group: str | None
) -> None:  # fmt: skip
    """Give dead letters to their groups again, as if they had never been delivered: those with these ids, or all that fit."""
    wanted = _wanted(event_ids, topic, group, everything=everything)
    _end("{id} given to {group} again", asyncio.run(_decide(reach, wanted, replay=True)), event_ids)


@command.command("purge")
@click.argument("event_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of the mesh.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@filters
@mesh_options
def purge(
    reach: Reach, event_ids: tuple[str, ...], everything: bool, yes: bool, topic: str | None, group: str | None
) -> None:  # fmt: skip
    """Forget dead letters for good: those with these ids, or all that fit."""
    wanted = _wanted(event_ids, topic, group, everything=everything)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("purge forgets events for good: say --yes where nobody can be asked")
        click.confirm("forget them for good?", abort=True, err=True)
    _end("{id} of {group} forgotten", asyncio.run(_decide(reach, wanted, replay=False)), event_ids)


def _wanted(ids: Sequence[str], topic: str | None, group: str | None, *, everything: bool) -> Wanted:
    if not (ids or topic or group or everything):
        raise UsageError("which ones? say their ids, --topic, --group, or --all")
    if everything and (ids or topic or group):
        raise UsageError("--all means all of the mesh: leave out ids, --topic and --group")
    return Wanted(ids=frozenset(ids), topic=topic, group=group)


async def _decide(reach: Reach, wanted: Wanted, *, replay: bool) -> list[tuple[str, str]]:
    """(id, group) of each that was replayed or forgotten; what somebody else decided meanwhile is not among them."""
    async with _bus(reach) as (_, bus):
        chosen = [(letter[0].id, group) async for group, letter in _letters(bus, wanted)]
        done: list[tuple[str, str]] = []
        for event_id, group in dict.fromkeys(chosen):
            try:
                await bus.discard(event_id, replay=replay, group=group)
            except KeyError:
                say(f"{event_id} is no dead letter of {group} any more")
            else:
                done.append((event_id, group))
        return done


def _end(what: str, done: Sequence[tuple[str, str]], asked: Sequence[str]) -> None:
    for event_id, group in done:
        click.echo(what.format(id=event_id, group=group))
    missing = sorted(set(asked) - {event_id for event_id, _ in done})
    if missing:
        _none(", ".join(missing))
    if not done:
        say("no dead letters")


def _none(which: str) -> None:
    say(
        f"no dead letter {which}; `vyked-host dlq list` shows what there is, `vyked-host why event ID` what became of one"
    )
    sys.exit(EXIT_FAILED)


@asynccontextmanager
async def _bus(reach: Reach) -> AsyncIterator[tuple[Host, DeadLetters]]:
    """The bus of the mesh. Raises UsageError when it keeps no dead letters."""
    async with joined(reach, has_bus=True) as host:
        bus = host.node.pubsub
        if not isinstance(bus, DeadLetters):
            raise UsageError(
                f'the bus of this mesh, [pubsub] use = "{host.node.settings.pubsub.use}", keeps no dead letters: '
                "it has no @xsubscribe either"
            )
        yield host, bus
