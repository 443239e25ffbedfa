"""Our throughput as a mesh grows: a service of 1,000 endpoints, 200 known instances of which two are live, 5,000 entries in the
registry; each beside the smallest of its kind. The registry is a process of its own, as are the servers, the crowd and the client.

A round lasts long enough for a shared machine to become half as fast, so meshes are compared within each round, and each second round
goes the other way about.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from vyked_host import Host, Service, api
from vyked_host.contracts import Address, Instance, NodeRecord

from . import report
from .echo import Row
from .load import Measured, Plan, drive
from .processes import LOOPBACK, Server, apart, environment, free_port, running, script

MESH = """
[host]
mesh = "bench"
[logging]
level = "warning"
[registry.embedded]
address = "{registry}"
[timing]
lease = 600.0
gone_after = 600.0
"""
SERVING = '[transports.tcp]\nport = {port}\n[services.sized]\nuse = "benchmarks.growth:{kind}"\n'
SMALLEST = ("the smallest", "2 instances")
"""Meshes that others are compared with: one that follows is compared with the last of them."""
PER_NODE = 20
"""Entries of one node of the crowd."""
WITHIN_S = 60.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: the larger sizes, and the load. The number of endpoints is that of the class `Wide`."""

    rounds: int = 5
    instances: int = 200
    entries: int = 5000
    in_flight: int = 64
    seconds: float = 2.0


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large one mesh is. `kind`: the class that is called; `live` servers; `down`: nodes of the same service that were killed;
    `others`: nodes of other services."""

    kind: str = "Narrow"
    live: int = 1
    down: int = 0
    others: int = 0


def _sized(endpoints: int) -> type[Service]:
    async def row(self: Service, row: Row) -> Row:
        """`row` again."""
        return row

    methods: dict[str, Any] = {f"row_{number}": api(row) for number in range(1, endpoints)}
    return type("Sized", (Service,), {**methods, "row": api(row)}, name="sized", version="1.0.0")


Narrow, Wide = _sized(1), _sized(1000)
"""The one that is called is the last."""


def sizes(settings: Settings) -> dict[str, Size]:
    """Label -> mesh. Each is compared with the last of `SMALLEST` before it."""
    return {
        "the smallest": Size(),
        "1,000 endpoints": Size(kind="Wide"),
        f"{settings.entries:,} registry entries": Size(others=settings.entries // PER_NODE),
        "2 instances": Size(live=2),
        f"{settings.instances} instances, 2 live": Size(live=2, down=settings.instances - 2),
    }


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    meshes = sizes(settings)
    rounds: dict[str, list[Measured]] = {label: [] for label in meshes}
    for number in range(1, settings.rounds + 1):
        for label in meshes if number % 2 else reversed(meshes):
            print(f"round {number} of {settings.rounds}: {label}", file=sys.stderr)
            rounds[label].append(measured(settings, meshes[label]))
    found = report.Report("growth", msgspec.to_builtins(settings), rounds)
    print(found.heading())
    shares = of_smallest(rounds)
    rows = [
        (label, f"{one.calls_per_second:,.0f}", f"{shares[label]:.2f}", f"{one.client_cpu_us:.1f}")
        for label, one in ((label, report.median(each)) for label, each in rounds.items())
    ]
    print(report.table(("mesh", "calls/s", "of its smallest", "client CPU us/call"), rows))
    return found


def of_smallest(rounds: dict[str, list[Measured]]) -> dict[str, float]:
    """The throughput of each as a share of that of its smallest in the same round, the median of all: the first for one live instance,
    that of two for two."""
    smallest, shares = list[Measured](), dict[str, float]()
    for label, each in rounds.items():
        if label in SMALLEST:
            smallest = each
        shares[label] = report.paired(each, smallest, "calls_per_second")
    return shares


# ---- the processes of one mesh -----------------------------------------------------------------------------------------
def measured(settings: Settings, size: Size) -> Measured:
    """One round of one mesh."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, ExitStack() as stack:
        folder, port = Path(place), free_port()
        mesh = MESH.format(registry=f"{LOOPBACK}:{port}")
        file = _file(folder, "mesh.toml", mesh)
        holder = stack.enter_context(_program("registry", "serve", "--config", file, folder=folder))
        holder.wait_for_port(port)
        servers = [stack.enter_context(_server(folder, mesh, size.kind)) for _ in range(size.live)]
        if size.down:
            with _crowd(folder, file, size.down, "sized") as lost:
                lost.kill()
        if size.others:
            stack.enter_context(_crowd(folder, file, size.others, "other"))
        plan = Plan(server=servers[0].pid, in_flight=settings.in_flight, seconds=settings.seconds, sequential=50)
        words = ["load", file, msgspec.json.encode(size).decode(), msgspec.json.encode(plan).decode()]
        done = subprocess.run(
            _own(*words), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
        )
        return msgspec.json.decode(done.stdout, type=Measured)


