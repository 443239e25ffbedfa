"""Events and subscriptions of a service class -> their descriptions."""

from __future__ import annotations

import inspect
from typing import Any

from ..errors import UsageError
from ..model import names
from ..model.description import EventDescription, SubscriptionDescription
from ..model.queues import is_queue
from ..model.version import parse
from .endpoints import Event
from .identity import declared
from .members import Naming, check_name, members
from .places import Place, of_member
from .queues import Job
from .shapes import ensure_travels, resolve
from .subscriptions import Subscribed, notes


# ---- events ----------------------------------------------------------------------------------------------------------
def events_of(cls: type[object], naming: Naming) -> tuple[EventDescription, ...]:
    """Every event that `cls` publishes."""
    return tuple(
        _event(cls, name, each, naming)
        for name, each in members(cls)
        if isinstance(each, Event) and not isinstance(each, Job)
    )


def _event(cls: type[object], name: str, event: Event[..., Any], naming: Naming) -> EventDescription:
    place = of_member(cls, name, event.body)
    check_name(name, place)
    hints = resolve(event.body, place)
    if not naming.lenient:
        if inspect.iscoroutinefunction(event.body) or inspect.isgeneratorfunction(event.body):
            raise place.fault("the body of an event builds its payload, at once", "write a plain `def` that returns it")
        if "return" not in hints:
            raise place.fault("its payload has no type", "annotate what it returns, such as `-> PasswordChanged`")
    payload = Any if naming.lenient else event.payload
    ensure_travels(payload, "the payload", place)
    _known(event, payload, place)
    return EventDescription(
        service=naming.service, version=naming.version, name=name, payload=payload, sensitive=event.sensitive
    )  # fmt: skip


def _known(event: Event[..., Any], payload: Any, place: Place) -> None:
    """A field that is spelled wrongly would be shown."""
    fields = getattr(payload, "__struct_fields__", None) or tuple(getattr(payload, "__annotations__", ()))
    for unknown in [each for each in event.sensitive if fields and each not in fields]:
        raise place.fault(
            f"sensitive names {unknown!r}, which the payload does not have", f"it has: {', '.join(fields)}"
        )


def subscriptions_of(cls: type[object]) -> tuple[SubscriptionDescription, ...]:
    """Every subscription of the handlers of `cls`."""
    return tuple(
        _subscription(cls, name, handler, each)
        for name, handler in members(cls)
        for each in notes(handler)
        if isinstance(each, Subscribed)
    )


def _subscription(cls: type[object], name: str, handler: Any, said: Subscribed) -> SubscriptionDescription:
    place = of_member(cls, name, handler)
    service, major, event = _topic(said, place)
    if said.concurrency < 1 or said.max_deliveries < 1:
        raise place.fault("concurrency and max_deliveries count from 1", "give 1 or more")
    return SubscriptionDescription(
        service=service, major=major, event=event, handler=name, payload=_payload(handler, said, place),
        exclusive=said.exclusive, strategy=said.strategy, concurrency=said.concurrency,
        max_deliveries=said.max_deliveries, dedupe=said.dedupe, since=said.since, may_miss=said.may_miss,
    )  # fmt: skip


def _topic(said: Subscribed, place: Place) -> tuple[str, int, str]:
    if isinstance(said.event, Job):
        raise place.fault(f"{said.event!r} goes to a queue, which nobody else hears", "publish an event beside it")
    if isinstance(said.event, Event):
        publisher = declared(said.event.owner) if said.event.owner else declared(object)
        if not publisher.name:
            raise place.fault(
                f"nobody publishes {said.event!r}", "give the class that declares it a name and a version"
            )
        return publisher.name, parse(publisher.version).major, said.event.name
    if said.event is None:
        raise place.fault(
            "it does not say which event", "write @subscribe(Identity.password_changed), or a topic with version="
        )
    try:
        service, event, major = names.split_topic(said.event)
        wanted = parse(said.version).major if said.version else None
    except UsageError as error:
        raise place.fault(str(error), 'write "identity.created", version="1"') from error
    if is_queue(event):
        raise place.fault(f"{said.event!r} is the queue of {service}, which nobody else hears", "take jobs with @work")
    if major is None and wanted is None:
        raise place.fault(f"{said.event!r} says no version", 'add version="1"')
    return service, wanted if wanted is not None else major or 0, event


def _payload(handler: Any, said: Subscribed, place: Place) -> Any:
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    if not inspect.iscoroutinefunction(handler) and not inspect.isgeneratorfunction(handler):
        raise place.fault("the host awaits it", "write `async def`")
    required = [each for each in parameters if each.default is each.empty]
    if not parameters or len(required) > 1:
        raise place.fault("a handler takes the event and nothing else", "write (self, event: ItsType)")
    hint = resolve(handler, place).get(parameters[0].name, Any)
    if not isinstance(said.event, Event):
        ensure_travels(hint, "the event", place)
        return hint
    payload = said.event.payload
    if hint not in (Any, payload):
        raise place.fault(f"it takes {hint}, but the event carries {payload}", "take the event's own type")
    return payload
