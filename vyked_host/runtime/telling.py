"""What a bus is being told of deliveries, after their handlers have ended: a part of the host's work for which no task waits."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from ..contracts import Settlement
from ..model.message import Verdict
from .tasks import TaskScope


class Telling:
    """Of one handler, which is at `path`. A drain waits for it in `tasks`, under `name`."""

    __slots__ = ("_kept", "_last", "_log", "_name", "_path", "_tasks")

    def __init__(self, tasks: TaskScope, name: str, path: str, log: logging.Logger) -> None:
        self._tasks, self._name, self._path, self._log = tasks, name, path, log
        self._last: Settlement | None = None
        self._kept: asyncio.Future[None] | None = None

    def follow(self, settlement: Settlement, event_id: str, verdict: Verdict) -> None:
        """It is to be told, or has been. A bus confirms in order: a drain waits for one that is open, then for the last of those that came
        meanwhile."""
        settlement.failed = partial(self.failed, event_id, verdict)
        if settlement.error is not None:
            self.failed(event_id, verdict, settlement.error)
        self._last = settlement
        if self._kept is None:
            self._await_last()

    def _await_last(self) -> None:
        last, self._last = self._last, None
        if last is not None and not last.is_over:
            self._kept = last.future()
            self._tasks.keep(self._kept, self._name)
            self._kept.add_done_callback(self._passed)

    def _passed(self, kept: asyncio.Future[None]) -> None:
        self._tasks.let_go(kept)
        self._kept = None
        self._await_last()

    def keep(self, told: asyncio.Future[None], event_id: str, verdict: Verdict) -> None:
        """The same of a bus that gives a future for each."""
        self._tasks.keep(told, self._name)
        told.add_done_callback(partial(self._is_told, event_id, verdict))

    def _is_told(self, event_id: str, verdict: Verdict, told: asyncio.Future[None]) -> None:
        self._tasks.let_go(told)
        error = None if told.cancelled() else told.exception()
        if error is not None:
            self.failed(event_id, verdict, error)

    def failed(self, event_id: str, verdict: Verdict, error: BaseException) -> None:
        """The bus brings it again, perhaps."""
        self._log.error(
            "%s: the bus could not be told %s of event %s, which may come again: %r", self._path, verdict.action, event_id, error
        )  # fmt: skip
