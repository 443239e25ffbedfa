"""``vyked-host bench``: load on one method of a mesh that runs, from outside."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import click

from ..assembly.run import loop_factory
from ..errors import EXIT_REMOTE, CallError, UsageError
from ..model import names
from ..model.description import Kind
from ..service.clients import CallOptions
from .arguments import arguments
from .call import failed, located
from .client import endpoint
from .durations import seconds_of, span
from .failures import say
from .load import Measured, closed, open_loop
from .meshes import Reach, mesh_options, ready
from .printing import output_option, print_json, print_table

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
EPILOG = """\b
Examples:
  vyked-host bench shop.price what=tea
  vyked-host bench shop.price --args '{"what": "tea"}' --in-flight 256 --duration 30s
  vyked-host bench shop.price what=tea --rate 2000 -o json
"""


@click.command("bench", epilog=EPILOG)
@click.argument("target", metavar="SERVICE.METHOD")
@click.argument("words", metavar="[NAME=TEXT | NAME:=JSON]...", nargs=-1)
@click.option("--args", "given", metavar="JSON", help="The arguments as one JSON object.")
@click.option("--in-flight", type=click.IntRange(min=1, max=10_000), default=64, show_default=True, help="Calls under way at once.")  # fmt: skip
@click.option("--duration", default="10s", show_default=True, metavar="SPAN", help="Such as 30s, 5m.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Calls a second, whatever comes back, in place of --in-flight; latencies count from when each was due.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True, max=600), default=10.0, show_default=True, help="Seconds for each call.")  # fmt: skip
@mesh_options
@output_option
def command(
    reach: Reach, target: str, words: tuple[str, ...], given: str | None, in_flight: int, duration: str, rate: float | None,
    timeout: float, output: str,
) -> None:  # fmt: skip
    """Call SERVICE.METHOD again and again with the same arguments, and print throughput, latencies and outcomes by code.

    The calls are real: whatever the method does, it does each time. They spread over the instances as other calls do. One
    call is made before the clock starts, and when that fails nothing more is done. Exit code 5: no call succeeded.
    """
    service, method = names.split_endpoint(target)
    asked = arguments((*words, given) if given else words)
    seconds = seconds_of(duration)

    def load(once: Callable[[], Any]) -> Any:
        return open_loop(once, rate, seconds) if rate is not None else closed(once, in_flight, seconds)

    try:
        with asyncio.Runner(loop_factory=_loop(reach)) as runner:
            found = runner.run(_measured(reach, (service, method), asked, timeout, load))
    except CallError as error:
        sys.exit(failed(error, output))
    data = {
        "endpoint": target, "loop": "closed" if rate is None else "open", "in_flight": in_flight if rate is None else None,
        "rate": rate, **as_data(found),
    }  # fmt: skip
    if output == "json":
        print_json(data)
    else:
        _print(data, found)
    if not found.outcomes["OK"]:
        sys.exit(EXIT_REMOTE)


def _loop(reach: Reach) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop that a host of this file would have: the caller should not be what is slow."""
    return loop_factory(ready(reach).loaded.require())


async def _measured(
    reach: Reach, path: tuple[str, str], given: dict[str, Any], timeout: float, load: Callable[[Callable[[], Any]], Any]
) -> Measured:  # fmt: skip
    async with located(reach, path[0]) as (host, channel, instance):
        found = endpoint(channel, *path)
        if found.kind is not Kind.UNARY:
            raise UsageError(
                f"{found.path} has a stream; only methods with one argument list and one answer can be measured"
            )
        invoke = host.invoker(found.service).bind(found)
        options = CallOptions(timeout=timeout, instance=instance)
        await invoke(given, None, options)
        measured: Measured = await load(lambda: invoke(given, None, options))
        return measured


def as_data(found: Measured) -> dict[str, Any]:
    """The figures, latencies in milliseconds."""
    taken = found.latencies
    latencies = {f"{name}_ms": round(taken.percentile(share) * 1e3, 3) for name, share in SHARES.items()}
    return {
        "seconds": round(found.seconds, 3),
        "calls": taken.count,
        "per_second": round(taken.count / found.seconds, 1),
        **latencies,
        "max_ms": round(taken.most * 1e3, 3),
        "outcomes": dict(found.outcomes.most_common()),
    }


def _print(data: dict[str, Any], found: Measured) -> None:
    latencies = [span(data[f"{name}_ms"] / 1e3) for name in (*SHARES, "max")]
    print_table(("CALLS/S", *(name.upper() for name in SHARES), "MAX", "CALLS"), [(f"{data['per_second']:,.0f}", *latencies, f"{data['calls']:,}")])  # fmt: skip
    click.echo("outcomes: " + ", ".join(f"{code} {count:,}" for code, count in found.outcomes.most_common()))
    how = (
        f"closed loop, {data['in_flight']} in flight"
        if data["rate"] is None
        else f"open loop, {data['rate']:g} a second"
    )
    say(f"{how}, {found.seconds:.1f} s")
