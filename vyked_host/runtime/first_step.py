"""The first step of a call inside this process, in which most are answered: within that of its caller, and by a task that takes one after
the other (:mod:`seats`). A handler that suspends, or fails, goes on as every other call."""

from __future__ import annotations

from collections.abc import Generator
from types import CoroutineType, coroutine
from typing import TYPE_CHECKING, Any, cast

from ..model.description import EndpointDescription
from ..model.message import Call
from ..service.context import Context
from .ahead import Rest
from .invocation import Invocation
from .turns import ENDED

if TYPE_CHECKING:
    from .answers import Answer
    from .seats import Seat


class FirstStep(Context, eq=False, kw_only=True):
    """What a handler may know of the call that has the `seat`, whichever that is. What is put together for one call has to be wiped before
    the next one has it."""

    seat: Seat

    @property
    def call(self) -> Call:
        """As of every context."""
        self.seat.is_asked()
        return super().call

    @property
    def metadata(self) -> Any:
        """As of every context."""
        self.seat.is_asked()
        return super().metadata

    @property
    def inherited(self) -> Any:
        """As of every context."""
        self.seat.is_asked()
        return super().inherited

    @property
    def description(self) -> EndpointDescription:
        """As of every context."""
        return self.seat.nearby.description

    @property
    def deadline(self) -> float:
        """As of every context."""
        return self.seat.deadline

    @property
    def packed(self) -> bytes | None:
        """As of every context."""
        return self.seat.packed

    def make(self) -> Call:
        """The call as others are."""
        return self.seat.nearby.call_of(self.seat)


class NearCall(Invocation, eq=False, kw_only=True):
    """What such a call goes on as. `answer`: what waits for its outcome."""

    answer: Answer


@coroutine
def first_steps(rest: Rest) -> Generator[Any, Any, None]:
    """The body of a task that takes them: it is sent what a handler is called with."""
    seat = cast("Seat", rest.spare)
    now, result = seat.about.now, cast("Any", None)
    while True:
        values: Any = yield ENDED
        try:
            nearby = seat.nearby
            begin = nearby.begin
            result = begin(values[0]) if nearby.takes_one else begin(*values)
            if result.__class__ is not CoroutineType:
                result = result.__await__()
            result = yield from result
            if result.__class__ is not nearby.result_class:
                result = nearby.route.checked(result)
            elapsed_s = now() - seat.began
            if elapsed_s >= nearby.told_s:
                nearby.route.tell(seat.arguments, elapsed_s)
            if nearby.deliver is not None:
                result = seat.delivered(result, nearby.deliver)
        except BaseException as error:
            if seat.failed(error):
                raise
        else:
            if seat.beyond is None:
                seat.result = result
                nearby.seconds.append(elapsed_s)
                continue
            seat.beyond.answered(result)
        finally:
            values = result = None  # while it waits for the next one, or is part of an error
        if rest.is_kept:
            return
