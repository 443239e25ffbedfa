"""Where the outcomes of outgoing calls arrive: `Answer` for one result, `Reply` for a stream of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any

import msgspec

from ..contracts import Running
from ..errors import DeadlineExceeded, Executed, InvalidPayload
from ..model.description import EndpointDescription
from ..model.message import INITIAL_CREDIT, Call, Fault
from .failures import FailureLog
from .instances import Instance
from .outcomes import invalid_result, to_error
from .pending import Pending
from .tasks import TaskScope

_GRANT = INITIAL_CREDIT // 2


def _late(endpoint: EndpointDescription, instance: str) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"{endpoint.path}: no answer from {instance} within the deadline",
        service=endpoint.service, method=endpoint.name, executed="unknown", instance=instance,
    )  # fmt: skip


def _otherwise(endpoint: EndpointDescription, what: str) -> Fault:
    text = f"the answer of {endpoint.path} is {what}: this side has another contract of it"
    return Fault(code="NOT_SUPPORTED", message=text, executed="executed")


class Answer(msgspec.Struct, eq=False):
    """The sink of one unary call. `began`: when its channel was at hand; `deadline`: until when it waits, both in monotonic seconds."""

    endpoint: EndpointDescription
    instance: Instance
    decode: Callable[[Any], Any]
    future: asyncio.Future[Any]
    began: float
    deadline: float
    running: Running | None = None

    def respond(self, call: Call, body: Any) -> None:
        """The result came, which is decoded by who waits for it: then as many are at once in memory as are looked at. It may come in the
        turn in which nobody waits for it any more."""
        try:
            self.future.set_result(body)
        except asyncio.InvalidStateError:
            return

    def result(self, body: Any) -> Any:
        """What came, decoded. Raises InvalidPayload."""
        try:
            return self.decode(body)
        except (ValueError, TypeError) as error:
            raise self.misfit(error) from error

    def misfit(self, error: Exception) -> InvalidPayload:
        """What is raised where the result can't be decoded for `error`."""
        return invalid_result(self.endpoint, self.instance.node_id, error)

    def fail(self, call: Call, fault: Fault) -> None:
        """A fault came."""
        if not self.future.done():
            self.future.set_exception(to_error(fault, self.endpoint, self.instance.node_id))

    def item(self, call: Call, body: Any) -> bool:
        """A stream where one result was expected: the two contracts differ."""
        fault = _otherwise(self.endpoint, "a stream, and one result was expected")
        self.fail(call, fault)
        self.abandon(fault)
        return False

    def abandon(self, fault: Fault) -> None:
        """The caller waits no longer: the handler is cancelled, a late answer is dropped by the channel."""
        if self.running is not None:
            self.running.cancel(fault)
            self.running = None
        if not self.future.done():
            self.future.cancel()

    def expire(self) -> None:
        """The deadline passed."""
        if not self.future.done():
            self.future.set_exception(_late(self.endpoint, self.instance.node_id))
        self.abandon(Fault(code="DEADLINE_EXCEEDED", message="the deadline passed", executed="unknown"))


