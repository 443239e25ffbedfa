"""``vyked-host dlq end``: the end of a group nobody of whom comes back, with all that waits for it."""

from __future__ import annotations

import asyncio
import sys

import click

from ..contracts import EndsGroups
from ..errors import EXIT_FAILED, NotSupported, UsageError
from ..model.names import split_topic
from .failures import say
from .meshes import Reach, joined, mesh_options


@click.command("end")
@click.option("--topic", required=True, metavar="SERVICE.EVENT@MAJOR", help="The event.")
@click.option("--group", required=True, metavar="GROUP", help="The group, such as books@1.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@mesh_options
def end(reach: Reach, topic: str, group: str, yes: bool) -> None:
    """Forget a group that has no members any more, with the events that wait for it and its dead letters, for good.

    A group is there, and events are kept for it, from its first subscription until it is ended: also when the service that it was made
    for is gone. A member that subscribes later begins anew.
    """
    service, name, major = split_topic(topic)
    if major is None:
        raise UsageError(f"{topic} has a major version too: --topic {topic}@1")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("end forgets events for good: say --yes where nobody can be asked")
        click.confirm(f"forget {group} of {topic} and all that waits for it for good?", abort=True, err=True)
    events = asyncio.run(_end(reach, service, major, name, group))
    click.echo(f"{group} of {topic} ended; {events} events of it are forgotten")


async def _end(reach: Reach, service: str, major: int, name: str, group: str) -> int:
    async with joined(reach, has_bus=True) as host:
        bus = host.node.pubsub
        if not isinstance(bus, EndsGroups):
            raise UsageError(
                f'the bus of this mesh, [pubsub] use = "{host.node.settings.pubsub.use}", keeps events for no group'
            )
        try:
            return await bus.end_group(service, major, name, group)
        except KeyError:
            say(
                f"there is no group {group} of {service}.{name}@{major}; `vyked-host why event` names the groups of an event"
            )
        except NotSupported as error:
            say(str(error))
        sys.exit(EXIT_FAILED)
