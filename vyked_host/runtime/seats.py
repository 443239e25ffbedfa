"""Tasks for the first steps of calls inside this process, one call after the other (:mod:`ahead`), with what the handlers of those calls
may know put together once for all of them.

What is set as the context of a call is one object for as long as nobody keeps it: neither itself, nor the variables of the task, which
all copies of a context share until one of them sets another. Whoever does has it for himself, and the next call gets a seat that is new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from gc import get_referents
from sys import getrefcount
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import getweakrefcount

from ..service.context import enter_context
from .ahead import Ahead, Spare
from .first_step import FirstStep, NearCall, first_steps

if TYPE_CHECKING:
    from .nearby import Nearby


def _references() -> int:
    """What is counted of an object that a seat leads to, and its task, and nobody else."""
    holder = SimpleNamespace(held=object())
    _task = [holder.held]
    return getrefcount(holder.held)


UNKEPT = _references()
_DESCRIBED: Any = None
"""Which endpoint it is, `nearby` says."""


class Seat(Spare):
    """One of them. Of the call that has it: `values`, what its handler is called with; `began`, in seconds of the host's monotonic
    clock; `limits`: deadline and metadata of one that another handler made; `result`, of one that was answered in its first step; `beyond`:
    what it is since it suspended, failed, or was put off. `about`: all this as its handler sees it."""

    __slots__ = (
        "about", "began", "beyond", "clean", "limits", "nearby", "result", "run", "send", "values", "variables",
    )  # fmt: skip

    def __init__(self, of: Seats, loop: asyncio.AbstractEventLoop) -> None:
        self.about = FirstStep(None, _DESCRIBED, of.now, seat=self)
        self.nearby: Nearby
        self.values: Any = None
        self.began = 0.0
        self.limits: tuple[float, bytes | None] | None = None
        self.result: Any = None
        self.beyond: NearCall | None = None
        super().__init__(of, loop)
        self.run, self.send = self.context.run, self.rest.body.send
        self.run(enter_context, self.about)
        (self.variables,) = get_referents(self.context)
        self.references = self.clean = getrefcount(self.task)

    # ---- the call that has it ----------------------------------------------------------------------------------------
    @property
    def arguments(self) -> Any:
        """As middlewares, and those who log, see them."""
        return self.nearby.arguments(*self.values)

    @property
    def deadline(self) -> float:
        """When its caller gives up, in the same seconds."""
        return self.began + self.nearby.timeout if self.limits is None else self.limits[0]

    @property
    def packed(self) -> bytes | None:
        """Its metadata."""
        return None if self.limits is None else self.limits[1]

    def goes_on(self) -> NearCall:
        """From now on it is a call as any other."""
        if self.beyond is None:
            self.beyond = self.nearby.beyond(self)
        return self.beyond

    def failed(self, error: BaseException) -> bool:
        """The handler raised `error`. True: it goes on from here (`Invocation.ended_by`)."""
        beyond = self.goes_on()
        if beyond.route.watch is not None:
            beyond.failed(error, self.nearby.now() - self.began)
        return beyond.ended_by(error)

    def delivered(self, result: Any, deliver: Callable[[Any], Any]) -> Any:
        """The result as this side expects it. Where it is of another type its caller hears so as of any other call, in which what
        waits for it looks at it."""
        try:
            return deliver(result) if self.beyond is None else result
        except (ValueError, TypeError):
            self.goes_on()
            return result

    def suspended(self, awaited: Any) -> None:
        """The handler waits for `awaited`: the task is its own."""
        self.rest.keep(awaited)
        self.goes_on().started(self.task)

    # ---- between two calls -------------------------------------------------------------------------------------------
    def is_asked(self) -> None:
        """Something is put together in `about`."""
        self.references = -1

    def spoil(self) -> None:
        """Something was done to the task."""
        self.references = self.clean = -1

    def is_restored(self) -> bool:
        """Was something done in it that leaves no trace, once that is wiped? Once: what is left then was kept by somebody."""
        (variables,) = get_referents(self.context)
        is_other = variables is not self.variables and len(self.context) == 1  # some were set, and taken back
        if is_other:
            self.variables = variables
        rest = self.rest
        if rest.is_kept or rest.error is not None or getrefcount(self.about) != UNKEPT:
            return False
        if self.references == self.clean:
            return is_other
        about = self.about
        about.made = about.headers = about.trace = about.packed_trace = None
        self.references, self.beyond = self.clean, None
        return True

    def retire(self) -> None:
        """Nobody else gets it: what leads from here to its task leads back by its context, a ring."""
        del self.about, self.context, self.rest, self.run, self.send, self.step, self.task, self.variables


class Seats(Ahead[Any]):
    """Of one loop; so many at most are taken within each other. `now`: the host's monotonic clock, in seconds."""

    __slots__ = ("now",)
    spares: list[Seat]  # type: ignore[assignment]  # of nothing else

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], most: int) -> None:
        super().__init__(loop, first_steps, most)
        self.now = now

    def fresh(self) -> Seat:
        """One that nobody has had."""
        return Seat(self, self.loop)

    def vacated(self, seat: Seat) -> None:
        """A call has ended in it, or goes on in its task: another one has it, unless this one left anything there."""
        if (
            getrefcount(seat.task) == seat.references
            and getweakrefcount(seat.task) == seat.weak
            and getrefcount(seat.about) == UNKEPT
            and getrefcount(seat.variables) == UNKEPT
        ):
            seat.values = seat.result = None
            self.spares.append(seat)
        elif seat.is_restored():
            self.vacated(seat)
        else:
            seat.retire()
            self.left += 1
