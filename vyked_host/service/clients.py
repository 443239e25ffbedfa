"""Proxies: what a client attribute holds once a host is attached. All composition happens in `proxy`; a call then builds
its arguments Struct and hands it to one function that the runtime composed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar, cast, runtime_checkable

import msgspec

from ..errors import UsageError
from ..model.description import Dependency, EndpointDescription, Kind
from ..model.values import Value
from ..routing.priority import PRIORITY, RANKS
from .base import Contract
from .calls import BoundEndpoint, BoundStream, Reply
from .endpoints import BoundEvent
from .inspect import describe
from .options import refuse_what_is_none
from .signatures import misfit, takes_positions

P = ParamSpec("P")
S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)


class CallOptions(Value):
    """Options of one call: times in seconds; `entity` keeps calls about the same thing at the same instance, `instance`
    names a node."""

    timeout: float | None = None
    entity: str | None = None
    idempotency_key: str | None = None
    hedge_after: float | None = None
    metadata: Mapping[str, str] | None = None
    instance: str | None = None


BY_NAME: Any = dict[str, Any]
"""The arguments of a method that its caller knows by name only: whether it may run twice, who serves it says."""

Invoke = Callable[[Any, Any, CallOptions | None], Any]
"""(arguments, inbound stream or None, options or None) -> a coroutine of the result, or a Reply."""


@runtime_checkable
class ByPosition(Protocol):
    """An `Invoke` that takes arguments as they were given, too, where all are, by position: nobody needs their Struct then."""

    def __call__(self, arguments: Any, inbound: Any, options: CallOptions | None, /) -> Any:
        """As any other."""
        ...

    def given(self, values: tuple[Any, ...], /) -> Coroutine[Any, Any, Any]:
        """Call with those values of the fields of the Struct, in their order."""
        ...


class Invoker(Protocol):
    """The runtime's client for one dependency of one service."""

    def bind(self, endpoint: EndpointDescription) -> Invoke:
        """The function that calls `endpoint`; composed once. For UNARY, CLIENT_STREAM and HTTP it returns a coroutine,
        else a Reply. The arguments are an instance of `endpoint.arguments`."""
        ...


def merged(endpoint: EndpointDescription, before: CallOptions | None, given: Mapping[str, Any]) -> CallOptions:
    """`before` with what `using(...)` was given on top. Raises TypeError for what is no option, ValueError where it does not fit."""
    refuse_what_is_none(endpoint.path, given)
    if given.get("hedge_after") is not None and (fault := unhedgeable(endpoint)):
        raise ValueError(f"hedge_after: {fault}")
    said = {name: value for name, value in given.items() if value is not None}
    if (priority := said.pop("priority", None)) is not None and priority not in RANKS:
        raise ValueError(f"priority: {priority!r} is none of {', '.join(RANKS)}")
    before = before or CallOptions()
    if priority is not None or "metadata" in said:
        kept = priority or (before.metadata or {}).get(PRIORITY)
        said["metadata"] = dict(said.get("metadata", before.metadata or {})) | ({PRIORITY: kept} if kept else {})
    return msgspec.structs.replace(before, **said)


def unhedgeable(endpoint: EndpointDescription) -> str:
    """Why there may be no second attempt beside the first one of `endpoint`; "" when there may be."""
    if endpoint.kind is not Kind.UNARY:
        return f"{endpoint.path} has a stream or a raw answer, so it is called once"
    if not endpoint.idempotent and endpoint.arguments != BY_NAME:  # of that one the node that is asked first tells
        return f"{endpoint.path} is not declared @api(idempotent=True), and two attempts may both run"
    return ""


# ---- calls with one answer -------------------------------------------------------------------------------------------
Unary = Callable[[Any, Any, CallOptions | None], Coroutine[Any, Any, Any]]
Method = BoundEndpoint[..., Any]
"""A function with an attribute `using`: to call an object that has a `__call__` takes longer."""


