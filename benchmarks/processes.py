"""Processes to measure: start, wait until they answer, read what they used, end. All figures come from ``/proc``."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where vyked.toml lies and `benchmarks` is importable from."""

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_POLL_S = 0.002


class DidNotStart(Exception):
    """A program that was to be measured ended, or did not answer in time; the text holds what it wrote."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody holds now."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def environment(extra: Mapping[str, str] | None = None, path: Sequence[Path] = ()) -> dict[str, str]:
    """This process's environment with the checkout, and `path` before it, importable."""
    return {**os.environ, **(extra or {}), "PYTHONPATH": os.pathsep.join(str(p) for p in (*path, ROOT))}


def script(name: str) -> str:
    """The console script `name` of the running interpreter's environment."""
    return str(Path(sys.executable).with_name(name))


@contextlib.contextmanager
def running(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """`argv` as a process; it gets SIGTERM in the end, and SIGKILL when that did not help within ten seconds."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield Server(process, lambda: _text(output))
        finally:
            _end(process)


class Server:
    """A process that answers on a port."""

    def __init__(self, process: subprocess.Popen[bytes], said: Callable[[], str]) -> None:
        self._process, self._said, self._started = process, said, time.perf_counter()
        self.pid = process.pid

    def kill(self) -> None:
        """End it at once: it has no time to say good-bye."""
        self._process.kill()
        self._process.wait()

    def wait(self, answers: Callable[[], bool], *, within: float = 30.0) -> float:
        """Seconds from the start until `answers()` was true. Raises DidNotStart."""
        while not answers():
            if self._process.poll() is not None:
                raise DidNotStart(f"ended with {self._process.returncode} before it answered:\n{self._said()}")
            if time.perf_counter() - self._started > within:
                raise DidNotStart(f"did not answer within {within} s:\n{self._said()}")
            time.sleep(_POLL_S)
        return time.perf_counter() - self._started

    def wait_for_port(self, port: int) -> float:
        """Seconds from the start until `port` accepted a connection. Raises DidNotStart."""
        return self.wait(lambda: _accepts(port))


def says_ok(port: int, path: str) -> bool:
    """Does an HTTP server on `port` answer ``GET path`` with 200?"""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as link:
            link.sendall(request)
            return link.makefile("rb").readline().split()[1:2] == [b"200"]
    except OSError:
        return False  # not bound yet, or cut while starting: the caller asks again, and gives up in the end


def cpu_seconds(pid: int) -> float:
    """User and system CPU seconds of all threads of `pid` since its start; steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of `pid` in MiB; ``VmHWM`` is its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(what)


def tune_collector() -> None:
    """As `vyked-host run` does for its own process: for every peer, on both sides, so that none gains by it alone."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@contextlib.contextmanager
def apart(other: int) -> Iterator[None]:
    """This process and `other` each on a core of its own meanwhile, so that the scheduler does not decide a latency."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield
        return
    _pin(os.getpid(), {cores[0]})
    _pin(other, {cores[1]})
    try:
        yield
    finally:
        _pin(os.getpid(), set(cores))
        _pin(other, set(cores))


def _pin(pid: int, cores: set[int]) -> None:
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):  # that thread has just ended
            os.sched_setaffinity(int(thread), cores)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read()[-4000:].decode(errors="replace")
