"""``vyked-host publish``: an event from the shell, in the place of its service."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable
from typing import Any

import click

from ..assembly import Host
from ..errors import EXIT_REMOTE, InvalidPayload, UsageError, VykedError
from ..model.description import EventDescription
from ..model.names import split_topic
from ..model.queues import is_queue
from ..model.version import parse
from ..service.endpoints import Published
from .arguments import arguments
from .call import failed as call_failed
from .failures import say
from .meshes import Reach, ask_all, joined, mesh_options, reports
from .printing import print_line
from .tail import only_major

BATCH = 200
"""Events on their way to the bus at once."""
EPILOG = """\b
Examples:
  vyked-host publish identity.password_changed user_name=ada
  vyked-host publish orders.placed@2 id:=17 --key 17
  vyked-host publish orders.placed id:=17 --count 10000 --rate 500
"""


@click.command("publish", epilog=EPILOG)
@click.argument("topic", metavar="SERVICE.EVENT[@MAJOR]")
@click.argument("words", metavar="[NAME=TEXT | NAME:=JSON | '{...}']...", nargs=-1)
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="Publish it so often.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Events per second; default: as fast as the bus takes them.")  # fmt: skip
@click.option(
    "--id", "event_id", help="Its id: published again under it, it goes to nobody, where the bus remembers ids."
)
@click.option("--key", help="Events of one key stay in order where the bus keeps that.")
@mesh_options
def command(
    reach: Reach, topic: str, words: tuple[str, ...], count: int, rate: float | None, key: str | None, event_id: str | None
) -> None:  # fmt: skip
    """Publish an event and print its id once the bus has it; with --count a summary. Who hears it is said on stderr.

    Those who hear it are asked first whether they can read it: a job that its queue can't read is refused (exit code 5); of an
    event it is said.
    """
    if event_id is not None and count > 1:
        raise UsageError("--id names one event: leave out --count, or --id")
    try:
        failed = asyncio.run(_publish(reach, topic, arguments(words), (count, rate, key), event_id))
    except InvalidPayload as error:
        sys.exit(call_failed(error, "text", words))
    if failed:
        sys.exit(EXIT_REMOTE)


async def _publish(
    reach: Reach, topic: str, payload: Any, how: tuple[int, float | None, str | None], event_id: str | None
) -> int:  # fmt: skip
    count, rate, key = how
    async with joined(reach, has_bus=True) as host:
        service, name, major = split_topic(topic)
        major = major if major is not None else only_major(host, service, name)
        event = EventDescription(service=service, version=version_of(host, service, major), name=name, payload=Any)
        topic = f"{service}.{name}@{major}"
        say(f"{topic} is heard by {await _audience(host, topic)}")
        await _fits(host, event, topic, payload)
        if count == 1:
            print_line(await host.node.publisher.publish(event, payload, key=key, id=event_id))
            return 0
        return await _many(host, event, payload, (count, rate, key))


async def _fits(host: Host, event: EventDescription, topic: str, payload: Any) -> None:
    """Whoever hears it is asked, those of a release that can't be asked are not. Raises InvalidPayload for a job that its queue can't
    read: it would be a dead letter."""
    publisher = host.node.publisher
    body = publisher.of(event).message(payload, None, None, None, None).body
    answers, _ = await ask_all(host, lambda control: control.misfits(topic, publisher.content_type, body))
    found = {each.handler: each for answer in answers for each in answer}
    for each in found.values():
        if is_queue(event.name):
            raise InvalidPayload(
                each.message,
                service=event.service,
                method=each.handler,
                executed="not_sent",
                details={"field": each.field},
            )
        say(f"it does not fit {each.message}")


def version_of(host: Host, service: str, major: int) -> str:
    """The version of a running instance of that major, so that its topic is the same; else the first of that major."""
    for record in host.node.directory.nodes.values():
        for each in record.instances:
            if each.service == service and parse(each.version).major == major:
                return each.version
    return f"{major}.0.0"


async def _audience(host: Host, topic: str) -> str:
    found, _ = await reports(host)
    heard = [each for report in found for each in report.subscriptions if each.topic == topic]
    groups = sorted({each.group for each in heard if each.group is not None})
    plain = sum(each.group is None for each in heard)
    told = [f"one of {group}" for group in groups] + ([f"{plain} subscriber{'s' * (plain > 1)}"] if plain else [])
    return ", ".join(told) or "nobody"


async def _many(host: Host, event: EventDescription, payload: Any, how: tuple[int, float | None, str | None]) -> int:
    count, rate, key = how
    began, failed, waiting = time.perf_counter(), 0, list[Awaitable[Published]]()
    for number in range(count):
        if rate is not None:
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        waiting.append(host.node.publisher.publish(event, payload, key=key))
        if len(waiting) >= BATCH:
            failed += await _refused(waiting)
            waiting.clear()
    failed += await _refused(waiting)
    seconds = time.perf_counter() - began
    print_line({"published": count - failed, "failed": failed, "seconds": round(seconds, 3)})
    return failed


async def _refused(waiting: list[Awaitable[Published]]) -> int:
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    errors = [each for each in outcomes if isinstance(each, BaseException)]
    for error in errors:
        if not isinstance(error, VykedError):
            raise error
    if errors:
        say(f"{len(errors)} not published: {errors[0]}")
    return len(errors)
