"""Results in a file: `contracts.ResultStore` over `ResultFile`, with group commit. Everything that is asked for while one
transaction is written goes into the next one, and whoever asked is told after its commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

from ...contracts import Claim, Environment, ResultStore, Standing
from ...errors import Unavailable
from .file import ResultFile, Step
from .options import FileOptions

LEASES = 20
"""What is held is kept for so many leases after its last beat (`contracts.ResultStore`)."""
STEPS = 256
"""Of one transaction: other hosts that share the file need their turn."""


class FileResults(ResultStore):
    """The results of the hosts that share one file."""

    def __init__(self, options: FileOptions, env: Environment) -> None:
        self._path = str(Path(env.folder, options.path))
        self._file = ResultFile(self._path, options.keys)
        self._keep_s, self._held_s = options.keep, LEASES * env.timing.key_lease
        self._clock, self._within_s = env.clock, env.timing.dial
        self._waiting: list[tuple[Step, asyncio.Future[Any]]] = []
        self._thread: ThreadPoolExecutor | None = None
        self._writing: asyncio.Future[list[Any]] | None = None
        self._scheduled = False

    async def open(self) -> str:
        """Raises StartError when the file can't be used."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vyked-results")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._file.open)
        except BaseException:
            await self.aclose()
            raise

    async def claim(self, key: str, claim: Claim, *, deadline: float) -> Standing:
        """One step of the next transaction."""
        step = partial(Step, claim=claim)
        return cast(
            Standing, await self._ask(key, self._held_s, step, min(self._within_s, deadline - self._clock.now()))
        )

    async def renew(self, key: str, token: str) -> bool:
        """One more beat."""
        return cast(bool, await self._ask(key, self._held_s, partial(Step, token=token), self._within_s))

    async def settle(self, key: str, token: str, outcome: bytes | None) -> bool:
        """Keep the outcome, or free the key."""
        step = partial(Step, token=token, settles=True, outcome=outcome)
        return cast(bool, await self._ask(key, self._keep_s, step, self._within_s))

    async def aclose(self) -> None:
        """What waits is written first. Idempotent."""
        while self._thread is not None and (self._waiting or self._writing is not None):
            self._next()
            if self._writing is not None:
                await asyncio.wait({self._writing})
            await asyncio.sleep(0)
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._file.close)
            thread.shutdown(wait=True)

    # ---- group commit ------------------------------------------------------------------------------------------------
    async def _ask(self, key: str, keep_s: float, step: Callable[..., Step], within_s: float) -> Any:
        if self._thread is None:
            raise Unavailable(f"{self._path} is closed", executed="not_executed")
        loop, now = asyncio.get_running_loop(), self._clock.unix()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((step(key, now, now + keep_s), answer))
        if self._writing is None and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._next)
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                return await answer
        except TimeoutError:
            raise Unavailable(f"{self._path} was not written within {within_s:.3g} s", executed="unknown") from None

    def _next(self) -> None:
        """Begin with what waits by now; what nobody waits for any more is left out."""
        self._scheduled = False
        if self._writing is not None or self._thread is None:
            return
        asked = [each for each in self._waiting if not each[1].done()]
        taken, self._waiting = asked[:STEPS], asked[STEPS:]
        if not taken:
            return
        steps = [step for step, _ in taken]
        self._writing = asyncio.get_running_loop().run_in_executor(self._thread, self._file.take, steps)
        self._writing.add_done_callback(partial(self._written, [answer for _, answer in taken]))

    def _written(self, waiting: list[asyncio.Future[Any]], writing: asyncio.Future[list[Any]]) -> None:
        self._writing = None
        error = None if writing.cancelled() else writing.exception()
        if error is not None and isinstance(error, sqlite3.Error | OSError):
            error = Unavailable(f"{self._path} can't be written: {error}", executed="not_executed")
        for answer, found in zip(
            waiting, [None] * len(waiting) if error or writing.cancelled() else writing.result(), strict=True
        ):
            if answer.done():
                continue
            if error is not None:
                answer.set_exception(error)
            elif writing.cancelled():
                answer.cancel()
            else:
                answer.set_result(found)
        self._next()
