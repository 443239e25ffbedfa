"""``vyked-host call``: one call from the shell."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import click

from ..assembly import Host
from ..contracts import Channel, EndpointDescription
from ..errors import EXIT_REMOTE, CallError, InvalidPayload, NotFound, Unavailable, UsageError, VykedError
from ..model import names
from ..service.clients import CallOptions
from .arguments import arguments, text_hint
from .client import DIAL_S, aim, as_data, endpoint, nearest_of, reached
from .failures import say
from .meshes import Reach, joined, mesh_options, others
from .printing import output_option, print_line

WORTH_ASKING = frozenset({"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})
"""Codes whose cause is seen better from inside the mesh."""
EPILOG = """\b
Examples:
  vyked-host call identity.create user_name=ada password=s3cret
  vyked-host call identity.all                          a stream: one JSON value a line
  vyked-host call orders.place tea=green cups:=2        text, and JSON
  vyked-host call orders.load < orders.jsonl            items of a stream come from stdin
  vyked-host call accounts.open user_name=ada --address http://127.0.0.1:4501
"""


@click.command("call", epilog=EPILOG)
@click.argument("target", metavar="SERVICE.METHOD")
@click.argument("words", metavar="[NAME=TEXT | NAME:=JSON | '{...}']...", nargs=-1)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True, max=600), default=10.0, show_default=True, help="Seconds for the whole call.")  # fmt: skip
@mesh_options
@output_option
def command(reach: Reach, target: str, words: tuple[str, ...], timeout: float, output: str) -> None:
    """Call SERVICE.METHOD in a mesh and print the result as JSON; calls spread over its instances.

    NAME=TEXT is text as it is; NAME:=JSON is a number, true, null, a list or an object; NAME=@FILE and NAME:=@FILE read
    it from a file. Exit code 5: the service answered with an error, 6: it did not answer in time, 3: no host there.
    """
    service, method = names.split_endpoint(target)
    try:
        asyncio.run(_call(reach, (service, method), arguments(words), timeout))
    except CallError as error:
        sys.exit(failed(error, output, words))


async def _call(reach: Reach, path: tuple[str, str], given: dict[str, Any], timeout: float) -> None:
    async with located(reach, path[0]) as (host, channel, instance):
        found = endpoint(channel, *path)
        invoke = host.invoker(found.service).bind(found)
        options = CallOptions(timeout=timeout, instance=instance)
        inbound = stdin_items() if found.kind.streams_in else None
        await _print(found, invoke(given, inbound, options))


@asynccontextmanager
async def located(reach: Reach, service: str) -> AsyncIterator[tuple[Host, Channel, str | None]]:
    """A host in the mesh, a channel to a node that says what `service` offers, and the node to call (None: any)."""
    if reach.address:
        async with reached(aim(reach.file, reach.address, reach.mesh)) as (host, channel):
            yield host, channel, channel.node_id
        return
    async with joined(reach) as host:
        channel = await _describing(host, service)
        try:
            yield host, channel, None
        finally:
            await channel.aclose()


async def _describing(host: Host, service: str) -> Channel:
    """A channel to one of the nodes that have `service`, active ones first."""
    ranked = [
        (each.status != "active", record) for record in others(host) for each in record.instances if each.service == service
    ]  # fmt: skip
    if not ranked:
        known = sorted({each.service for record in others(host) for each in record.instances})
        text = f"no service {service!r} in mesh {host.mesh}; {nearest_of(service, known)}"
        raise NotFound(text, service=service, executed="not_sent")
    error: Exception = Unavailable(f"{service} can't be reached", service=service, executed="not_sent")
    for _, record in sorted(ranked, key=lambda each: each[0]):
        for address in record.addresses:
            try:
                return await host.dial(address.uri, timeout=DIAL_S)
            except (VykedError, OSError) as refused:
                error = refused
    raise error


async def _print(found: EndpointDescription, answer: Any) -> None:
    if not found.kind.streams_out:
        print_line(await answer)
        return
    async with answer as items:
        async for item in items:
            print_line(item)


async def stdin_items() -> AsyncIterator[Any]:
    """What stdin says, a JSON value a line, as it comes. Raises UsageError for a line that is none."""
    number = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        number += 1
        if line.strip():
            yield _item(number, line)


def _item(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UsageError(f"line {number} of stdin is no JSON: {error}") from error


def failed(error: CallError, output: str, words: Iterable[str]) -> int:
    """Say it of a call whose arguments were typed as `words`, also as JSON where that is asked for; the exit code."""
    if output == "json":
        print_line({"error": as_data(error)})
    hint = text_hint(words, error.field) if isinstance(error, InvalidPayload) and "got `str`" in str(error) else ""
    say(f"{_words(error)}{hint}")
    if error.code in WORTH_ASKING and error.executed != "not_sent" and error.call_id:
        say(f"more about it: vyked-host why call {error.call_id}")
    return error.exit_code or EXIT_REMOTE


def _words(error: VykedError) -> str:
    kind = getattr(error, "type", "") or getattr(error, "code", "")
    return f"{kind}: {error}" if kind else str(error)
