"""What each semantic costs: our echo with everything on, and with one of them switched off, or one more switched on, in turn."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from . import report, rpc
from .echo import Case
from .load import Measured
from .peers.variants import VARIANTS

HEADINGS = ("variant", "calls/s", "of all on", "CPU us/call", "more by", "server", "client", "p50 us")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    rounds: int = 3
    in_flight: int = 64
    seconds: float = 2.0
    sequential: int = 1000


def run(settings: Settings) -> report.Report:
    """Measure, print, and return every round."""
    load = rpc.Settings(**msgspec.structs.asdict(settings))
    rounds = rpc.interleaved(load, {name: ("vyked", Case(variant=name)) for name in VARIANTS})
    found = report.Report("semantics", msgspec.to_builtins(settings), rounds)
    print(found.heading())
    print(shown({name: report.median(measured) for name, measured in rounds.items()}))
    return found


def shown(medians: Mapping[str, Measured]) -> str:
    """The table: each variant against everything on."""
    whole = next(iter(medians.values()))
    rows = [
        (
            name,
            f"{one.calls_per_second:,.0f}",
            f"{one.calls_per_second / whole.calls_per_second:.2f}",
            f"{one.cpu_us:.1f}",
            f"{one.cpu_us - whole.cpu_us:+.1f}",
            f"{one.server_cpu_us:.1f}",
            f"{one.client_cpu_us:.1f}",
            f"{one.p50_us:.0f}",
        )
        for name, one in medians.items()
    ]
    kept = "never off: deadlines, cancellation, a task and a context for each call, counters, the call's metadata"
    return f"{report.table(HEADINGS, rows)}\n{kept}"
