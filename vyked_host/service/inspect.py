"""A service class -> its description: all that the host needs to know, found out once, at start-up.

Every fault raises UsageError naming class, member, file and line, and the remedy.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, get_type_hints

import msgspec

from ..model import names
from ..model.description import (
    Dependency,
    EndpointDescription,
    EventNeeds,
    Kind,
    Periodic,
    ServiceDescription,
)
from . import conformity
from .base import Contract, Service
from .declared_errors import declared_errors
from .dependencies import ClientDeclaration
from .endpoints import Decorated
from .identity import declared
from .jobs import enqueues_of, works_of
from .members import LIFE, Naming, check_name, members, summary
from .places import Place, of_class, of_member
from .routes import bindings, check_duplicates, socket_bindings
from .shapes import Shape, ensure_travels, shape_of
from .sockets import socket_shape
from .subscriptions import Background, WebSocketRoute, notes
from .topics import events_of, subscriptions_of

MAX_TIMEOUT_S = 600.0
HTTP_ONLY = frozenset({"http"})
HTTP_AND_LOCAL = frozenset({"http", "local"})


def describe(target: Any, *, name: str | None = None) -> ServiceDescription:
    """The description of a Service or Contract class, or of an instance, served as `name` when given; of the ancestor's
    classes, only that of an instance. Raises UsageError."""
    cls = target if isinstance(target, type) else type(target)
    if not issubclass(cls, Contract):
        raise of_class(cls).fault("it is no service", "derive it from vyked_host.Service")
    if hasattr(cls, "__describe__"):
        return _of_instance(target, cls, name)
    naming = Naming(*_identity(cls, name))
    if not issubclass(cls, Service):
        return ServiceDescription(
            name=naming.service, version=naming.version, cls=cls, module=cls.__module__, summary=summary(cls),
            endpoints=endpoints_of(cls, naming), events=events_of(cls, naming), enqueues=enqueues_of(cls),
        )  # fmt: skip
    if target is cls:
        check_construction(cls)
    conformity.check(cls)
    return described(cls, naming)


def _of_instance(target: Any, cls: type[object], name: str | None) -> ServiceDescription:
    if target is cls:
        raise of_class(cls).fault(
            "its name and version come from its constructor", "describe an instance; vyked.toml: arguments = [...]"
        )
    found: ServiceDescription = target.__describe__(name)
    return found


def described(cls: type[Service], naming: Naming) -> ServiceDescription:
    """The description of a service class that passed the checks."""
    endpoints = endpoints_of(cls, naming)
    check_duplicates(cls, endpoints)
    return ServiceDescription(
        name=naming.service, version=naming.version, cls=cls, module=cls.__module__, summary=summary(cls),
        options=options_of(cls), endpoints=endpoints, events=events_of(cls, naming), enqueues=enqueues_of(cls),
        subscriptions=(*subscriptions_of(cls), *works_of(cls, naming)), dependencies=dependencies_of(cls), periodic=periodic_of(cls),
        background=background_of(cls), event_needs=event_needs_of(cls),
    )  # fmt: skip


# ---- class -----------------------------------------------------------------------------------------------------------
def _identity(cls: type[object], name: str | None) -> tuple[str, str]:
    found = declared(cls)
    example = f'class {cls.__name__}(Service, name="{names.slug(cls.__name__, "hello")}", version="1.0.0")'
    if not (name or found.name):
        raise of_class(cls).fault("it has no name", f"write {example}")
    if not found.version:
        raise of_class(cls).fault("it has no version", f"write {example}")
    return names.name(name or found.name, "service name"), found.version


def check_construction(cls: type[Service]) -> None:
    """Raises UsageError when the host could not make and run an instance."""
    for each in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise of_member(cls, "__init__", cls.__init__).fault(
                f"the host makes services without arguments, and this needs {each.name!r}",
                "declare `options: MyStruct` for settings, and do the rest in on_start",
            )
    for name in LIFE:
        body = inspect.getattr_static(cls, name)
        if not (inspect.iscoroutinefunction(body) or inspect.isgeneratorfunction(body)):
            raise of_member(cls, name, body).fault("the host awaits it", f"write `async def {name}`")


def event_needs_of(cls: type[Service]) -> EventNeeds:
    """``event_needs = EventNeeds(...)`` of the class. Raises UsageError when it is something else."""
    found = getattr(cls, "event_needs", None)
    if found is None:
        return EventNeeds()
    if not isinstance(found, EventNeeds):
        text = f"event_needs is {type(found).__name__}"
        raise (
            of_class(cls)
            ._replace(member="event_needs")
            .fault(text, 'write event_needs = EventNeeds(durability="process")')
        )
    return found


def options_of(cls: type[Service]) -> type[msgspec.Struct] | None:
    """The Struct of ``options: MyStruct``, None when the class has none. Raises UsageError when it is no Struct."""
    for base in cls.__mro__:
        hint = inspect.get_annotations(base).get("options") if base is not Service else None
        if hint is None:
            continue
        place = of_class(cls)._replace(member="options")
        try:
            scope = vars(sys.modules[base.__module__])
            found = get_type_hints(SimpleNamespace(__annotations__={"options": hint}), globalns=scope)["options"]
        except (NameError, TypeError, KeyError) as error:
            raise place.fault(f"its type can't be resolved ({error})", "define it at the top of the module") from error
        if found is Any:
            return None
        if not (isinstance(found, type) and issubclass(found, msgspec.Struct)):
            raise place.fault(
                f"{found!r} is no Struct", "write `class MyOptions(msgspec.Struct, frozen=True)` and use that"
            )
        ensure_travels(found, "the table of options", place)
        return found
    return None


# ---- endpoints -------------------------------------------------------------------------------------------------------
def endpoints_of(cls: type[object], naming: Naming) -> tuple[EndpointDescription, ...]:
    """Every endpoint of `cls`, those with a WebSocket among them."""
    found: list[EndpointDescription] = []
    for name, member in members(cls):
        if isinstance(member, Decorated):
            place = of_member(cls, name, member.body)
            found.append(_endpoint(name, member, naming, place))
        else:
            sockets = [each for each in notes(member) if isinstance(each, WebSocketRoute)]
            if sockets:
                found.append(_socket(name, member, sockets, naming, of_member(cls, name, member)))
    return tuple(found)


def _endpoint(name: str, member: Decorated, naming: Naming, place: Place) -> EndpointDescription:
    marks = member.marks
    check_name(name, place)
    shape = shape_of(member, place, lenient=naming.lenient)
    _check_marks(member, shape, place)
    transports = HTTP_ONLY if shape.kind is Kind.HTTP else None if marks.exposed else HTTP_AND_LOCAL
    return EndpointDescription(
        service=naming.service, version=naming.version, name=name, kind=shape.kind, arguments=shape.arguments,
        result=shape.result, inbound=shape.inbound, stream_parameter=shape.stream_parameter,
        stream_position=shape.stream_position, idempotent=marks.idempotent, keyed=marks.keyed,
        blocking=marks.blocking,
        timeout_s=marks.timeout, concurrency=marks.concurrency, priority=marks.priority, sensitive=marks.sensitive,
        raises=declared_errors(marks.raises, place), deprecated=marks.deprecated, replacement=marks.replacement,
        http=bindings(name, marks.routes, shape, place), transports=transports, summary=summary(member.body),
    )  # fmt: skip


def _check_marks(member: Decorated, shape: Shape, place: Place) -> None:
    marks = member.marks
    if marks.timeout is not None and not 0 < marks.timeout <= MAX_TIMEOUT_S:
        raise place.fault(
            f"timeout={marks.timeout} is no time limit", f"give seconds above 0, up to {MAX_TIMEOUT_S:.0f}"
        )
    if marks.concurrency is not None and marks.concurrency < 1:
        raise place.fault(f"concurrency={marks.concurrency} lets no call run", "give 1 or more, or leave it out")
    if marks.blocking and (
        inspect.iscoroutinefunction(member.body)
        or inspect.isgeneratorfunction(member.body)
        or shape.kind is not Kind.UNARY
    ):
        raise place.fault(
            "blocking=True runs a plain def in a thread", "write `def` without async, or remove blocking=True"
        )
    if marks.keyed and shape.kind is not Kind.UNARY:
        raise place.fault(
            "keyed=True keeps one result, and this has a stream or a raw answer",
            "remove keyed=True, or return one value",
        )
    known = (*shape.positional, *shape.keyword)
    for unknown in [] if shape.untyped else [each for each in marks.sensitive if each not in known]:
        raise place.fault(
            f"sensitive names {unknown!r}, which is no parameter", f"it has: {', '.join(known) or 'none'}"
        )


def _socket(
    name: str, handler: Any, sockets: list[WebSocketRoute], naming: Naming, place: Place
) -> EndpointDescription:
    check_name(name, place)
    shape = socket_shape(handler, place, lenient=naming.lenient)
    if any(each.timeout is not None and each.timeout <= 0 for each in sockets):
        raise place.fault("its timeout is no time limit", "give seconds above 0, or leave it out: a socket needs none")
    return EndpointDescription(
        service=naming.service, version=naming.version, name=name, kind=Kind.WEBSOCKET, arguments=shape.arguments,
        result=shape.outbound, inbound=shape.inbound, stream_parameter=shape.parameter, timeout_s=sockets[0].timeout,
        http=socket_bindings(sockets, shape, place), transports=HTTP_ONLY, summary=summary(handler),
    )  # fmt: skip


# ---- dependencies and work -------------------------------------------------------------------------------------------
def dependencies_of(cls: type[object]) -> tuple[Dependency, ...]:
    """Every ``client(...)`` of `cls`."""
    return tuple(_dependency(cls, name, each) for name, each in members(cls) if isinstance(each, ClientDeclaration))


def _dependency(cls: type[object], name: str, said: ClientDeclaration) -> Dependency:
    contract = said.contract
    if contract is None:
        return Dependency(attribute=name, service=said.service, version=said.version, required=said.required)
    there = declared(contract)
    if not there.name:
        raise (
            of_class(cls)
            ._replace(member=name)
            .fault(
                f"{contract.__qualname__} has no name of its own", 'call it by name: client("its-name", version=...)'
            )
        )
    return Dependency(
        attribute=name, service=there.name, version=said.version or there.version or None, required=said.required,
        contract=contract,
    )  # fmt: skip


def _work(cls: type[object], kind: type[Any]) -> Iterator[tuple[str, Any]]:
    for name, body in members(cls):
        for each in notes(body):
            if isinstance(each, kind):
                if not inspect.iscoroutinefunction(body) and not inspect.isgeneratorfunction(body):
                    raise of_member(cls, name, body).fault("the host awaits it", "write `async def`")
                yield name, each


def periodic_of(cls: type[object]) -> tuple[Periodic, ...]:
    """Every @every of `cls`."""
    return tuple(msgspec.structs.replace(each, handler=name) for name, each in _work(cls, Periodic))


def background_of(cls: type[object]) -> tuple[str, ...]:
    """The names of the @background methods of `cls`."""
    return tuple(name for name, _ in _work(cls, Background))
