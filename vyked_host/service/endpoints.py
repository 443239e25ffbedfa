"""What the decorators make of a method: `Endpoint`, `StreamEndpoint`, `Event`, and their forms bound to one's own instance.

They are typed descriptors. Taken from the class, the object itself; from one's own instance, the body as plain Python,
without middleware; through a client, a call (`service.clients`). They hold what the decorators said and nothing
of the host; `service.inspect` turns them into descriptions at start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import MethodType
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
    runtime_checkable,
)

import msgspec

from ..errors import ServiceError
from ..model.values import Value
from .annotations import payload_type
from .calls import BoundEndpoint, BoundStream, OwnEndpoint, OwnStream
from .identity import declared
from .options import refuse_no_texts
from .outbox import Outbox, OutboxRow, Stored

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Tx = TypeVar("Tx")
T_co = TypeVar("T_co", covariant=True)


# ---- what decorators say ---------------------------------------------------------------------------------------------
class Route(Value):
    """One of @get, @post, ...: `paths` empty means ``/`` and the method's name."""

    method: str
    paths: tuple[str, ...] = ()
    required_params: tuple[str, ...] = ()
    status: int = 200


class Marks(Value):
    """All that the decorators over one body said. `exposed`: @api is among them."""

    exposed: bool = False
    timeout: float | None = None
    idempotent: bool = False
    keyed: bool = False
    blocking: bool = False
    raises: tuple[type[ServiceError], ...] = ()
    concurrency: int | None = None
    priority: Literal["high", "normal", "low"] = "normal"
    sensitive: tuple[str, ...] = ()
    deprecated: bool = False
    replacement: str = ""
    routes: tuple[Route, ...] = ()


# ---- endpoints ---------------------------------------------------------------------------------------------------------
class Decorated:
    """What `Endpoint` and `StreamEndpoint` share: the body, and what the decorators over it said."""

    def __init__(self, body: Callable[..., Any], marks: Marks) -> None:
        self.body = body
        self.marks = marks
        self.name: str = getattr(body, "__name__", "")
        self.owner: type[object] | None = None
        self.shape: Any = None  # of service.shapes, once described: one Struct type per body, whoever describes it
        self.is_coroutine = inspect.iscoroutinefunction(body)
        self.__doc__ = body.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        if self.owner is None:  # an alias of it in a class keeps the first name
            self.owner, self.name = owner, name

    def marked(self, **changes: Any) -> Self:
        """A copy with more said about it."""
        return type(self)(self.body, msgspec.structs.replace(self.marks, **changes))

    def __repr__(self) -> str:
        owner = f"{self.owner.__qualname__}." if self.owner else ""
        return f"<{type(self).__name__} {owner}{self.name}>"


class Endpoint(Decorated, Generic[P, R_co]):
    """What @api, @get, ... make of a method with one answer; `Identity.create` is this object."""

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object], /) -> BoundEndpoint[P, R_co]: ...
    def __get__(self, instance: object | None, owner: type[object], /) -> Self | BoundEndpoint[P, R_co]:
        """The endpoint itself from the class; from one's own instance, the body."""
        return self if instance is None else OwnEndpoint(self, instance)


class StreamEndpoint(Decorated, Generic[P, T_co]):
    """What @api and @get make of an async generator; `Identity.all` is this object."""

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object], /) -> BoundStream[P, T_co]: ...
    def __get__(self, instance: object | None, owner: type[object], /) -> Self | BoundStream[P, T_co]:
        """The endpoint itself from the class; from one's own instance, the body."""
        return self if instance is None else OwnStream(self, instance)


# ---- events ----------------------------------------------------------------------------------------------------------
class Published(Value):
    """What the bus said: the event's id, and how much the back end survives that has it now."""

    id: str
    durability: Literal["none", "memory", "process", "disk"]


class BoundEvent(Generic[P]):
    """`self.password_changed`: calling it builds the payload and hands the event to the bus."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Published]:
        """The call hands the event to the bus in this loop turn; awaiting it means the back end has it, to the
        durability it declares; not awaiting it logs and counts a failure."""
        raise NotImplementedError

    def using(self, *, key: str | None = None, id: str | None = None, timeout: float | None = None) -> BoundEvent[P]:
        """The same event with an ordering key, an id of one's own (a retry keeps it), a timeout in seconds."""
        raise NotImplementedError

    def through(self, outbox: Outbox[Tx, R], transaction: Tx, /) -> Stored[P, R]:
        """The same event by way of an outbox: calling it writes a row within `transaction`, which is published once that is
        committed (service.outbox). Raises UsageError for an outbox that the service does not relay."""
        raise NotImplementedError


