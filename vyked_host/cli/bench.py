"""``vyked-host bench``: load on one method of a mesh that runs, from outside."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import click
import msgspec

from ..assembly.run import loop_factory
from ..errors import EXIT_FAILED, EXIT_REMOTE, CallError, UsageError
from ..model import names
from .arguments import arguments
from .baseline import ANY, SHARES, Figures, Load, Run, check, figures, read, save, shares
from .call import failed
from .durations import seconds_of, span
from .failures import say
from .load import Measured, closed, open_loop
from .meshes import Reach, mesh_options, ready
from .printing import output_option, print_json, print_table
from .ways import LOCAL, Method, Once, way

ROUNDS = 3
"""What is compared takes turns so often: what else the machine does hits all alike."""

EPILOG = """\b
Examples:
  vyked-host bench shop.price what=tea
  vyked-host bench shop.price --args '{"what": "tea"}' --in-flight 256 --duration 30s
  vyked-host bench shop.price what=tea --rate 2000 -o json
  vyked-host bench shop.price what=tea --compare tcp,http,local
  vyked-host bench shop.price what=tea --save before.json
  vyked-host bench shop.price what=tea --baseline before.json --fail-under 0.9
"""
Drive = Callable[[Once, float], Awaitable[Measured]]
"""Calls a way for so many seconds."""


@click.command("bench", epilog=EPILOG)
@click.argument("target", metavar="SERVICE.METHOD")
@click.argument("words", metavar="[NAME=TEXT | NAME:=JSON]...", nargs=-1)
@click.option("--args", "given", metavar="JSON", help="The arguments as one JSON object.")
@click.option("--in-flight", type=click.IntRange(min=1, max=10_000), default=64, show_default=True, help="Calls under way at once.")  # fmt: skip
@click.option("--duration", default="10s", show_default=True, metavar="SPAN", help="Such as 30s, 5m; of each way with --compare.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Calls a second, whatever comes back, in place of --in-flight; latencies count from when each was due.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True, max=600), default=10.0, show_default=True, help="Seconds for each call.")  # fmt: skip
@click.option("--compare", metavar="WAYS", help="Transports that take turns, with commas, such as tcp,http,local; local: the services of the file, once more in this process.")  # fmt: skip
@click.option("--save", "kept", metavar="FILE", help="Write what was measured, as JSON.")
@click.option("--baseline", metavar="FILE", help="Compare with what --save wrote.")
@click.option("--fail-under", type=click.FloatRange(min=0, min_open=True), metavar="SHARE", help="Exit code 1 under this share of the baseline's throughput; with --rate, of its p99's inverse.")  # fmt: skip
@mesh_options
@output_option
def command(
    reach: Reach, target: str, words: tuple[str, ...], given: str | None, in_flight: int, duration: str, rate: float | None,
    timeout: float, compare: str | None, kept: str | None, baseline: str | None, fail_under: float | None, output: str,
) -> None:  # fmt: skip
    """Call SERVICE.METHOD again and again with the same arguments, and print throughput, latencies and outcomes by code.

    The calls are real: whatever the method does, it does each time. They spread over the instances as other calls do. One
    call is made before the clock starts, and when that fails nothing more is done. Exit code 5: no call succeeded.
    """
    if fail_under is not None and baseline is None:
        raise UsageError("--fail-under is a share of what --baseline FILE has")
    method = Method(names.split_endpoint(target), arguments((*words, given) if given else words), timeout)
    chosen, seconds = _ways(compare), seconds_of(duration)
    load = Load(endpoint=target, loop="closed" if rate is None else "open", in_flight=in_flight if rate is None else None, rate=rate)  # fmt: skip
    before = read(baseline) if baseline else None
    if before is not None:
        check(before, load, tuple(chosen), baseline or "")

    def drive(once: Once, length: float) -> Awaitable[Measured]:
        return open_loop(once, rate, length) if rate is not None else closed(once, in_flight, length)

    try:
        with asyncio.Runner(loop_factory=_loop(reach)) as runner:
            found = runner.run(_measured(reach, method, chosen, seconds, drive))
    except CallError as error:
        sys.exit(failed(error, output, words))
    run = Run(load=load, ways={name: figures(each) for name, each in found.items()})
    compared = shares(before, run.ways) if before is not None else {}
    (_print_json if output == "json" else _print)(run, compared)
    if kept:
        save(run, kept)
    sys.exit(_verdict(run, compared, fail_under))


def _ways(compare: str | None) -> dict[str, str | None]:
    """Name of each way -> the transport it is told of. Raises UsageError."""
    if compare is None:
        return {ANY: None}
    found = [each.strip() for each in compare.split(",")]
    if not all(found) or len(set(found)) != len(found):
        raise UsageError(f"--compare {compare}: transports with commas, each once, such as tcp,http,{LOCAL}")
    return {each: each for each in found}


def _loop(reach: Reach) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop that a host of this file would have: the caller should not be what is slow."""
    return loop_factory(ready(reach).loaded.require())


