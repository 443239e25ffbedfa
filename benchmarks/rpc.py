"""RPC echo over loopback TCP: two processes, 64 calls in flight. Peers take turns in every round, so that what else the
machine does hits all alike. CPU per call is the steadiest figure, a ratio of it the one to quote.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from . import report
from .echo import SMALL, Case
from .load import Measured, Plan
from .peers import PEERS, as_text, peer
from .processes import Server, environment, free_port, running

HEADINGS = ("peer", "calls/s", "x grpc", "of raw", "CPU us/call", "server", "client", "p50 us", "p99 us", "failed")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `peers` are names of `peers.PEERS`."""

    peers: tuple[str, ...] = tuple(PEERS)
    rounds: int = 3
    in_flight: int = 64
    seconds: float = 2.0
    sequential: int = 3000
    case: Case = Case()


def run(settings: Settings) -> report.Report:
    """Measure, print the table, and return every round."""
    rounds = interleaved(settings, {name: (name, settings.case) for name in settings.peers})
    found = report.Report("rpc", msgspec.to_builtins(settings), rounds)
    print(found.heading())
    print(
        " ".join(f"{name}={value}" for name, value in msgspec.to_builtins(settings.case).items() if value != "all on")
    )
    print(report.table(HEADINGS, _rows(rounds)))
    return found


def interleaved(settings: Settings, contestants: Mapping[str, tuple[str, Case]]) -> dict[str, list[Measured]]:
    """Every round of each contestant: label -> (peer, circumstances). Within a round they take turns."""
    rounds: dict[str, list[Measured]] = {label: [] for label in contestants}
    for number in range(1, settings.rounds + 1):
        for label, (name, case) in contestants.items():
            print(f"round {number} of {settings.rounds}: {label}", file=sys.stderr)
            with serving(name, case) as target:
                rounds[label].append(target.load(settings))
    return rounds


class Target:
    """The running server of one peer."""

    def __init__(self, name: str, case: Case, folder: Path, port: int, server: Server) -> None:
        self._name, self._case, self.folder, self.port = name, case, folder, port
        self.pid = server.pid

    def load(self, settings: Settings, *, calls: int = 0, sampler: tuple[str, ...] = ()) -> Measured:
        """Call it from a new process; `calls` of them in place of the seconds; `sampler` as of `Plan`."""
        plan = Plan(
            server=self.pid,
            in_flight=settings.in_flight,
            seconds=settings.seconds,
            calls=calls,
            sequential=settings.sequential,
            case=self._case,
            sampler=sampler,
        )
        argv = [sys.executable, "-m", "benchmarks.peers", self._name, "load", f"--plan={as_text(plan)}"]
        argv += [f"--port={self.port}", f"--folder={self.folder}"]
        done = subprocess.run(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        return msgspec.json.decode(done.stdout, type=Measured)


@contextmanager
def serving(name: str, case: Case = SMALL) -> Iterator[Target]:
    """The server of peer `name`, once it accepts connections."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        argv = peer(name).server(folder, port, case)
        with running(argv, cwd=folder, env=environment()) as server:
            server.wait_for_port(port)
            yield Target(name, case, folder, port, server)


def _rows(rounds: Mapping[str, Sequence[Measured]]) -> Iterator[Sequence[str]]:
    for name, each in rounds.items():
        one = report.median(each)
        yield (
            name,
            f"{one.calls_per_second:,.0f}",
            _ratio(each, rounds.get("grpc")),
            _ratio(each, rounds.get("raw")),
            f"{one.cpu_us:.1f}",
            f"{one.server_cpu_us:.1f}",
            f"{one.client_cpu_us:.1f}",
            f"{one.p50_us:.0f}",
            f"{one.p99_us:.0f}",
            f"{one.failed:.0f}",
        )


def _ratio(each: Sequence[Measured], other: Sequence[Measured] | None) -> str:
    return f"{report.paired(each, other, 'calls_per_second'):.2f}" if other else "-"
