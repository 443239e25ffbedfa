"""`Contract` and `Service`: what an author derives from, and how a host attaches itself to an instance.

A service is a plain object. What the host gives it - log, options, clients, tasks, the bus - comes through one
`Attachment`; without one (in a plain unit test) methods still run, and what needs a host raises UsageError saying so.
"""

from __future__ import annotations

import inspect
import logging
import types
from asyncio import Task
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from ..errors import UsageError
from ..model.description import EventDescription, ServiceDescription
from .endpoints import Decorated, Event, Publish, Published
from .identity import declare, declared
from .outbox import Outbox, OutboxRow
from .queues import Queue

T = TypeVar("T")
AnyOutbox = TypeVar("AnyOutbox", bound=Outbox[Any, Any])
_HOST = "__vyked_host__"
Log = logging.LoggerAdapter[logging.Logger]


class Attachment(Protocol):
    """The host's side of one service instance."""

    @property
    def log(self) -> Log:
        """The service's logger."""
        ...

    @property
    def options(self) -> Any:
        """The Struct of ``[services.NAME.options]``, None where the class declares none."""
        ...

    @property
    def clients(self) -> Mapping[str, Any]:
        """Dependency's attribute -> proxy (`service.clients.proxy`)."""
        ...

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> Task[T]:
        """Start a task that lives as long as the service: cancelled after its on_stop."""
        ...

    def publisher(self, event: EventDescription) -> Publish:
        """What hands payloads of `event` to the bus."""
        ...

    def relay(self, outbox: Any) -> None:
        """Publish what is committed to `outbox`, from the service's activation on."""
        ...

    def row(
        self, event: EventDescription, payload: Any, *, key: str | None, id: str | None, delay: float | None,
        not_before: float | None,
    ) -> OutboxRow:  # fmt: skip
        """An event as the row of an outbox."""
        ...

    def put(self, outbox: Any, transaction: Any, row: OutboxRow) -> Any:
        """Write `row` into `outbox`. Raises UsageError when nobody relays it."""
        ...


class HostSide(NamedTuple):
    """What an attached instance knows of its host."""

    attachment: Attachment
    events: Mapping[str, EventDescription]
    publish: Mapping[str, Publish]


def attach(instance: Service, attachment: Attachment, description: ServiceDescription) -> None:
    """Give `instance` its host. `description` is what it is served as (its name may be another than the class's)."""
    events = {each.name: each for each in description.events}
    events |= {each.attribute: each for each in description.enqueues}
    own = vars(instance)
    own[_HOST] = HostSide(attachment, events, {name: attachment.publisher(each) for name, each in events.items()})
    own.update(_own_events(instance))
    own["log"] = attachment.log
    if attachment.options is not None:
        own["options"] = attachment.options
    instance.__take_clients__(attachment.clients)


def _own_events(instance: Service) -> dict[str, Any]:
    """The events of `instance` as it publishes them, by attribute: taken once, and not whenever it publishes."""
    cls = type(instance)
    members = ((name, inspect.getattr_static(cls, name)) for name in dir(cls))
    return {name: each.__get__(instance, cls) for name, each in members if isinstance(each, Event)}


def host_of(instance: object) -> HostSide:
    """The host that `instance` is attached to. Raises UsageError when there is none."""
    found = vars(instance).get(_HOST)
    if isinstance(found, HostSide):
        return found
    name = type(instance).__qualname__
    raise UsageError(
        f"this {name} has no host: run it with vyked-host, or in a test with vyked_host.testing.running({name})"
    )


class Contract:
    """Methods and events without bodies: what a consumer in another repository needs to import.

    ``class LedgerApi(Contract, name="ledger", version="1.0.0")``; a service that derives from it as well is checked
    against it at start-up.
    """

    def __init_subclass__(cls, *, name: str | None = None, version: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declare(cls, name, version)
        make_coroutines(cls)


def make_coroutines(cls: type[object]) -> None:
    """Let every generator function of `cls`, inherited ones too, be awaited: the ancestor's way to write coroutines."""
    for owner in cls.__mro__:
        for member in vars(owner).values():
            body = _body_of(member)
            if inspect.isgeneratorfunction(body):
                types.coroutine(body)  # marks the function itself


def _body_of(member: object) -> object:
    if isinstance(member, (Decorated, Event, Queue)):
        return member.body
    return member.__func__ if isinstance(member, (staticmethod, classmethod)) else member


class _Unattached:
    """Stands for `log` and `options` until a host is attached, which puts them into the instance's `__dict__`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type[object], /) -> Any:
        if instance is None:
            return self
        if self._name == "log":
            return logging.LoggerAdapter(logging.getLogger(f"vyked.{declared(owner).name or owner.__name__}"), {})
        return host_of(instance).attachment.options


class Service(Contract):
    """One instance per host, made by the host with no arguments. ``class Identity(Service, name=..., version=...)``.

    `options: MyStruct` in the class is the table ``[services.NAME.options]`` of vyked.toml; `event_needs = EventNeeds(...)` is what
    it asks of the bus: one that gives less is refused before anything starts.
    """

    log: Log
    options: Any
    if not TYPE_CHECKING:
        log, options = _Unattached("log"), _Unattached("options")

    async def on_start(self) -> None:
        """Before anything is served or announced; raising stops the host."""

    async def on_active(self) -> None:
        """Every required dependency is there, for the first time (calls are served from now on) or again after a loss."""

    async def on_inactive(self, missing: Sequence[str]) -> None:
        """Required dependencies were lost; `missing` names them. The service goes on, and readiness says what it lacks;
        on_active is called again when they are back."""

    async def on_stop(self) -> None:
        """After the last handler has finished."""

    async def health(self) -> str | None:
        """Why this service is not well, or None. Asked by the probes."""
        return None

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> Task[T]:
        """Run `work` beside the handlers, until it ends or the service has stopped: what still runs after on_stop is cancelled.
        A failure that nobody awaits is logged. Raises UsageError without a host."""
        try:
            host = host_of(self)
        except UsageError:
            work.close()
            raise
        return host.attachment.spawn(work, name=name)

    def relay(self, outbox: AnyOutbox) -> AnyOutbox:
        """Publish what is committed to `outbox`, from now on while the service is active, and after the next start what was left;
        `outbox` itself. It is closed after on_stop. Raises UsageError without a host."""
        host_of(self).attachment.relay(outbox)
        return outbox

    def __row__(
        self, event: str, payload: Any, *, key: str | None, id: str | None, delay: float | None, not_before: float | None
    ) -> OutboxRow:  # fmt: skip
        """An event of one's own as the row of an outbox."""
        host = host_of(self)
        return host.attachment.row(host.events[event], payload, key=key, id=id, delay=delay, not_before=not_before)

    def __put__(self, outbox: Any, transaction: Any, row: OutboxRow) -> Any:
        """Write a row."""
        return host_of(self).attachment.put(outbox, transaction, row)

    def __publisher__(self, event: str) -> Publish:
        """What calling an event of one's own leads to."""
        return host_of(self).publish[event]

    def __enqueue__(
        self, job: str, payload: Any, *, key: str | None, id: str | None, timeout: float | None, delay: float | None,
        not_before: float | None,
    ) -> Awaitable[Published]:  # fmt: skip
        """What calling a job of one's own does."""
        publish = host_of(self).publish[job]
        return publish(payload, key=key, id=id, timeout=timeout, delay=delay, not_before=not_before)

    def __take_clients__(self, clients: Mapping[str, Any]) -> None:
        """The host hands over the proxies of the declared dependencies."""
        vars(self).update(clients)
