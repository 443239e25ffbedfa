"""Starting: `vyked-host --help` against importing click, and the demo until it is ready; each also with 200 installed
plugins that nothing names, none of which may be imported.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from . import fake_plugins, report
from .processes import ROOT, cpu_seconds, environment, free_port, memory_mib, running, says_ok, script

HELP = "vyked-host --help"
CLICK = "import click"
COMMANDS = {
    "nothing": [sys.executable, "-c", "pass"],
    CLICK: [sys.executable, "-c", "import click"],
    HELP: [script("vyked-host"), "--help"],
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `rounds` of everything, and how many plugins to pretend."""

    rounds: int = 15
    plugins: int = 200


class Ended(msgspec.Struct, kw_only=True):
    """A command that ran to its end: elapsed and CPU milliseconds."""

    elapsed_ms: float
    cpu_ms: float


class Ready(msgspec.Struct, kw_only=True):
    """A host that came up: milliseconds until ``/-/ready`` said so, CPU milliseconds (steps of 10) and MiB by then."""

    ready_ms: float
    cpu_ms: float
    resident_mib: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return every round. Raises RuntimeError when a plugin that nothing names was imported."""
    ended: dict[str, list[Ended]] = {}
    ready: dict[str, list[Ready]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        plugins = Path(place)
        fake_plugins.install(plugins, settings.plugins)
        for _ in range(settings.rounds):
            for label, argv, path in _commands(settings, plugins):
                ended.setdefault(label, []).append(command(argv, path))
            ready.setdefault("demo", []).append(demo())
            ready.setdefault(f"demo, {settings.plugins} plugins", []).append(demo([plugins]))
        if traces := fake_plugins.imported(plugins):
            raise RuntimeError(f"plugins that nothing names were imported: {', '.join(traces)}")
    found = report.Report("startup", msgspec.to_builtins(settings), {"commands": ended, "demo": ready})
    _show(found, ended, ready)
    return found


def command(argv: Sequence[str], path: Sequence[Path] = ()) -> Ended:
    """Run `argv` to its end, with `path` on PYTHONPATH. Raises RuntimeError when it fails."""
    start = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1)]
    child = os.posix_spawn(argv[0], list(argv), environment(path=path), file_actions=quiet)
    _, status, used = os.wait4(child, 0)
    elapsed = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{' '.join(argv)} failed with {os.waitstatus_to_exitcode(status)}")
    return Ended(elapsed_ms=elapsed * 1e3, cpu_ms=(used.ru_utime + used.ru_stime) * 1e3)


def demo(path: Sequence[Path] = ()) -> Ready:
    """Start the demo on ports of its own until it is ready. Raises processes.DidNotStart."""
    http = free_port()
    values = {
        "transports.http.port": http,
        "transports.tcp.port": free_port(),
    }
    settings = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    argv = [script("vyked-host"), "run", str(ROOT / "vyked.toml"), *settings]
    with _empty_folder() as folder, running(argv, cwd=folder, env=environment(path=path)) as host:
        seconds = host.wait(lambda: says_ok(http, "/-/ready"))
        return Ready(ready_ms=seconds * 1e3, cpu_ms=cpu_seconds(host.pid) * 1e3, resident_mib=memory_mib(host.pid))


@contextlib.contextmanager
def _empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        yield Path(place)


def _commands(settings: Settings, plugins: Path) -> Iterator[tuple[str, list[str], list[Path]]]:
    for label, argv in COMMANDS.items():
        yield label, argv, []
    yield f"{HELP}, {settings.plugins} plugins", COMMANDS[HELP], [plugins]


def _show(found: report.Report, ended: dict[str, list[Ended]], ready: dict[str, list[Ready]]) -> None:
    print(found.heading())
    print(report.table(("command", "ms", "x click", "CPU ms", "x click"), _of_commands(ended)))
    print()
    print(report.table(("host", "ready ms", "CPU ms", "MiB"), _of_hosts(ready)))
    print("plugins imported without being named: none")


def _of_commands(ended: dict[str, list[Ended]]) -> Iterator[Sequence[str]]:
    medians = {label: report.median(rounds) for label, rounds in ended.items()}
    click = medians[CLICK]
    for label, one in medians.items():
        elapsed, cpu = one.elapsed_ms / click.elapsed_ms, one.cpu_ms / click.cpu_ms
        yield label, f"{one.elapsed_ms:.0f}", f"{elapsed:.2f}", f"{one.cpu_ms:.0f}", f"{cpu:.2f}"


def _of_hosts(ready: dict[str, list[Ready]]) -> Iterator[Sequence[str]]:
    for label, rounds in ready.items():
        one = report.median(rounds)
        yield label, f"{one.ready_ms:.0f}", f"{one.cpu_ms:.0f}", f"{one.resident_mib:.1f}"
