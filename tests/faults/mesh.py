"""A mesh of the suite's own: a project in a folder, `vyked-host run` processes of it, hosts inside the test that join it.

Every mesh has a name and an address of its own, so that scenarios may run beside one another. Whatever happens in a test, all
that it started is killed at its end.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.withheld import withheld
from vyked_host.assembly import Host
from vyked_host.assembly.prepare import prepare
from vyked_host.builtin.embedded.desk import RegistryDesk
from vyked_host.testing.waiting import eventually

from . import fleet
from .history import Execution, Handling
from .proxy import Proxy

PROGRAM = str(Path(sys.executable).with_name("vyked-host"))
ROOT = Path(__file__).parents[2]
START_S = 30.0

# ---- times: those of docs/configuration.md, scaled so that a heartbeat takes 0.2 s ------------------------------------
SCALE = 0.04
H = 5.0 * SCALE
T = 15.0 * SCALE
S = 2.5 * SCALE
GONE = 5.0 * SCALE
PING, PONG = 10.0 * SCALE, 5.0 * SCALE
EJECTION = 30.0 * SCALE
SLACK = 0.25
"""What a busy machine of two cores may add (RELIABILITY notes, B)."""
TIMING = f"[timing]\nscale = {SCALE}\nsweep = 2.5\nhello = 125\ndial = 25\nstart = 500\nstop = 250\nheaders = 125\nbody = 250\nwrite = 250\n"
"""Times that depend on the machine rather than on the scenario (a start, a connection) stay nearer to their real values; so does
the sweep, since a registry that comes late to two sweeps takes itself for the one that is held up."""

SLOWER = 2
TWICE = TIMING.replace(f"scale = {SCALE}", f"scale = {SLOWER * SCALE}")
"""Each time is twice as long: for scenarios in which twenty hosts of one process do the same at once, for all of which there is one T."""
UNSCALED = "[timing]\nscale = 1.0\n"
"""For scenarios that are about load: a process that has too much to do answers no ping within 0.2 s."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Timeline:
    """What the scenario did and saw, printed at its end: pytest shows it where the test failed."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed, self._began = name, seed, time.monotonic()
        self.random = random.Random(seed)
        self._lines: list[str] = []

    def note(self, text: str, **figures: object) -> float:
        """One line; gives the time."""
        now = time.monotonic()
        more = "".join(f"  {name} {_figure(value)}" for name, value in figures.items())
        self._lines.append(f"{now - self._began:8.3f}  {text}{more}")
        return now

    def show(self) -> None:
        """Print it all."""
        print(f"\n== {self.name}  seed {self.seed}")
        for line in self._lines:
            print(line)


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


class Process:
    """One `vyked-host run`."""

    def __init__(self, name: str, words: Sequence[str], folder: Path, environ: dict[str, str]) -> None:
        self.name, self.lines = name, list[str]()
        self._process = subprocess.Popen(
            words, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=_die_with_parent,
        )  # fmt: skip
        self._stopped = False
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line.rstrip("\n"))

    # ---- what it says ----------------------------------------------------------------------------------------------
    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> list[dict[str, Any]]:
        """The lines of its log as objects; what is none (a traceback) is left out."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def has_said(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    @property
    def is_ready(self) -> bool:
        return self.has_said('"message": "ready in')

    async def ready(self) -> Process:
        """Wait until it serves."""
        with suppress(AssertionError):  # what it said meanwhile says more
            await eventually(lambda: self.is_ready or not self.is_alive, START_S)
        assert self.is_ready, f"{self.name} did not start ({self._process.returncode}):\n{self.log}"
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """What it said when it was ready: node, mesh, addresses."""
        return next(each for each in self.said if str(each.get("message", "")).startswith("ready in"))

    @property
    def node_id(self) -> str:
        return str(self.facts["node"])

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    # ---- what is done to it ----------------------------------------------------------------------------------------
    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code; None while it lives."""
        return self._process.poll()

    def kill(self) -> float:
        """SIGKILL; gives the time."""
        self._process.kill()
        return time.monotonic()

    def terminate(self) -> float:
        """SIGTERM: it drains."""
        self._process.send_signal(signal.SIGTERM)
        return time.monotonic()

    def freeze(self) -> float:
        """SIGSTOP: it hangs, its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)
        self._stopped = True
        return time.monotonic()

    def thaw(self) -> float:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)
        self._stopped = False
        return time.monotonic()

    async def ended(self, within: float = 40.0) -> int:
        """Wait for its end: the exit code."""
        await eventually(lambda: not self.is_alive, within)
        return self._process.returncode

    def wake(self) -> None:
        """Thaw it where it was left frozen."""
        if self._stopped and self.is_alive:
            self.thaw()

    def dispose(self) -> None:
        """The end of the test."""
        if self.is_alive:
            self._process.kill()
        self._process.wait()
        self._reader.join(5.0)
        if self._process.stderr is not None:
            self._process.stderr.close()


