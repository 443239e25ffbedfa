"""Task queues: `@work` takes jobs that anyone enqueues to this service, `@enqueue` sends them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast, overload

from ..errors import UsageError
from .endpoints import BoundEvent, Event, OwnEvent, Published
from .outbox import OutboxRow
from .subscriptions import Subscribed

P = ParamSpec("P")
E = TypeVar("E")
S = TypeVar("S")
Handler = Callable[[S, E], Coroutine[Any, Any, None]]


# ---- taking ----------------------------------------------------------------------------------------------------------
class Queue(Generic[E]):
    """What @work makes of a method; `Mailer.send` is this object, and what others enqueue to. On one's own instance it is the
    method."""

    def __init__(self, body: Callable[[Any, E], Coroutine[Any, Any, None]], said: Subscribed) -> None:
        self.body: Callable[..., Any] = body
        self.said = said
        self.name: str = getattr(body, "__name__", "")
        self.owner: type[object] | None = None
        self.__doc__ = body.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        if self.owner is None:
            self.owner, self.name = owner, name

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object], /) -> Callable[[E], Coroutine[Any, Any, None]]: ...
    def __get__(
        self, instance: object | None, owner: type[object], /
    ) -> Self | Callable[[E], Coroutine[Any, Any, None]]:  # fmt: skip
        """The queue itself from the class; from one's own instance, the method."""
        if instance is None:
            return self
        return cast("Callable[[E], Coroutine[Any, Any, None]]", self.body.__get__(instance, owner))

    def __repr__(self) -> str:
        owner = f"{self.owner.__qualname__}." if self.owner else ""
        return f"<{type(self).__name__} {owner}{self.name}>"


class WorkDecorator(Protocol):
    """@work with options."""

    def __call__(self, body: Handler[S, E], /) -> Queue[E]:
        """The queue."""
        ...


@overload
def work(body: Handler[S, E], /) -> Queue[E]: ...
@overload
def work(*, concurrency: int = ..., max_deliveries: int = ...) -> WorkDecorator: ...
def work(body: Any = None, /, *, concurrency: int = 16, max_deliveries: int = 5) -> Any:
    """Take jobs that are enqueued to this service, each in one instance, at least once: returning is the ack, raising brings it
    again with backoff, after `max_deliveries` it is a dead letter; `Retry` and `Reject` as with @xsubscribe. `concurrency`: how
    many at once in one instance. Jobs are kept from the first one on, whether or not an instance runs."""
    said = Subscribed(exclusive=True, concurrency=concurrency, max_deliveries=max_deliveries)

    def decorate(found: Any) -> Queue[Any]:
        if not inspect.isfunction(found):
            raise UsageError("@work decorates a method that takes the job: put it right above the def")
        return Queue(found, said)

    return decorate if body is None else decorate(body)


# ---- sending ---------------------------------------------------------------------------------------------------------
class BoundJob(BoundEvent[P]):
    """`self.mail`: calling it builds the job and hands it to the bus."""

    __slots__ = ()

    def using(
        self, *, key: str | None = None, id: str | None = None, timeout: float | None = None,
        delay: float | None = None, not_before: datetime | None = None,
    ) -> BoundJob[P]:  # fmt: skip
        """The same job with an id of one's own (enqueued again under it, it is done once), a timeout in seconds, and `delay` in
        seconds or a time before which nobody gets it. Raises UsageError for both, and for a time without a zone."""
        raise NotImplementedError


class Enqueues(Protocol):
    """An instance that can enqueue: it has been attached to a host (`service.base.Service`)."""

    def __enqueue__(
        self, job: str, payload: Any, *, key: str | None, id: str | None, timeout: float | None, delay: float | None,
        not_before: float | None,
    ) -> Awaitable[Published]:  # fmt: skip
        """Hand `payload` to the bus for the queue of `job`. Raises UsageError without a host, NotSupported for a delay that the
        bus can't keep."""
        ...