class Publish(Protocol):
    """What publishes one event of one instance."""

    def __call__(
        self, payload: Any, /, *, key: str | None = None, id: str | None = None, timeout: float | None = None,
        delay: float | None = None, not_before: float | None = None,
    ) -> Awaitable[Published]:  # fmt: skip
        """Hand it to the bus in this loop turn; no group gets it before `delay` seconds from now, or `not_before`, seconds since
        1970."""
        ...


Plain = Callable[[Any], Awaitable[Published]]
"""Publishes an event without options."""


@runtime_checkable
class PublishesPlainly(Publish, Protocol):
    """The same, of which most calls have no options."""

    plain: Plain


class Publishes(Protocol):
    """An instance that can publish: it has been attached to a host (`service.base.Service`)."""

    def __publisher__(self, event: str) -> Publish:
        """What hands payloads of `event` to the bus, under its description. Raises UsageError without a host."""
        ...

    def __row__(
        self, event: str, payload: Any, *, key: str | None, id: str | None, delay: float | None, not_before: float | None
    ) -> OutboxRow:  # fmt: skip
        """The row of an outbox for `payload`. Raises UsageError without a host."""
        ...

    def __put__(self, outbox: Any, transaction: Any, row: OutboxRow) -> Any:
        """Write `row`. Raises UsageError without a host, and for an outbox that nobody relays."""
        ...


class OwnEvent(BoundEvent[P]):
    """An event of one's own instance."""

    __slots__ = ("_build", "_event", "_id", "_instance", "_is_plain", "_key", "_publish", "_timeout")

    def __init__(
        self, event: Event[P, Any], instance: Publishes, key: str | None = None, id: str | None = None,
        timeout: float | None = None,
    ) -> None:  # fmt: skip
        self._event, self._instance = event, instance
        self._key, self._id, self._timeout = key, id, timeout
        self._is_plain = key is None and id is None and timeout is None
        if not self._is_plain:
            refuse_no_texts(event.name, key=key, id=id)
        self._build: Callable[P, Any] = MethodType(event.body, instance)
        self._publish: Plain | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Published]:
        """Build the payload and publish it."""
        payload = self._build(*args, **kwargs)
        publish = self._publish
        if publish is None:
            publish = self._publish = self._composed()
        return publish(payload)

    def _composed(self) -> Plain:
        publish = self._instance.__publisher__(self._event.name)
        if not self._is_plain:
            return partial(publish, key=self._key, id=self._id, timeout=self._timeout)
        return publish.plain if isinstance(publish, PublishesPlainly) else publish

    def through(self, outbox: Outbox[Tx, R], transaction: Tx, /) -> Stored[P, R]:
        """See :meth:`BoundEvent.through`."""
        return Stored(self._row, self._instance.__put__, outbox, transaction)

    def _row(self, *args: Any, **kwargs: Any) -> OutboxRow:
        payload = self._build(*args, **kwargs)
        return self._instance.__row__(
            self._event.name, payload, key=self._key, id=self._id, delay=None, not_before=None
        )

    def using(self, *, key: str | None = None, id: str | None = None, timeout: float | None = None) -> OwnEvent[P]:
        """See :meth:`BoundEvent.using`; what is not given stays as it was."""
        return OwnEvent(
            self._event,
            self._instance,
            self._key if key is None else key,
            self._id if id is None else id,
            self._timeout if timeout is None else timeout,
        )


class Event(Generic[P, T_co]):
    """What @publish makes of a method; `Identity.password_changed` is this object, and what consumers subscribe to."""

    def __init__(
        self, body: Callable[Concatenate[Any, P], T_co], name: str = "", sensitive: tuple[str, ...] = ()
    ) -> None:  # fmt: skip
        self.sensitive = sensitive
        self.body: Callable[..., Any] = body
        self.name: str = name or getattr(body, "__name__", "")
        self.owner: type[object] | None = None
        self.__doc__ = body.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        if self.owner is None:
            self.owner, self.name = owner, name

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[object], /) -> BoundEvent[P]: ...
    def __get__(self, instance: object | None, owner: type[object], /) -> Self | BoundEvent[P]:
        """The event itself from the class; from one's own instance, what publishes it."""
        if instance is not None:
            return OwnEvent(self, cast("Publishes", instance))
        if self.owner is None or declared(owner) == declared(self.owner):
            return self
        return self.owned_by(owner)

    def owned_by(self, owner: type[object]) -> Self:
        """The same event as published by `owner`, a service that inherits it under a name of its own."""
        twin = type(self)(self.body, self.name, self.sensitive)
        twin.owner = owner
        return twin

    @property
    def payload(self) -> type[T_co]:
        """The type of the payload: what the body returns. Raises UsageError when the annotation can't be resolved."""
        return cast("type[T_co]", payload_type(self.body))

    def __repr__(self) -> str:
        owner = f"{self.owner.__qualname__}." if self.owner else ""
        return f"<{type(self).__name__} {owner}{self.name}>"