async def _measured(
    reach: Reach, method: Method, chosen: dict[str, str | None], seconds: float, drive: Drive
) -> dict[str, Measured]:  # fmt: skip
    rounds = ROUNDS if len(chosen) > 1 else 1
    async with AsyncExitStack() as stack:
        ways: dict[str, Once] = {}
        for name, transport in chosen.items():
            ways[name] = once = await stack.enter_async_context(way(reach, method, transport))
            await once()
        found = {name: Measured() for name in ways}
        for _ in range(rounds):
            for name, once in ways.items():
                found[name].merge(await drive(once, seconds / rounds))
        return found


def _verdict(run: Run, compared: dict[str, float], fail_under: float | None) -> int:
    """The exit code."""
    if not all(each.outcomes.get("OK") for each in run.ways.values()):
        return EXIT_REMOTE
    worse = {name: share for name, share in compared.items() if fail_under is not None and share < fail_under}
    for name, share in worse.items():
        say(f"{_named(run, name)}{share:g} of the baseline, under {fail_under:g}")
    return EXIT_FAILED if worse else 0


def _named(run: Run, name: str) -> str:
    return f"{name}: " if len(run.ways) > 1 else ""


# ---- printing --------------------------------------------------------------------------------------------------------
def _print_json(run: Run, compared: dict[str, float]) -> None:
    ways = {name: _with_share(each, compared.get(name)) for name, each in run.ways.items()}
    only = ways.pop(ANY, None)
    print_json({**msgspec.to_builtins(run.load), **(only or {"ways": ways})})


def _with_share(found: Figures, share: float | None) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(found)
    return data if share is None else data | {"of_baseline": share}


def _print(run: Run, compared: dict[str, float]) -> None:
    several = len(run.ways) > 1
    header = ("CALLS/S", *(name.upper() for name in SHARES), "MAX", "CALLS")
    rows = [_row(each) for each in run.ways.values()]
    if several:
        header, rows = ("WAY", *header), [(name, *row) for name, row in zip(run.ways, rows, strict=True)]
    if compared:
        header, rows = (*header, "OF BASELINE"), [(*row, f"{compared[name]:.2f}") for name, row in zip(run.ways, rows, strict=True)]  # fmt: skip
    print_table(header, rows)
    for name, each in run.ways.items():
        outcomes = ", ".join(f"{code} {count:,}" for code, count in each.outcomes.items())
        click.echo(f"{_named(run, name)}outcomes: {outcomes}")
    load, seconds = run.load, sum(each.seconds for each in run.ways.values())
    how = f"{load.in_flight} in flight" if load.rate is None else f"{load.rate:g} a second"
    say(f"{load.loop} loop, {how}, {seconds:.1f} s")


def _row(found: Figures) -> tuple[str, ...]:
    taken = (found.p50_ms, found.p90_ms, found.p99_ms, found.p999_ms, found.max_ms)
    return (f"{found.per_second:,.0f}", *(span(each / 1e3) for each in taken), f"{found.calls:,}")