class Mesh:
    """A project and all that runs of it."""

    def __init__(
        self, folder: Path, timeline: Timeline, *, text: str = "", name: str | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.folder, self.timeline = folder, timeline
        self.name = name or f"faults-{secrets.token_hex(4)}"
        self.port = free_port()
        self.address = f"{host}:{self.port}"
        self.journals = folder / "journals"
        self.journals.mkdir(parents=True)
        shutil.copy(fleet.__file__, folder / "fleet.py")
        self.file = folder / "vyked.toml"
        self.file.write_text(self.text(text))
        self.processes: list[Process] = []
        self.environ: dict[str, str] = {}
        self._read: dict[Path, int] = {}
        self._lines: dict[str, list[dict[str, Any]]] = {}
        self._stack = AsyncExitStack()

    def text(self, more: str = "") -> str:
        """The file. `more` may add tables, but not give one again."""
        tables = [
            f'[host]\nmesh = "{self.name}"\ndrain_timeout = 10',
            f'[registry.embedded]\naddress = "{self.address}"',
            "[transports.tcp]\nport = 0",
            TIMING,
        ]
        return "\n".join([*(each for each in tables if each.partition("\n")[0] not in more), more, ""])

    @staticmethod
    def free_port() -> int:
        """Another one, for whoever has to come back at the same place."""
        return free_port()

    # ---- processes -------------------------------------------------------------------------------------------------
    def spawn(
        self, name: str, *services: str, sets: Iterable[str] = (), options: str = "", prefix: Sequence[str] = ()
    ) -> Process:
        """Start a process that serves these classes of the fleet. `prefix`: a command that starts it, in a namespace for one."""
        words = [f"host.name={name}", *sets]
        for each in services:
            words += [f"services.{each}.use=fleet:{each.capitalize()}", *self._options(each, name, options)]
        return self.run(name, *words, prefix=prefix)

    def _options(self, service: str, node: str, more: str) -> list[str]:
        values = [f"log={self.journals}", f"node={node}", *more.split()]
        return [f"services.{service}.options.{each}" for each in values]

    def run(self, name: str, *sets: str, file: Path | None = None, prefix: Sequence[str] = ()) -> Process:
        """Start a process with these settings."""
        words = [str(file or self.file), *(word for each in sets for word in ("--set", each))]
        return self._launch(name, [*prefix, PROGRAM, "run", *words])

    async def script(self, name: str, module: str, *words: str) -> Process:
        """Run a module of the suite beside the mesh, and wait until it says that it is ready."""
        return await self._launch(name, [sys.executable, "-m", module, *words], PYTHONPATH=str(ROOT)).ready()

    def _launch(self, name: str, words: Sequence[str], **environ: str) -> Process:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("VYKED_", "_VYKED"))}
        process = Process(name, words, self.folder, kept | {"PYTHONUNBUFFERED": "1"} | self.environ | environ)
        self.processes.append(process)
        self.timeline.note(f"start {name}")
        return process

    async def start(
        self, name: str, *services: str, sets: Iterable[str] = (), options: str = "", prefix: Sequence[str] = ()
    ) -> Process:
        """Start one and wait until it serves."""
        return await self.spawn(name, *services, sets=sets, options=options, prefix=prefix).ready()

    def slack(self) -> Callable[[], float]:
        """What may be added to a limit, in seconds, from now until the answer is called: the fixed slack, and what the machine
        withheld from this process and those of the mesh."""
        more = withheld(lambda: [each.pid for each in self.processes if each.is_alive])
        return lambda: SLACK + more()

    # ---- hosts in this process -------------------------------------------------------------------------------------
    async def driver(self, *sets: str) -> Host:
        """A host that serves nothing: it calls, publishes and watches. It never holds the hub."""
        ready = prepare(str(self.file), overrides=list(sets), environ={})
        return await self.enter(Host.joining(ready))

    async def host(self, name: str, *services: type[Any], sets: Iterable[str] = (), address: str | None = None) -> Host:
        """A host of this process that serves these classes, at the mesh's address or through a proxy's."""
        return await self.enter(self.member(name, *services, sets=sets, address=address))

    async def hosts(
        self, count: int, *services: type[Any], address: str | None = None, prefix: str = "w"
    ) -> list[Host]:
        """Several, one after the other."""
        return [await self.host(f"{prefix}{each + 1}", *services, address=address) for each in range(count)]

    async def proxy(self, target: str | None = None, *, raw: bool = False) -> Proxy:
        """A proxy in front of the hub, or of somebody else."""
        proxy = await Proxy(target or self.address, seed=self.timeline.seed, raw=raw).start()
        self.defer(proxy.aclose)
        return proxy

    def member(self, name: str, *services: type[Any], sets: Iterable[str] = (), address: str | None = None) -> Host:
        """Such a host, not yet started."""
        where = at(address) if address else []
        options = {"log": str(self.journals), "node": name}
        return Host(
            *services, text=self.file.read_text(), overrides=[f"host.name={name}", *where, *sets], environ={},
            options={each.__name__.lower(): options for each in services if issubclass(each, fleet.Logged)},
        )  # fmt: skip

    async def enter(self, host: Host) -> Host:
        """Start a host; it is stopped with the mesh."""
        started = await host.start()
        self._stack.push_async_callback(_stopped, started)
        return started

    def defer(self, ending: Callable[[], Any]) -> None:
        """Await `ending()` at the end, before what was entered earlier."""
        self._stack.push_async_callback(ending)

    async def aclose(self) -> None:
        """Stop the hosts of this process while they still have somebody to say goodbye to, then kill the others."""
        for process in self.processes:
            process.wake()
        try:
            async with asyncio.timeout(20.0):
                await self._stack.aclose()
        finally:
            for process in self.processes:
                process.dispose()
            self.timeline.show()

    # ---- what was written ------------------------------------------------------------------------------------------
    def lines(self, *kinds: str) -> list[dict[str, Any]]:
        """All lines of these kinds that handlers wrote, in order of time. A line that a kill cut in two can't be: each is one
        write."""
        for path in self.journals.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                whole = file.read().rpartition(b"\n")[0]
            self._read[path] = self._read.get(path, 0) + len(whole) + bool(whole)
            for line in whole.splitlines():
                found = json.loads(line)
                self._lines.setdefault(found["kind"], []).append(found)
        return sorted((each for kind in kinds for each in self._lines.get(kind, ())), key=lambda each: each["at"])

    def executions(self) -> list[Execution]:
        """Handlers of calls that began."""
        return [Execution(each["id"], each["node"], each["at"]) for each in self.lines("ran")]

    def handlings(self) -> list[Handling]:
        """Deliveries to @xsubscribe handlers."""
        ended = {each["token"]: each["at"] for each in self.lines("handled")}
        return [
            Handling(each["id"], each["group"], each["node"], each["count"], each["at"], ended.get(each["token"]))
            for each in self.lines("handling")
        ]


def at(address: str) -> list[str]:
    """Settings of a host that meets the others by way of a proxy."""
    return [f"registry.embedded.address={address}"]


async def _stopped(host: Host) -> None:
    await host.stop()


def knows(host: Host, service: str) -> set[str]:
    """Node ids at which a host of this process knows an active instance."""
    return {
        node_id for node_id, record in host.node.directory.nodes.items()
        if any(each.service == service and each.status == "active" for each in record.instances)
    }  # fmt: skip


def hub_of(host: Host) -> Any:
    """The hub of a host of this process."""
    return next(iter(host.node.hubs._hubs.values()))  # type: ignore[attr-defined]


async def registry_at(host: Host) -> Any:
    """The registry's desk, where a host of this process holds the hub; else a client of it."""
    return (await hub_of(host).term()).desk(RegistryDesk)


async def meets(host: Host, service: str, count: int, within: float = 10.0) -> None:
    """Wait until `host` knows so many active instances of `service`."""
    await eventually(lambda: len(knows(host, service)) == count, within)
