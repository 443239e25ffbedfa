"""Echo over the wire of Vyked 2.x, both ends ours, beside bare JSON lines: what a call costs where old processes are. The old
implementation answered 4,750 calls a second on one core, a tenth of what the control did beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from . import report, rpc
from .echo import Case
from .load import Measured
from .peers import OLD_WIRE

HEADINGS = ("peer", "calls/s", "of the control", "CPU us/call", "server", "client", "p50 us", "p99 us", "failed")
CONTROL = "lines"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    rounds: int = 3
    in_flight: int = 64
    seconds: float = 2.0
    sequential: int = 3000
    case: Case = Case()


def run(settings: Settings) -> report.Report:
    """Measure, print the table, and return every round. On asyncio's own loop, as the old implementation was."""
    case = msgspec.structs.replace(settings.case, loop="asyncio")
    load = rpc.Settings(
        rounds=settings.rounds, in_flight=settings.in_flight, seconds=settings.seconds, sequential=settings.sequential,
        case=case,
    )  # fmt: skip
    rounds = rpc.interleaved(load, {name: (name, case) for name in OLD_WIRE})
    found = report.Report("old_wire", msgspec.to_builtins(settings), rounds)
    print(found.heading())
    print(report.table(HEADINGS, _rows({name: report.median(measured) for name, measured in rounds.items()})))
    return found


def _rows(medians: Mapping[str, Measured]) -> Iterator[tuple[str, ...]]:
    control = medians[CONTROL].calls_per_second
    for name, each in medians.items():
        yield (
            name, f"{each.calls_per_second:,.0f}", f"{each.calls_per_second / control:.2f}", f"{each.cpu_us:.1f}",
            f"{each.server_cpu_us:.1f}", f"{each.client_cpu_us:.1f}", f"{each.p50_us:.0f}", f"{each.p99_us:.0f}",
            f"{each.failed:.0f}",
        )  # fmt: skip
