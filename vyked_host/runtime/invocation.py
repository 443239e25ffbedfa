"""One running call on the side of the handler.

It is the `Running` that the transport holds: cancel, stream items and credit come in here. Whatever happens - a result, a
declared error, an exception, a cancel before the first line - its sink hears of it exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..contracts import Sink
from ..errors import HELD_UP, ServiceError
from ..model.message import Call, Fault
from ..routing.concurrency import Pace
from ..service.context import Context, enter_context
from .failures import raised_at
from .lag import BLOCKED_S
from .outcomes import (
    application_fault,
    find_declared,
    internal_fault,
    invalid_fault,
    refuses_own_arguments,
    unread_fault,
)
from .statistics import BATCH

if TYPE_CHECKING:
    from .dispatcher import Dispatcher
    from .routes import BoundCodecs, Route

RETRY_AFTER_S = 0.1
"""Of a refusal: when to come again."""
NEVER_BEGUN = ("no thread was free for it",)
"""What a cancellation says of a blocking handler that had not begun."""


UNREAD: Any = object()
"""Arguments that have not been decoded, or can't be."""


class Invocation(msgspec.Struct, eq=False):
    """A call with one answer, or the base of another one. `began`: when it came in, in monotonic seconds; `pace`: of its endpoint, where it has a part
    in it; `arguments`: once it has begun, since what waits is better kept as bytes, and what is decoded then is still in the processor's cache when
    it is used and freed; `reason`: why it was cancelled; `task`: in which it goes on since it suspended."""

    dispatcher: Dispatcher
    route: Route
    codecs: BoundCodecs
    call: Call
    sink: Sink
    began: float
    pace: Pace | None
    arguments: Any = UNREAD
    ended: bool = False
    reason: Fault | None = None
    task: asyncio.Task[None] | None = None
    in_line_s: float = 0.0

    # ---- Running ---------------------------------------------------------------------------------------------------
    def cancel(self, fault: Fault) -> None:
        """End the handler's task; `fault` is what the sink hears when the handler lets itself be cancelled. Once: a second
        one would interrupt the handler's cleaning up."""
        if self.ended or self.reason is not None:
            return
        self.reason = fault
        if self.task is not None:
            self.task.cancel()

    def stop(self, fault: Fault) -> None:
        """The same, for a host that can't wait any longer."""
        self.cancel(fault)

    def item(self, body: Any) -> bool:
        """A unary call takes no items."""
        return False

    def end(self) -> None:
        """A unary call has no stream to end."""

    def credit(self, items: int) -> None:
        """A unary call sends no items."""

    # ---- the handler's task ----------------------------------------------------------------------------------------
    async def run(self) -> None:
        """The body of the task: the handler, and its outcome."""
        call, route, dispatcher = self.call, self.route, self.dispatcher
        now = dispatcher.now
        begins = now()
        if (begins >= call.deadline or begins - self.began >= BLOCKED_S) and self.comes_too_late(begins):
            return
        if begins >= dispatcher.line.until and call.peer is not None and not await self._has_turn(begins):
            return
        enter_context(Context(call, route.endpoint, now))
        try:
            self.arguments = arguments = self.codecs.decode(call.body)
            result = await route.proceed(arguments)
            if result.__class__ is not route.result_class:
                result = route.checked(result)
            body = self.codecs.encode(result)
            ends = now()
            if ends - begins >= route.told_s:
                route.tell(arguments, ends - begins)
        except BaseException as error:
            if route.watch is not None:
                self.failed(error, now() - begins)
            if self.ended_by(error):
                raise
        else:
            if self.ended:
                return
            self.ended = True  # from here on as in `answered`, for each call that goes well
            took_s = ends - self.began
            if self.task is not None:
                self._has_waited(took_s - self.in_line_s)
            del dispatcher.running[self]
            if self.pace is None:
                dispatcher.pacing.aside -= 1
            route.counters.in_flight -= 1
            seconds = route.seconds
            seconds.append(took_s)
            if len(seconds) >= BATCH or dispatcher.is_awaited:
                dispatcher.told(route.counters)
            self.sink.respond(call, body)

    def here(self) -> Coroutine[Any, Any, None]:
        """`run`, in the task of the one who brought the call."""
        self.task = asyncio.current_task()
        return self.run()

    def comes_too_late(self, now: float, type: str = HELD_UP) -> bool:
        """Others held the loop for so long that it is not begun: its time is over, or it has waited for a second; or the line is too long, which the
        load is the reason of, so that the refusal has no `type`. Calls inside this process, and those of the control lane, only end by their time."""
        path, waited = self.route.endpoint.path, now - self.began
        if now >= self.call.deadline:
            text = f"{path}: its time was over before it began"
            self._fail(Fault(code="DEADLINE_EXCEEDED", message=text, executed="not_executed"))
        elif self.call.peer is not None and self.route.endpoint.lane == "normal":
            text = f"{path}: it waited for {waited:.1f} s and had not begun"
            late = Fault(
                code="RESOURCE_EXHAUSTED",
                message=text,
                executed="not_executed",
                type=type,
                retry_after_s=RETRY_AFTER_S,
            )
            self._fail(late)
        return self.ended

    async def _has_turn(self, begins: float) -> bool:
        """Whether it is to be begun, once those that came before have had their turn; else its sink has heard why not."""
        try:
            self.in_line_s = await self.dispatcher.pacing.turn(self, begins)
        except asyncio.CancelledError:
            self.abandoned(self.task)
            if self.reason is None:
                raise
        return not self.ended

    def started(self, task: asyncio.Task[None]) -> None:
        """It runs in `task`, and did not end at once."""
        self.task = task
        if self.reason is not None:  # cancelled from within its own first step
            task.cancel()

    def abandoned(self, _task: asyncio.Task[None] | None) -> None:
        """The task is over; when it was cancelled before its first line nobody has told the sink."""
        if not self.ended:
            self._fail(msgspec.structs.replace(self.reason or self._cancelled(), executed="not_executed"))

    def ended_by(self, error: BaseException) -> bool:
        """Whatever a handler raises becomes its caller's fault, SystemExit too. True: it goes on from here, as what a person
        (Ctrl-C) or the interpreter wants, or as the task's own cancellation."""
        if isinstance(error, asyncio.CancelledError):
            reason = self.reason or self._cancelled()
            never = error.args == NEVER_BEGUN
            self._fail(
                msgspec.structs.replace(reason, executed="not_executed") if never else reason, *error.args[:never]
            )
            return self.reason is None
        self._fail(self._fault(error), "" if self.arguments is UNREAD else raised_at(error))
        return isinstance(error, (KeyboardInterrupt, GeneratorExit))

    def failed(self, error: BaseException, elapsed_s: float) -> None:
        """Its handler has failed: whoever watches hears of it, unless that one failed, told that it went well. That he fails of a
        failure too changes nothing for the caller."""
        route = self.route
        if self.arguments is UNREAD:
            return
        try:
            if error is not route.mishap:
                route.tell(self.arguments, elapsed_s, error)
        except Exception:
            self.dispatcher.log.exception("what watches the calls of %s failed", route.endpoint.path)
        finally:
            route.mishap = None

    def _cancelled(self) -> Fault:
        """Nobody asked for it: the handler cancelled itself, or waited for something that was cancelled."""
        text = f"{self.route.endpoint.path} was cancelled by its own host"
        return Fault(code="CANCELLED", message=text, executed="executed")

    def _fault(self, error: BaseException) -> Fault:
        if self.arguments is UNREAD:
            return unread_fault(self.route.endpoint, error, self.dispatcher.log)
        if find_declared(error, self.route.declared):
            try:
                return application_fault(cast(ServiceError, error))
            except Exception as broken:  # noqa: BLE001 - its fields can't be read or sent: the class is at fault
                return internal_fault(self.route.endpoint, broken, self.dispatcher.log)
        if refuses_own_arguments(error, self.route.endpoint):
            return invalid_fault(self.route.endpoint, cast(Exception, error))
        return internal_fault(self.route.endpoint, error, self.dispatcher.log)

    def answered(self, body: Any) -> None:
        """The handler has given its result."""
        if not self.ended:
            now = self.dispatcher.now
            took_s = now() - self.began
            self.ended = True
            if self.task is not None:
                self._has_waited(took_s - self.in_line_s)  # the line has a bound of its own
            self.dispatcher.leave(self)
            self.route.counters.succeeded(took_s)
            self.sink.respond(self.call, body)

    def _has_waited(self, took_s: float) -> None:
        """A call that suspended was answered: who never does never waits, and tells nothing of how much there is to do."""
        self.task, pace = None, self.pace  # the task's context leads back here: a circle
        if pace is not None and self.began >= pace.since:
            pace.ended += 1
            pace.total_s += took_s
            if took_s < pace.fastest_s:
                pace.fastest_s = took_s

    def _fail(self, fault: Fault, cause: str = "") -> None:
        if not self.ended:
            self.ended, self.task = True, None  # the task's context leads back here: a circle
            self.dispatcher.leave(self)
            elapsed = self.dispatcher.now() - self.began
            self.route.counters.fault(fault.code, elapsed)
            if self.pace is not None and fault.executed != "not_executed" and self.began >= self.pace.since:
                self.pace.ended += 1
                self.pace.total_s += elapsed - self.in_line_s
            queued = elapsed if fault.executed == "not_executed" else 0.0
            self.dispatcher.failures.served(self.route.endpoint.path, self.call, fault, cause, queued, elapsed - queued)
            self.sink.fail(self.call, fault)