@contextmanager
def _server(folder: Path, mesh: str, kind: str) -> Iterator[Server]:
    port = free_port()
    file = _file(folder, f"{port}.toml", mesh + SERVING.format(port=port, kind=kind))
    with _program("run", file, folder=folder) as server:
        server.wait_for_port(port)
        yield server


@contextmanager
def _crowd(folder: Path, file: str, nodes: int, service: str) -> Iterator[Server]:
    """A process that makes so many nodes known, which nobody can call."""
    told = folder / f"told-{service}"
    with running(_own("crowd", file, str(nodes), service, str(told)), cwd=folder, env=environment()) as crowd:
        crowd.wait(told.exists, within=WITHIN_S)
        yield crowd


def _program(*words: str, folder: Path) -> Any:
    return running([script("vyked-host"), *words], cwd=folder, env=environment())


def _own(*words: str) -> list[str]:
    return [sys.executable, "-m", __name__ if __name__ != "__main__" else "benchmarks.growth", *words]


def _file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


# ---- in processes of their own -----------------------------------------------------------------------------------------
async def _known(file: str, nodes: int, service: str, told: str) -> None:
    """Announce them, say so, and keep them until killed."""
    async with Host(file) as host:
        for number in range(nodes):
            names = [service] if service == "sized" else [f"other-{number}-{each}" for each in range(PER_NODE)]
            instances = tuple(Instance(service=name, version="1.0.0", status="active") for name in names)
            address = Address(transport="tcp", uri=f"tcp://{LOOPBACK}:1")
            node_id = f"{service}-{number}"
            await host.node.registry.announce(
                NodeRecord(node_id=node_id, namespace="bench", addresses=(address,), instances=instances)
            )
        Path(told).touch()  # noqa: ASYNC240 - nothing else runs here
        await asyncio.Event().wait()


async def _load(file: str, size: Size, plan: Plan) -> Measured:
    async with Host(file) as host:
        client = host.client(Narrow if size.kind == "Narrow" else Wide)
        directory = host.node.directory
        async with asyncio.timeout(WITHIN_S):
            while not _complete(directory, size):
                await directory.change()
        with apart(plan.server):  # else both may share one core for a round, by chance; rather so where others run, too
            return await drive([client.row], plan)  # type: ignore[attr-defined]  # a class made at run time


def _complete(directory: Any, size: Size) -> bool:
    down = sum(each == "down" for each in directory.doubts.values())
    return len(directory.known) >= size.live + size.down + size.others and down >= size.down


def main() -> None:
    """`crowd FILE NODES SERVICE TOLD` or `load FILE SIZE PLAN`."""
    half, file, *rest = sys.argv[1:]
    if half == "crowd":
        nodes, service, told = rest
        uvloop.run(_known(file, int(nodes), service, told))
        return
    size, plan = msgspec.json.decode(rest[0], type=Size), msgspec.json.decode(rest[1], type=Plan)
    print(msgspec.json.encode(uvloop.run(_load(file, size, plan))).decode())


if __name__ == "__main__":
    main()
