"""The first step of a call inside this process, in which most are answered: within that of its caller, and by a task that takes one after
the other (:mod:`ahead`). A handler that suspends, or fails, goes on as every other call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import CoroutineType, coroutine
from typing import TYPE_CHECKING, Any

from ..model.message import Call
from ..service.context import Context, enter_context
from .ahead import Rest
from .invocation import Invocation
from .turns import ENDED

if TYPE_CHECKING:
    from .answers import Answer
    from .nearby import Nearby

PENDING: Any = object()
"""The result of a call that has none."""


class FirstStep(Context, eq=False, kw_only=True):
    """Such a call, which is its own context. `values`: what its handler is called with; `packed`: its metadata; `result`: of one that ended
    within it; `beyond`: what it is since it suspended, failed, or was put off."""

    nearby: Nearby
    values: tuple[Any, ...]
    began: float
    deadline: float
    packed: bytes | None
    result: Any = PENDING
    beyond: NearCall | None = None

    @property
    def arguments(self) -> Any:
        """As middlewares, and those who log, see them."""
        return self.nearby.arguments(*self.values)

    def make(self) -> Call:
        """The call as others are."""
        return self.nearby.call_of(self)

    def goes_on(self) -> NearCall:
        """From now on it is a call as any other."""
        if self.beyond is None:
            self.beyond = self.nearby.beyond(self)
        return self.beyond

    def started(self, task: asyncio.Task[None]) -> None:
        """It suspended."""
        self.goes_on().started(task)

    def failed(self, error: BaseException) -> bool:
        """The handler raised `error`. True: it goes on from here (`Invocation.ended_by`)."""
        beyond = self.goes_on()
        if beyond.route.watch is not None:
            beyond.failed(error, self.now() - self.began)
        return beyond.ended_by(error)

    def delivered(self, result: Any, deliver: Callable[[Any], Any]) -> Any:
        """The result as this side expects it. Where it is of another type its caller hears so as of any other call, in which what
        waits for it looks at it."""
        try:
            return deliver(result) if self.beyond is None else result
        except (ValueError, TypeError):
            self.goes_on()
            return result


class NearCall(Invocation, eq=False, kw_only=True):
    """What a :class:`FirstStep` goes on as. `answer`: what waits for its outcome."""

    answer: Answer


@coroutine
def first_steps(rest: Rest) -> Generator[Any, Any, None]:
    """The body of a task that takes them."""
    while not rest.is_kept:
        step: Any = yield ENDED  # a FirstStep
        enter_context(step)
        try:
            nearby = step.nearby
            route = nearby.route
            result: Any = nearby.begin(*step.values)
            if result.__class__ is not CoroutineType:
                result = result.__await__()
            result = yield from result
            if result.__class__ is not route.result_class:
                result = route.checked(result)
            elapsed_s = step.now() - step.began
            if elapsed_s >= route.told_s:
                route.tell(step.arguments, elapsed_s)
            if nearby.deliver is not None:
                result = step.delivered(result, nearby.deliver)
        except BaseException as error:
            if step.failed(error):
                raise
        else:
            if step.beyond is None:
                step.result = result
                nearby.seconds.append(elapsed_s)
            else:
                step.beyond.answered(result)
        finally:
            step = result = None  # while it waits for the next one, or is part of an error
