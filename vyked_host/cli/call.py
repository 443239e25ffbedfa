"""``vyked-host call``: one call from the shell."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import click

from ..contracts import EndpointDescription
from ..errors import EXIT_REMOTE, CallError, InvalidPayload, UsageError, VykedError
from ..model import names
from ..service.clients import CallOptions
from .arguments import arguments
from .client import Aim, aim, as_data, endpoint, reached
from .failures import say
from .printing import output_option, print_line

EPILOG = """\b
Examples:
  vyked-host call identity.create user_name=ada password=s3cret
  vyked-host call identity.all page_size:=10            a stream: one JSON value a line
  vyked-host call identity.load < users.jsonl           items of a stream come from stdin
  vyked-host call accounts.open user_name=ada --address http://127.0.0.1:4501
"""


@click.command("call", epilog=EPILOG)
@click.argument("target", metavar="SERVICE.METHOD")
@click.argument("words", metavar="[NAME=TEXT | NAME:=JSON | '{...}']...", nargs=-1)
@click.option("--address", metavar="URI", help="Where the host listens; default: where the file's transports do.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True, max=600), default=10.0, show_default=True, help="Seconds for the whole call.")  # fmt: skip
@click.option("--config", "config_file", metavar="FILE", help="Default: VYKED_CONFIG, else ./vyked.toml.")
@click.option("--mesh", help="The mesh of the host; default: the file's.")
@output_option
def command(
    target: str, words: tuple[str, ...], address: str | None, timeout: float, config_file: str | None, mesh: str | None,
    output: str,
) -> None:  # fmt: skip
    """Call SERVICE.METHOD of a running host and print the result as JSON.

    NAME=TEXT is text as it is; NAME:=JSON is a number, true, null, a list or an object; NAME=@FILE and NAME:=@FILE read
    it from a file. Exit code 5: the service answered with an error, 6: it did not answer in time, 3: no host there.
    """
    service, method = names.split_endpoint(target)
    wanted = aim(config_file, address, mesh)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        asyncio.run(_call(wanted, (service, method), arguments(words), timeout))
    except CallError as error:
        sys.exit(_failed(error, output))


async def _call(wanted: Aim, path: tuple[str, str], given: dict[str, Any], timeout: float) -> None:
    async with reached(wanted) as (host, channel):
        found = endpoint(channel, *path)
        invoke = host.invoker(found.service).bind(found)
        options = CallOptions(timeout=timeout, instance=channel.node_id)
        inbound = stdin_items() if found.kind.streams_in else None
        await _print(found, invoke(given, inbound, options))


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


def _failed(error: CallError, output: str) -> int:
    if output == "json":
        print_line({"error": as_data(error)})
    say(f"{_words(error)}{_hint(error)}")
    return error.exit_code or EXIT_REMOTE


def _words(error: VykedError) -> str:
    kind = getattr(error, "type", "") or getattr(error, "code", "")
    return f"{kind}: {error}" if kind else str(error)


def _hint(error: CallError) -> str:
    """Text where a number was wanted is what people type most often."""
    if isinstance(error, InvalidPayload) and "got `str`" in str(error):
        return f"; {error.field or 'NAME'}=... is text, JSON is given as {error.field or 'NAME'}:=..."
    return ""
