"""A time limit for code of plugins.

A plain function that hangs can't be stopped from outside in Python. So a hook runs in a daemon thread of its own while
the caller waits: when the time is over the caller goes on with an error, and the thread, which nobody waits for, does
not keep the process alive. One hook runs at a time and the caller does nothing meanwhile, so a plugin needs no locks.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class OutOfTime(Exception):
    """The time limit was over; not a TimeoutError, which the work itself may raise."""


class _Outcome(Generic[T]):
    """What the work came to, in one slot."""

    def __init__(self) -> None:
        self._slot: SimpleQueue[tuple[bool, T | BaseException]] = SimpleQueue()

    def settle(self, work: Callable[[], T]) -> None:
        try:
            self._slot.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            self._slot.put((False, error))

    def wait(self, limit_s: float) -> T:
        well, value = self._slot.get(timeout=limit_s)
        if not well:
            raise value  # type: ignore[misc]  # False comes with an exception
        return value  # type: ignore[return-value]  # True comes with a T


def within(limit_s: float, work: Callable[[], T], name: str) -> T:
    """The result of `work`, run in a thread called `name`. Raises what it raises, and OutOfTime after `limit_s`."""
    outcome: _Outcome[T] = _Outcome()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(outcome.settle, work), name=name, daemon=True).start()
    try:
        return outcome.wait(limit_s)
    except Empty:
        raise OutOfTime(f"not done after {limit_s:g} s") from None


@contextmanager
def noticed(limit_s: float, log: logging.Logger, what: str) -> Iterator[None]:
    """Say in the log that `what` takes longer than `limit_s`. For imports: they stay in this thread, since modules may
    care which thread imports them, so they can only be named, not given up."""
    timer = threading.Timer(limit_s, log.error, (f"{what} takes more than {limit_s:g} s",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
