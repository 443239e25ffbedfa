"""``vyked-host tail``: events as they come."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import click

from ..assembly import Host
from ..contracts import Consumer, Delivery, Event, Subscription, Verdict
from ..errors import NotSupported, UsageError
from ..model.message import SENSITIVE
from ..model.names import split_topic
from ..model.version import parse
from .durations import clock, moment
from .failures import say
from .meshes import Reach, joined, mesh_options
from .printing import print_line

HIDDEN = "***"
AHEAD = 1000
"""Events that wait to be printed; with more, the bus tells of a gap."""
EPILOG = """\b
Examples:
  vyked-host tail identity.password_changed
  vyked-host tail identity.password_changed@2 | jq .payload
  vyked-host tail identity.password_changed --from 10m
  vyked-host tail identity.password_changed --from 713ea43a1ae0d51452ad5cbb576e8f53
"""


@click.command("tail", epilog=EPILOG)
@click.argument("topic", metavar="SERVICE.EVENT[@MAJOR]")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--from", "since", metavar="ID|TIME|SPAN", help="Begin after the event of this id, at a time (12:03, or as ISO 8601), or so long ago (30s, 10m, 2h), as far as the bus keeps what is published.")  # fmt: skip
@mesh_options
def command(reach: Reach, topic: str, count: int | None, since: str | None) -> None:
    """Print every event of a topic from now on, or from a moment on, until Ctrl+C: a line each, JSON lines off a terminal.

    Events that were missed are told on stderr. What the publisher calls sensitive is shown as ***.
    """
    asyncio.run(_follow(reach, topic, count, moment(since, time.time()) if since is not None else None))


async def _follow(reach: Reach, topic: str, count: int | None, since: str | None) -> None:
    async with joined(reach, has_bus=True) as host:
        if since is not None:
            _refuse_without_replay(host)
        service, event, major = split_topic(topic)
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        wanted = Subscription(
            service=service, major=major if major is not None else only_major(host, service, event), name=event, group=None,
            member=host.node.record.node_id, concurrency=AHEAD, since=since,
        )  # fmt: skip
        consumer = await _subscribed(host, wanted, arrived)
        say(f"listening for {service}.{event}@{wanted.major}; Ctrl+C ends")
        try:
            while count is None or count > 0:
                await _show(host, await arrived.get())
                count = None if count is None else count - 1
        finally:
            await consumer.aclose()


async def _subscribed(host: Host, wanted: Subscription, arrived: asyncio.Queue[Delivery]) -> Consumer:
    """Raises UsageError where the bus finds no beginning, in the words of the option: it knows those of `from_` only."""
    try:
        return await host.node.pubsub.subscribe(wanted, arrived.put_nowait)
    except NotSupported as error:
        if wanted.since is None or repr(wanted.since) not in str(error):
            raise
        raise UsageError(
            f"--from {wanted.since!r} is no time, and no event of {wanted.service}.{wanted.name}@{wanted.major} that is kept still has this "
            "id: give the id of an event, a time (12:03, or as ISO 8601) or how long ago (30s, 10m, 2h, 1d)"
        ) from error


def _refuse_without_replay(host: Host) -> None:
    if not host.node.publisher.guarantees.replay:
        raise UsageError(
            f'the bus of this mesh, [pubsub] use = "{host.node.settings.pubsub.use}", does not keep what was published: leave out --from, '
            "or let it: [pubsub.embedded] path and keep, or another bus, such as redis-streams"
        )


def only_major(host: Host, service: str, event: str) -> int:
    """The major version that `service` runs in. Raises UsageError when there are several, or none."""
    found = {
        parse(each.version).major
        for record in host.node.directory.nodes.values()
        for each in record.instances
        if each.service == service
    }
    if len(found) == 1:
        return found.pop()
    which = f"runs as {', '.join(map(str, sorted(found)))}" if found else "does not run"
    raise UsageError(f"{service} {which}: say which major version is meant, such as {service}.{event}@1")


async def _show(host: Host, delivery: Delivery) -> None:
    if delivery.gap:
        say(f"missed {delivery.gap if delivery.gap > 0 else 'some'} events before this one")
    event = delivery.event
    if sys.stdout.isatty():
        topic = f"{event.service}.{event.name}@{parse(event.version).major}"
        click.echo(f"{clock(event.published_unix_s)}  {topic}  {event.source}  {event.id}  ", nl=False)
        print_line(shown(host, event))
    else:
        print_line(
            {
                "id": event.id, "topic": f"{event.service}.{event.name}@{parse(event.version).major}",
                "at": event.published_unix_s, "source": event.source, "key": event.key, "payload": shown(host, event),
            }
        )  # fmt: skip
    await delivery.settle(Verdict(action="ack"))


def shown(host: Host, event: Event) -> Any:
    """The payload as people may see it."""
    try:
        payload = host.decode(event)
    except ValueError as error:
        return f"<{len(event.body)} bytes of {event.content_type}: {error}>"
    hidden = frozenset(event.metadata.get(SENSITIVE, "").split(","))
    if isinstance(payload, dict):
        return {name: HIDDEN if name in hidden else value for name, value in payload.items()}
    return payload