def method(endpoint: EndpointDescription, call: Unary, options: CallOptions | None = None) -> Method:
    """A method of another service. The hot path: no reflection, no look-up."""
    build: Callable[..., Any] = endpoint.arguments

    def called(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Call it. Raises TypeError at once when the arguments don't fit the signature."""
        try:
            arguments = build(*args, **kwargs) if kwargs else build(*args)
        except TypeError as error:
            raise misfit(endpoint, error) from None
        return call(arguments, None, options)

    if options is not None or not isinstance(call, ByPosition) or not takes_positions(endpoint.arguments):
        return _with_options(called, method, endpoint, call, options)
    given, count = call.given, len(endpoint.arguments.__struct_fields__)

    def by_position(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        return called(*args, **kwargs) if kwargs or len(args) != count else given(args)

    return _with_options(by_position, method, endpoint, call, options)


def upload(endpoint: EndpointDescription, call: Unary, options: CallOptions | None = None) -> Method:
    """A method one of whose arguments is a stream."""

    def called(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Call it; the items are taken from the stream as the other side asks for more."""
        arguments, inbound = split_stream(endpoint, args, kwargs)
        return call(arguments, inbound, options)

    return _with_options(called, upload, endpoint, call, options)


def by_name(endpoint: EndpointDescription, call: Unary, options: CallOptions | None = None) -> Method:
    """A method of a service that is known by name only."""

    def called(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Call it; the arguments travel as a dict, and are checked there. Raises TypeError for positional ones."""
        if args:
            raise TypeError(f"{endpoint.path}: a client by name takes keyword arguments only")
        return call(kwargs, None, options)

    return _with_options(called, by_name, endpoint, call, options)


def _with_options(called: Any, make: Callable[..., Method], endpoint: EndpointDescription, call: Unary, options: CallOptions | None) -> Method:  # fmt: skip
    def using(**given: Any) -> Method:
        """The same method with options for this call."""
        return make(endpoint, call, merged(endpoint, options, given))

    called.using, called.__name__, called.__qualname__ = using, endpoint.name, endpoint.path
    return cast("Method", called)


class RemoteStream(BoundStream[P, T_co]):
    """A method of another service that answers with a stream."""

    __slots__ = ("_call", "_endpoint", "_options")

    def __init__(self, endpoint: EndpointDescription, call: Invoke, options: CallOptions | None = None) -> None:
        self._endpoint, self._call, self._options = endpoint, call, options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Reply[T_co]:
        """Start it. Raises TypeError at once when the arguments don't fit the signature."""
        arguments, inbound = split_stream(self._endpoint, args, kwargs)
        return cast("Reply[T_co]", self._call(arguments, inbound, self._options))

    def using(self, **options: Any) -> RemoteStream[P, T_co]:
        """The same method with options for this call."""
        return type(self)(self._endpoint, self._call, merged(self._endpoint, self._options, options))


def split_stream(endpoint: EndpointDescription, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """(arguments Struct, the stream among the arguments or None) of a call. Raises TypeError when they don't fit."""
    inbound, rest, named = None, args, dict(kwargs)
    if endpoint.kind.streams_in:
        place = endpoint.stream_position
        if endpoint.stream_parameter in named:
            inbound = named.pop(endpoint.stream_parameter)
        elif 0 <= place < len(args):
            inbound, rest = args[place], args[:place] + args[place + 1 :]
        if not hasattr(inbound, "__aiter__"):
            raise misfit(endpoint, TypeError(f"{endpoint.stream_parameter!r} has to be an async iterator"))
    try:
        return endpoint.arguments(*rest, **named), inbound
    except TypeError as error:
        raise misfit(endpoint, error) from None


# ---- events and what else is on a class ------------------------------------------------------------------------------
class RemoteEvent(BoundEvent[P]):
    """An event of another service: to be subscribed to, not published."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, *_args: P.args, **_kwargs: P.kwargs) -> NoReturn:
        """Always raises UsageError."""
        self.using()

    def using(self, **_options: Any) -> NoReturn:
        """Always raises UsageError."""
        raise UsageError(f"{self._path} is published by its own service; a consumer subscribes to it with @subscribe")


class Remote:
    """The proxy of one service class: an attribute per endpoint, set at composition."""

    def __init__(self, cls: type[object], service: str) -> None:
        vars(self)["__vyked_remote__"] = (cls, service)

    def __getattr__(self, name: str) -> NoReturn:
        cls, service = vars(self).get("__vyked_remote__", (object, ""))
        if hasattr(cls, name) and not name.startswith("__"):
            what = "is no endpoint, so a client can't reach it: decorate it with @api"
        else:
            known = ", ".join(sorted(each for each in vars(self) if not each.startswith("_")))
            what = f"does not exist; {service} has: {known or 'no endpoints'}"
        raise AttributeError(f"{cls.__qualname__}.{name} {what}", name=name, obj=self)

    def __repr__(self) -> str:
        return f"<client of {vars(self)['__vyked_remote__'][1]}>"


def remote(cls: type[S], invoker: Invoker, service: str | None = None, *, version: str | None = None) -> S:
    """A proxy typed as `cls`, whose methods call through `invoker`. `service` and `version` replace the class's own."""
    description = describe(cls, name=service)
    proxy = Remote(cls, description.name)
    for endpoint in description.endpoints:
        wanted = msgspec.structs.replace(endpoint, version=version) if version else endpoint
        vars(proxy)[endpoint.name] = bound(wanted, invoker.bind(wanted))
    for event in description.events:
        vars(proxy)[event.name] = RemoteEvent[Any](f"{description.name}.{event.name}")
    return cast("S", proxy)


def bound(endpoint: EndpointDescription, call: Invoke) -> object:
    """The callable for one endpoint."""
    if endpoint.kind.streams_out:
        return RemoteStream[Any, Any](endpoint, call)
    if endpoint.kind.streams_in:
        return upload(endpoint, call)
    if endpoint.kind in (Kind.HTTP, Kind.WEBSOCKET):
        return RawOnly(endpoint)
    return method(endpoint, call)


class RawOnly:
    """An endpoint that works on the web framework's own request: other services can't call it."""

    def __init__(self, endpoint: EndpointDescription) -> None:
        self._path = endpoint.path

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Always raises UsageError."""
        raise UsageError(
            f"{self._path} answers with a raw HTTP response, so only HTTP can call it: use an HTTP client, or give the "
            "method typed arguments and a typed result"
        )


# ---- clients by name -------------------------------------------------------------------------------------------------
class DynamicClient:
    """A client of a service by its name: any method, keyword arguments, results as plain data."""

    def __init__(self, invoker: Invoker, service: str, version: str | None = None) -> None:
        self._invoker, self._service, self._version = invoker, service, version

    def __getattr__(self, name: str) -> BoundEndpoint[..., Any]:
        """The method, bound; kept, so that the next look-up finds it at once."""
        if name.startswith("_"):
            raise AttributeError(f"{self._service} can't have a method {name!r}: names with '_' first are private")
        endpoint = EndpointDescription(
            service=self._service, version=self._version or "", name=name, kind=Kind.UNARY,
            arguments=BY_NAME, result=Any,
        )  # fmt: skip
        found = by_name(endpoint, self._invoker.bind(endpoint))
        vars(self)[name] = found
        return found

    def __repr__(self) -> str:
        return f"<client of {self._service}, by name>"


class Composes(Protocol):
    """A dependency that makes its own proxy (the ancestor's client objects)."""

    def __compose__(self, invoker: Invoker) -> Any:
        """What `Attachment.clients` has to hold for it."""
        ...


def proxy(dependency: Dependency, invoker: Invoker) -> Any:
    """What `Attachment.clients` holds for `dependency`: its methods call through `invoker`."""
    contract = dependency.contract
    if contract is None:
        return DynamicClient(invoker, dependency.service, dependency.version)
    if isinstance(contract, type) and issubclass(contract, Contract):
        return remote(contract, invoker, dependency.service, version=dependency.version)
    return cast("Composes", contract).__compose__(invoker)
