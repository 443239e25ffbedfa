"""Figures as text for people and as JSON for later: medians, tables, and what machine they come from."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Figures = TypeVar("Figures", bound=msgspec.Struct)

_DISTRIBUTIONS = ("vyked-host", "msgspec", "uvloop", "grpcio", "aiohttp")


class Report(msgspec.Struct):
    """One run of one benchmark: every round is kept, so that a later reader can judge the spread."""

    benchmark: str
    settings: dict[str, Any]
    rounds: dict[str, Any]
    taken: str = msgspec.field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"))
    machine: dict[str, Any] = msgspec.field(default_factory=lambda: machine())

    def save(self, file: Path) -> None:
        """Write it to `file` as JSON."""
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    def heading(self) -> str:
        """One line that says what the figures below it are of."""
        at = self.machine
        versions = ", ".join(f"{name} {found}" for name, found in at["versions"].items())
        return f"{self.benchmark} on Python {at['python']}, {at['cores']} cores, load {at['load']:.1f}; {versions}"


def machine() -> dict[str, Any]:
    """Interpreter, cores, load and versions; nothing that names the machine."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "versions": {name: found for name in _DISTRIBUTIONS if (found := _version(name))},
    }


def median(rounds: Sequence[Figures]) -> Figures:
    """The median of each field by itself."""
    kind = type(rounds[0])
    return kind(**{name: statistics.median(getattr(one, name) for one in rounds) for name in kind.__struct_fields__})


def paired(some: Sequence[Any], others: Sequence[Any], field: str) -> float:
    """`field` of `some` as a share of that of `others` in the same round, the median of all rounds: a shared machine is another one in the next."""
    shares = (getattr(one, field) / getattr(other, field) for one, other in zip(some, others, strict=True))
    return float(statistics.median(shares))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    lines = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join((cells[0].ljust(widths[0]), *rest)).rstrip()


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
