"""`rpc --profile`: where the time of our server and of our client goes, function by function, under full load.

By cProfile, which makes small Python functions look dearer than they are: compare rows with one another, not with a clock.
"""

from __future__ import annotations

import pstats
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from . import report, rpc
from .processes import ROOT

ROWS = 30
CALLS = 30_000


def run(settings: rpc.Settings) -> report.Report:
    """Profile both processes of ours over `CALLS` calls, print the dearest functions of each."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server, client = Path(folder, "server"), Path(folder, "client")
        with rpc.serving("vyked", settings.case, profile=server) as target:
            made = round(target.load(settings, calls=CALLS, profile=client).calls)
        made += settings.sequential
        found = {"server": list(_rows(server, made)), "client": list(_rows(client, made))}
    answer = report.Report("profile", msgspec.to_builtins(settings), found)
    print(answer.heading())
    for half, rows in found.items():
        print(f"\n{half}")
        print(report.table(("function", "us/call of itself", "with what it calls", "times a call"), rows))
    return answer


def _rows(file: Path, calls: int) -> Iterator[Sequence[str]]:
    """The dearest functions, as microseconds for each of `calls` calls; what runs less than once in ten calls is not of them."""
    stats: dict[Any, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    often = [(key, row) for key, row in stats.items() if row[1] >= calls / 10]
    for (path, line, name), (_, times, own, whole, _) in sorted(often, key=lambda each: -each[1][2])[:ROWS]:
        where = f"{_short(path)}:{line} {name}" if line else name
        yield where, f"{own / calls * 1e6:.2f}", f"{whole / calls * 1e6:.2f}", f"{times / calls:.2f}"


def _short(path: str) -> str:
    place = Path(path)
    return str(place.relative_to(ROOT)) if place.is_relative_to(ROOT) else place.name
