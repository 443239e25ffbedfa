"""What a middleware that is told how calls end (`contracts.WatchesCalls`) is asked: a host that tells it, and what it says."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ...contracts import CallWatch, Clock, Environment

_BESIDE_THE_POINT = frozenset(
    {"args", "created", "exc_info", "exc_text", "filename", "funcName", "lineno", "module", "msecs", "msg", "name", "pathname",
     "process", "processName", "relativeCreated", "stack_info", "taskName", "thread", "threadName"}
)  # fmt: skip
"""Where and when a line was written: not what it says."""


class HandClock:
    """A clock whose `now` stands still until it is put forward: how long a call takes is said, not waited for."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._now = clock, 1024.0

    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    def unix(self) -> float:
        """Seconds since 1970."""
        return self._clock.unix()

    def at(self, when: float, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` at `when`, of the clock that goes by itself."""
        return self._clock.at(when, act)

    def expire(self, when: float, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` at `when`, of the clock that goes by itself."""
        return self._clock.expire(when, end)

    def forward(self, seconds: float) -> float:
        """Put it forward; the seconds that a subtraction finds afterwards."""
        before, self._now = self._now, self._now + seconds
        return self._now - before


class Lines(logging.Handler):
    """What was written to a logger: text and fields of each line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        fields = {name: value for name, value in vars(record).items() if name not in _BESIDE_THE_POINT}
        self.lines.append({**fields, "message": record.getMessage(), "error": record.exc_info and record.exc_info[1]})


@contextmanager
def lines_of(log: logging.Logger) -> Iterator[Lines]:
    """Whatever is written to `log` meanwhile, of any level, and nowhere else."""
    lines, level, propagate = Lines(), log.level, log.propagate
    log.addHandler(lines)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield lines
    finally:
        log.removeHandler(lines)
        log.setLevel(level)
        log.propagate = propagate


def by_hand(env: Environment) -> tuple[Environment, HandClock]:
    """`env` with a clock that is put forward by hand."""
    clock = HandClock(env.clock)
    return msgspec.structs.replace(env, clock=clock), clock


class Ends:
    """A handler that takes so long, and ends so."""

    def __init__(self, clock: HandClock, length_s: float, error: BaseException | None) -> None:
        self._clock, self._length_s, self._error = clock, length_s, error

    async def __call__(self, _arguments: Any) -> int:
        self._clock.forward(self._length_s)
        if self._error is not None:
            raise self._error
        return 2


def tell(watch: CallWatch | None, arguments: Any, elapsed_s: float, error: BaseException | None) -> None:
    """What a host does when a call has ended: the failed ones are told, and of the others those that took long enough."""
    if watch is None or (error is None and elapsed_s < watch.slow_s):
        return
    heard = watch.ended
    assert not inspect.iscoroutinefunction(heard), "nobody awaits `ended`: it has to be a plain function"
    heard(arguments, elapsed_s, error)


def lengths(watch: CallWatch | None) -> tuple[float, ...]:
    """How long calls have to take, so that there are quick and slow ones for `watch`: numbers that add up without rounding."""
    slow_s = watch.slow_s if watch is not None else 0.0
    assert slow_s >= 0, f"slow_s is {slow_s}: seconds, 0 for all calls and infinity for none"
    return (0.0, float(math.ceil(slow_s * 2 + 1)), 3600.0) if math.isfinite(slow_s) else (0.0, 3600.0)