class OwnJob(OwnEvent[P], BoundJob[P]):
    """A job of one's own instance. `not_before` in seconds since 1970."""

    __slots__ = ("_delay", "_not_before")

    def __init__(
        self, job: Job[P, Any], instance: Any, key: str | None = None, id: str | None = None,
        timeout: float | None = None, delay: float | None = None, not_before: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(job, instance, key, id, timeout)
        self._delay, self._not_before = delay, not_before

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Published]:
        """Build the job and enqueue it."""
        payload = self._event.body(self._instance, *args, **kwargs)
        instance = cast("Enqueues", self._instance)
        return instance.__enqueue__(
            self._event.name, payload, key=self._key, id=self._id, timeout=self._timeout, delay=self._delay,
            not_before=self._not_before,
        )  # fmt: skip

    def _row(self, *args: Any, **kwargs: Any) -> OutboxRow:
        payload = self._event.body(self._instance, *args, **kwargs)
        return self._instance.__row__(
            self._event.name, payload, key=self._key, id=self._id, delay=self._delay, not_before=self._not_before
        )

    def using(
        self, *, key: str | None = None, id: str | None = None, timeout: float | None = None,
        delay: float | None = None, not_before: datetime | None = None,
    ) -> OwnJob[P]:  # fmt: skip
        """See :meth:`BoundJob.using`; what is not given stays as it was."""
        if delay is not None and not_before is not None:
            raise UsageError("delay and not_before both say when a job may be given out: give one of them")
        if delay is not None and delay < 0:
            raise UsageError(f"delay={delay} lies in the past: give seconds from now, 0 or more")
        if not_before is not None and not_before.tzinfo is None:
            raise UsageError(f"not_before={not_before!r} has no time zone: datetime.now(UTC) + timedelta(hours=1) has")
        says_when = delay is not None or not_before is not None
        return OwnJob(
            cast("Job[P, Any]", self._event),
            self._instance,
            self._key if key is None else key,
            self._id if id is None else id,
            self._timeout if timeout is None else timeout,
            delay if says_when else self._delay,
            (not_before.timestamp() if not_before is not None else None) if says_when else self._not_before,
        )


class Job(Event[P, E]):
    """What @enqueue makes of a method: `queue` is where its jobs go, a Queue or ``service.method`` with its `version`."""

    def __init__(
        self, body: Callable[Concatenate[Any, P], E], queue: Queue[E] | str, version: str | None, delay: float | None,
        sensitive: tuple[str, ...],
    ) -> None:  # fmt: skip
        super().__init__(body, sensitive=sensitive)
        self.queue, self.version, self.delay = queue, version, delay

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object], /) -> BoundJob[P]: ...
    def __get__(self, instance: object | None, owner: type[object], /) -> Self | BoundJob[P]:
        """The job itself from the class; from one's own instance, what enqueues it."""
        return self if instance is None else OwnJob(self, instance, delay=self.delay)


class EnqueueDecorator(Protocol):
    """@enqueue with a queue by its name: any payload, since there is no method to compare with."""

    def __call__(self, body: Callable[Concatenate[Any, P], E], /) -> Job[P, E]:
        """The job."""
        ...


class TypedEnqueue(Protocol[E]):
    """@enqueue with a queue: the body builds what that takes."""

    def __call__(self, body: Callable[Concatenate[Any, P], E], /) -> Job[P, E]:
        """The job."""
        ...


@overload
def enqueue(queue: Queue[E], /, *, delay: float | None = ..., sensitive: tuple[str, ...] = ...) -> TypedEnqueue[E]: ...
@overload
def enqueue(
    queue: str, /, *, version: str, delay: float | None = ..., sensitive: tuple[str, ...] = ...
) -> EnqueueDecorator: ...  # fmt: skip
def enqueue(
    queue: Any, /, *, version: str | None = None, delay: float | None = None, sensitive: tuple[str, ...] = ()
) -> Any:  # fmt: skip
    """Make a method a sender of jobs for a @work method of another service: the body builds the job, calling it hands the job to
    the bus, awaiting it means that the bus has it. `queue` is `Mailer.send`, or ``"mailer.send"`` with a version; `delay` in seconds
    holds each back; `sensitive` names fields that people are not shown."""
    if not isinstance(queue, (Queue, str)):
        raise UsageError(
            f'@enqueue({queue!r}) is no queue: give what @work made, such as Mailer.send, or "mailer.send" and version="1"'
        )

    def decorate(body: Any) -> Job[..., Any]:
        if not inspect.isfunction(body):
            raise UsageError("@enqueue decorates a method that returns the job: put it right above the def")
        return Job(body, queue, version, delay, tuple(sensitive))

    return decorate
