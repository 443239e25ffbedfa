"""What `bench` measured, as it is saved, and how far it is from what was saved before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import UsageError
from ..model.values import Value
from .load import Measured

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
ANY = "any"
"""The name of the way that calls take which are told of none."""


class Figures(Value):
    """Of one way: latencies in milliseconds, exact to 1 %, `outcomes` by code."""

    seconds: float
    calls: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    outcomes: dict[str, int]


class Load(Value):
    """What was called, and how: two of them can be compared when they are equal."""

    endpoint: str
    loop: str
    in_flight: int | None
    rate: float | None


class Run(Value):
    """One `bench`, as it is saved."""

    load: Load
    ways: dict[str, Figures]


def figures(found: Measured) -> Figures:
    """What `found` amounts to."""
    taken = found.latencies
    p50, p90, p99, p999 = (round(taken.percentile(share) * 1e3, 3) for share in SHARES.values())
    return Figures(
        seconds=round(found.seconds, 3), calls=taken.count, per_second=round(taken.count / found.seconds, 1),
        p50_ms=p50, p90_ms=p90, p99_ms=p99, p999_ms=p999, max_ms=round(taken.most * 1e3, 3),
        outcomes=dict(found.outcomes.most_common()),
    )  # fmt: skip


def save(run: Run, path: str) -> None:
    """Write `run` to a file. Raises UsageError when it can't be written."""
    try:
        Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    except OSError as error:
        raise UsageError(f"--save {path}: {error.strerror}") from error


def read(path: str) -> Run:
    """The run that was saved there. Raises UsageError when there is none."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Run)
    except OSError as error:
        raise UsageError(f"--baseline {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--baseline {path}: not what `bench --save` writes: {error}") from error


def check(saved: Run, load: Load, ways: tuple[str, ...], path: str) -> None:
    """Raises UsageError where `saved` was measured under other circumstances."""
    different = [
        f"{name} {there!r} there, {here!r} here"
        for name, there, here in (
            (each, getattr(saved.load, each), getattr(load, each)) for each in Load.__struct_fields__
        )
        if there != here
    ]
    if any(way not in saved.ways for way in ways):
        different.append(_instead(saved.ways))
    if different:
        raise UsageError(f"--baseline {path} was measured otherwise: {'; '.join(different)}")


def _instead(there: Mapping[str, Figures]) -> str:
    """What to measure where only some of these can be compared with."""
    if ANY in there:
        return "it was without --compare; leave it out"
    return f"it has {', '.join(there)}; measure with --compare {','.join(there)}"


def shares(saved: Run, ways: Mapping[str, Figures]) -> dict[str, float]:
    """How good each way is, as a share of what it was: of its throughput, or at a given rate of its p99's inverse."""
    return {name: round(_share(saved.ways[name], here, saved.load.rate), 3) for name, here in ways.items()}


def _share(before: Figures, now: Figures, rate: float | None) -> float:
    good: Any = before.outcomes.get("OK", 0), now.outcomes.get("OK", 0)
    if rate is not None:
        return before.p99_ms / now.p99_ms if now.p99_ms and good[1] else 0.0
    return (good[1] / now.seconds) / (good[0] / before.seconds) if good[0] else 0.0
