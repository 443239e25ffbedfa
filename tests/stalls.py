"""Stalls of the machine: times in which nothing of it ran, as on a virtual machine whose processors were taken away. The kernel
doesn't always know of them, so a process that does nothing but sleep tells when it came late."""

from __future__ import annotations

import atexit
import os
import struct
import subprocess
import sys
import tempfile
import time
from functools import cache
from typing import NamedTuple

TICK_S = 0.02
LEAST_S = 0.1
"""Whoever only waits for a processor that another process has comes late too, but less."""
_FORMAT = struct.Struct("ddd")

# a process of its own: what holds up the loop of a test, or all threads of its process, is no stall of the machine
_PROGRAM = f"""
import os, select, struct, time
file, seconds, ended, beat = 1, 0.0, 0.0, time.monotonic()
os.pwrite(file, struct.pack("ddd", seconds, ended, beat), 0)
while not select.select([0], [], [], {TICK_S})[0]:
    now = time.monotonic()
    if now - beat > {TICK_S + LEAST_S}:
        seconds, ended = seconds + now - beat - {TICK_S}, now
    beat = now
    os.pwrite(file, struct.pack("ddd", seconds, ended, beat), 0)
"""


class Stalled(NamedTuple):
    """So long altogether, in seconds, and the monotonic time at which the last stall ended (0: there was none)."""

    seconds: float
    ended: float


class Watch:
    """Looks from when it is made until it is closed, or its process ends."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until close()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=self._file
        )
        until = time.monotonic() + 30.0
        while len(self._read()) < _FORMAT.size:
            assert self.process.poll() is None, "the process that looks for stalls ended"
            assert time.monotonic() < until, "the process that looks for stalls did not start"
            time.sleep(0.005)

    def so_far(self) -> Stalled:
        """Until now: one that has just ended is counted, though the other process may not have run again yet."""
        seconds, ended, beat = _FORMAT.unpack(self._read())
        now = time.monotonic()
        late = now - beat - TICK_S
        return Stalled(seconds + late, now) if late > LEAST_S else Stalled(seconds, ended)

    def close(self) -> None:
        """The end of looking."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self._file.close()

    def _read(self) -> bytes:
        return os.pread(self._file.fileno(), _FORMAT.size, 0)


@cache
def watch() -> Watch:
    """The one of this process, which looks until its end."""
    made = Watch()
    atexit.register(made.close)
    return made