class Reply:
    """A streamed answer, as whoever brings it sees it; `reading.Stream` is how its caller does."""

    def __init__(
        self, endpoint: EndpointDescription, call: Call, start: Callable[[Reply], Awaitable[Running | None]],
        pending: Pending, tasks: TaskScope, inbound: AsyncIterator[Any] | None, failures: FailureLog,
    ) -> None:  # fmt: skip
        self._failures, self._began = failures, 0.0
        self._endpoint, self._call, self._start = endpoint, call, start
        self._pending, self._tasks, self._inbound = pending, tasks, inbound
        self.deadline = call.deadline
        self.instance = ""
        self.decode: Callable[[Any], Any] = _unset
        self.encode: Callable[[Any], Any] = _unset
        self.items: deque[Any] = deque()
        self._arrived, self._granted = asyncio.Event(), asyncio.Event()
        self._running: Running | None = None
        self._pump: asyncio.Task[None] | None = None
        self._credit, self._taken = INITIAL_CREDIT, 0
        self.begun = self.over = False
        self.error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._result: Any = None

    # ---- sink ------------------------------------------------------------------------------------------------------
    def item(self, call: Call, body: Any) -> bool:
        """One item came."""
        if not self.over:
            try:
                self.items.append(self.decode(body))
            except ValueError as error:
                self._end(invalid_result(self._endpoint, self.instance, error), "an item does not fit")
            self._arrived.set()
        self._credit -= 1
        return self._credit > 0

    def respond(self, call: Call, body: Any) -> None:
        """The stream ended well, or the one result of an upload came."""
        if self._endpoint.kind.streams_out:
            if body:
                self.fail(call, _otherwise(self._endpoint, "no stream, and a stream was expected"))
        elif not self.over:
            try:
                self._result = self.decode(body)
            except (ValueError, TypeError) as error:
                self._end(invalid_result(self._endpoint, self.instance, error))
        self._end(None)

    def fail(self, call: Call, fault: Fault) -> None:
        """The stream broke."""
        self._end(to_error(fault, self._endpoint, self.instance))

    def credit(self, call: Call, items: int) -> None:
        """The handler can take more of our items."""
        self._granted.set()

    def expire(self) -> None:
        """The deadline passed."""
        self._end(_late(self._endpoint, self.instance), "the deadline passed")

    def _end(self, error: Exception | None, cancelled: str = "") -> None:
        """The stream is over; `cancelled` says why the handler has to hear of it."""
        if self.over:
            return
        self.over, self.error = True, error
        if error is not None:
            self._failures.called(
                self._endpoint, self._call, error, self.instance, waiting_s=perf_counter() - self._began
            )
        self._pending.waiting.pop(self, None)
        self._arrived.set()
        if self._pump is not None:
            self._pump.cancel()
        running, self._running = self._running, None  # it has this as its sink: a circle no collector would find
        if running is not None and cancelled:
            running.cancel(_given_up(cancelled))

    # ---- caller ----------------------------------------------------------------------------------------------------
    async def begin(self) -> None:
        """Send it."""
        self.begun, self._began, self._loop = True, perf_counter(), asyncio.get_running_loop()
        self._pending.add(self)
        try:
            running = await self._start(self)
        except BaseException as error:
            self._pending.waiting.pop(self, None)
            self.over = True
            self._failures.called(
                self._endpoint, self._call, error, self.instance, dialling_s=perf_counter() - self._began
            )
            raise
        if running is None:
            return
        if self.over:
            running.cancel(_given_up("the stream was over before it had begun"))
            return
        self._running = running
        if self._inbound is not None:
            self._pump = self._tasks.spawn(self._send(running, self._inbound), f"stream to {self._endpoint.path}")

    async def _send(self, running: Running, inbound: AsyncIterator[Any]) -> None:
        try:
            async for item in inbound:
                self._granted.clear()
                if not running.item(self.encode(item)):
                    await self._granted.wait()
        except asyncio.CancelledError:
            if self.over:
                raise
            text = f"the caller's own stream to {self._endpoint.path} was cancelled"
            self._end(to_error(_given_up(text, executed="executed"), self._endpoint, self.instance), text)
        except Exception as error:  # noqa: BLE001 - the caller's own iterator failed: it gets that error
            self._end(error, "the caller's stream failed")
        else:
            running.end()
        finally:
            await _closed(inbound)

    async def result(self) -> Any:
        """The one result of an upload."""
        if not self.begun and not self.over:
            await self.begin()
        while not self.over:
            await self.more()
        if self.error is not None:
            raise self.error
        return self._result

    async def more(self) -> None:
        """Wait for what comes next. Who is cancelled meanwhile gives up the stream, as with any other iterator."""
        self._arrived.clear()
        try:
            await self._arrived.wait()
        except asyncio.CancelledError:
            self.leave()
            raise

    def take(self) -> None:
        """An item was taken: what brings them may go on."""
        self._taken += 1
        # where nothing waits any more the sender may be waiting: large items use up their credit before so many have come
        if (self._taken >= _GRANT or not self.items) and self._running is not None and not self.over:
            self._credit += self._taken
            self._running.credit(self._taken)
            self._taken = 0

    def leave(self) -> None:
        """Give up what has not come yet."""
        if self.begun and not self.over:
            self._end(None, "the caller left the stream")
        self.over = True
        self.items.clear()

    def let_go(self) -> None:
        """The same, from wherever the collector is at work: nobody has the stream any more."""
        if self._loop is not None and not self.over and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.leave)


def _given_up(why: str, executed: Executed = "unknown") -> Fault:
    return Fault(code="CANCELLED", message=why, executed=executed)


async def _closed(inbound: AsyncIterator[Any]) -> None:
    """The caller's generator gets to its `finally` now, not when it is collected."""
    close = getattr(inbound, "aclose", None)
    if close is not None:
        await close()


def _unset(_value: Any) -> Any:
    raise AssertionError("the stream has not begun")
