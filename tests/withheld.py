"""The time for which the machine kept its processors from the processes of a test: none of their bounds is about that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from tests.stalls import watch


def withheld(pids: Callable[[], Iterable[int]] = tuple) -> Callable[[], float]:
    """Seconds, from now until the answer is called, for which this thread and the processes `pids` were ready and did not run, and
    for which the machine had nothing to run them on, as the kernel or a process that does nothing else says. On an idle machine
    that is nothing."""
    began, stolen, stalled = _so_far(pids()), _stolen(), watch().so_far().seconds

    def since() -> float:
        waited = sum(max(0.0, now - began.get(key, 0.0)) for key, now in _so_far(pids()).items())
        return waited + max(0.0, _stolen() - stolen, watch().so_far().seconds - stalled)

    return since


def _so_far(pids: Iterable[int]) -> dict[int, float]:
    return {0: _waited("thread-self")} | {pid: _waited(str(pid)) for pid in pids}


def _waited(whose: str) -> float:
    """Seconds that it was ready to run and did not (the kernel's documentation, sched-stats)."""
    try:
        with open(f"/proc/{whose}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:
        return 0.0


def _stolen() -> float:
    """Seconds for which a machine below this one kept its processors from it (proc(5): /proc/stat, steal)."""
    try:
        with open("/proc/stat") as file:
            return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0
