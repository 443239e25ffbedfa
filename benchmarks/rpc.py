"""RPC echo over loopback TCP: two processes, one connection, 64 calls in flight. Peers take turns in every round, so that
what else the machine does hits all alike. CPU per call is the steadiest figure, a ratio of it the one to quote.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from . import report
from .load import Measured, Plan
from .peers import peer
from .processes import Server, environment, free_port, running

HEADINGS = ("peer", "calls/s", "x grpc", "of raw", "CPU us/call", "server", "client", "p50 us", "p99 us")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `peers` are names of `peers.PEERS`."""

    peers: tuple[str, ...]
    rounds: int = 3
    in_flight: int = 64
    seconds: float = 2.0
    sequential: int = 3000


def run(settings: Settings) -> report.Report:
    """Measure, print the table, and return every round."""
    rounds: dict[str, list[Measured]] = {name: [] for name in settings.peers}
    for number in range(1, settings.rounds + 1):
        for name in settings.peers:
            print(f"round {number} of {settings.rounds}: {name}", file=sys.stderr)
            with serving(name) as target:
                rounds[name].append(target.load(settings))
    found = report.Report("rpc", msgspec.to_builtins(settings), rounds)
    print(found.heading())
    print(report.table(HEADINGS, _rows({name: report.median(measured) for name, measured in rounds.items()})))
    return found


class Target:
    """The running server of one peer."""

    def __init__(self, name: str, folder: Path, port: int, server: Server) -> None:
        self._name, self._folder, self._port = name, folder, port
        self.pid = server.pid

    def load(self, settings: Settings) -> Measured:
        """Call it from a new process."""
        plan = Plan(
            server=self.pid,
            in_flight=settings.in_flight,
            seconds=settings.seconds,
            sequential=settings.sequential,
        )
        options = (f"--{key.replace('_', '-')}={value}" for key, value in msgspec.to_builtins(plan).items())
        argv = [sys.executable, "-m", "benchmarks.peers", self._name, "load", *options]
        argv += [f"--port={self._port}", f"--folder={self._folder}"]
        done = subprocess.run(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        return msgspec.json.decode(done.stdout, type=Measured)


@contextmanager
def serving(name: str) -> Iterator[Target]:
    """The server of peer `name`, once it accepts connections."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        argv = peer(name).server(folder, port)
        with running(argv, cwd=folder, env=environment()) as server:
            server.wait_for_port(port)
            yield Target(name, folder, port, server)


def _rows(medians: dict[str, Measured]) -> Iterator[Sequence[str]]:
    for name, one in medians.items():
        yield (
            name,
            f"{one.calls_per_second:,.0f}",
            _ratio(one, medians.get("grpc")),
            _ratio(one, medians.get("raw")),
            f"{one.client_cpu_us + one.server_cpu_us:.1f}",
            f"{one.server_cpu_us:.1f}",
            f"{one.client_cpu_us:.1f}",
            f"{one.p50_us:.0f}",
            f"{one.p99_us:.0f}",
        )


def _ratio(one: Measured, other: Measured | None) -> str:
    return f"{one.calls_per_second / other.calls_per_second:.2f}" if other else "-"
