"""The ancestor's client classes: objects in a service's `clients` list, whose decorated methods call and subscribe.

An `@request` body returns a dict of arguments (idiom: ``return locals()``); `entity` and `app_name` in it are options of
the call, not arguments. Everything goes through the same invokers as the modern clients.
"""

from __future__ import annotations

import functools
import inspect
from asyncio import Future
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

import msgspec

from ...errors import CallError, ServiceError, UsageError
from ...model import names
from ...model.description import DeclaredError, EndpointDescription, HttpBinding, Kind
from ...model.version import compatible, parse
from ..base import make_coroutines
from ..clients import CallOptions, Invoke, Invoker
from ..endpoints import Decorated
from ..subscriptions import Subscribed, notes
from .errors import VykedServiceException, translated

P = ParamSpec("P")
T = TypeVar("T")
TIMEOUT_S = 600.0
"""The ancestor's limit for calls, requests and HTTP handlers that name none."""
ANSWERED = DeclaredError(
    code=VykedServiceException.code, status=VykedServiceException.status, error=VykedServiceException
)
"""What every endpoint of the ancestor's services may raise."""
Spawn = Callable[..., Any]


class HttpRequest(msgspec.Struct, kw_only=True):
    """What an HTTPServiceClient sends: the arguments of a call of Kind.HTTP. The answer is the web framework's own."""

    method: str
    path: str
    params: Any = None
    data: Any = None
    headers: Any = None
    cookies: Any = None
    auth: Any = None
    allow_redirects: bool = True
    compress: Any = None
    chunked: Any = None


SENT = frozenset((*HttpRequest.__struct_fields__[1:], "entity", "app_name"))
"""Names of what an HTTPServiceClient's method may return."""


class Named:
    """What services and clients of the ancestor share: a name, lower-cased, and a version, as text."""

    def __init__(self, service_name: str, service_version: Any) -> None:
        self._service_name = names.name(service_name, "service name")
        self._service_version = str(service_version)
        parse(self._service_version)

    @property
    def name(self) -> str:
        """The service's name."""
        return self._service_name

    @property
    def version(self) -> str:
        """The service's version, as given."""
        return self._service_version

    @property
    def properties(self) -> tuple[str, str]:
        """Name and version."""
        return self.name, self.version

    def is_for_me(self, name: str, version: Any) -> bool:
        """Does a request for `name` at `version` belong here? Compatible versions do."""
        return name.lower() == self.name and compatible(self.version, str(version))


class Request:
    """What @request makes of a method: called, the request is under way at once."""

    def __init__(self, body: Callable[..., Any], timeout: float) -> None:
        self.body, self.timeout, self.verb = body, timeout, "GET"
        self.name, self.__doc__ = body.__name__, body.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = name

    def __get__(self, instance: ServiceClient | None, owner: type[object], /) -> Any:
        """Itself from the class; from a client object, what calls."""
        return self if instance is None else functools.partial(instance.__call_out__, self)


@overload
def request(body: Callable[Concatenate[Any, P], T], /) -> Callable[Concatenate[Any, P], Future[Any]]: ...
@overload
def request(
    *, timeout: float = ...
) -> Callable[[Callable[Concatenate[Any, P], T]], Callable[Concatenate[Any, P], Future[Any]]]: ...
def request(body: Any = None, /, *, timeout: float = TIMEOUT_S) -> Any:
    """A method of a TCPServiceClient that calls the service's method of the same name; the body returns the arguments as a
    dict. Returns a Future at once. `timeout` in seconds, from 0 to 600."""
    if not 0 < timeout <= TIMEOUT_S:
        raise UsageError(f"@request(timeout={timeout}): give seconds above 0, up to {TIMEOUT_S:.0f}")
    return functools.partial(Request, timeout=timeout) if body is None else Request(body, timeout)


class ServiceClient(Named):
    """What TCPServiceClient and HTTPServiceClient share."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        make_coroutines(cls)
        for name, member in list(vars(cls).items()):
            if isinstance(member, Decorated):  # @get here is the verb of a request, not a route
                sends = Request(member.body, member.marks.timeout or TIMEOUT_S)
                sends.verb, sends.name = member.marks.routes[0].method if member.marks.routes else "GET", name
                setattr(cls, name, sends)

    def __init__(self, service_name: str, service_version: Any) -> None:
        super().__init__(service_name, service_version)
        self._calls: Mapping[str, Invoke] | None = None
        self._spawn: Spawn | None = None

    # ---- the host's side ---------------------------------------------------------------------------------------------
    def __take_calls__(self, calls: Any, spawn: Spawn) -> None:
        """The host hands over what :meth:`__compose__` made, or an object that stands for the service in a test."""
        self._calls, self._spawn = calls if isinstance(calls, Mapping) else _Stand(calls), spawn

    def __compose__(self, invoker: Invoker) -> Mapping[str, Invoke]:
        """Method -> the function that calls it through `invoker`."""
        return {name: invoker.bind(self.__endpoint__(sends)) for name, sends in self.__requests__()}

    @classmethod
    def __requests__(cls) -> Sequence[tuple[str, Request]]:
        members = {name: inspect.getattr_static(cls, name) for base in cls.__mro__ for name in vars(base)}
        return [(name, each) for name, each in members.items() if isinstance(each, Request)]

    @classmethod
    def __subscriptions__(cls) -> Sequence[tuple[str, Subscribed]]:
        members = {name: inspect.getattr_static(cls, name) for base in reversed(cls.__mro__) for name in vars(base)}
        return [(name, each) for name, body in members.items() for each in notes(body) if isinstance(each, Subscribed)]

    def __endpoint__(self, sends: Request) -> EndpointDescription:
        """What is called by `sends`."""
        raise NotImplementedError

    def __call_out__(self, sends: Request, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the service; the Future has the result."""
        if self._calls is None or self._spawn is None:
            raise UsageError(
                f"{type(self).__name__}.{sends.name} has no host to call through: put the client into the `clients` of a "
                "service before the host runs it"
            )
        said = sends.body(self, *args, **kwargs)
        future: Future[Any] = self._spawn(
            self._outcome(sends, self._calls[sends.name], said), name=f"request {self.name}.{sends.name}"
        )
        return future

    async def _outcome(self, sends: Request, call: Invoke, said: Any) -> Any:
        given = await said if inspect.isawaitable(said) else said
        arguments, options = self.__split__(sends, given)
        try:
            return await call(arguments, None, options)
        except (CallError, ServiceError) as error:
            found = translated(error)
            if found is error:
                raise
            raise found from error

    def __split__(self, sends: Request, said: Any) -> tuple[Any, CallOptions]:
        """(arguments, options) out of what the body returned. Raises UsageError when it is no dict."""
        if not isinstance(said, Mapping):
            raise UsageError(f"{type(self).__name__}.{sends.name} returned {said!r}: return a dict, such as locals()")
        arguments = as_arguments(self, sends.body, said)
        entity, app = arguments.pop("entity", None), arguments.pop("app_name", None)
        return arguments, CallOptions(
            timeout=sends.timeout,
            entity=None if entity is None else str(entity),
            metadata={"app": str(app)} if app is not None else None,
        )


def as_arguments(owner: object, body: Callable[..., Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What a body returned, as arguments. In ``locals()``, known by the `self` in it, other local names are left out."""
    if said.get("self") is not owner:
        return dict(said)
    parameters = inspect.signature(body).parameters.values()
    found = {
        each.name: said[each.name] for each in parameters if each.name in said and each.kind is not each.VAR_KEYWORD
    }
    found.pop("self", None)
    for each in parameters:
        if each.kind is each.VAR_KEYWORD:
            found |= said.get(each.name, {})
    return found


class _Stand(dict[str, Invoke]):
    """An object that stands for the service in a test: its methods are called with keyword arguments."""

    def __init__(self, stand: object) -> None:
        super().__init__()
        self._object = stand

    def __missing__(self, name: str) -> Invoke:
        method = getattr(self._object, name)

        def call(arguments: Any, _inbound: Any, _options: CallOptions | None) -> Coroutine[Any, Any, Any]:
            result: Coroutine[Any, Any, Any] = method(**arguments)
            return result

        return call


class TCPServiceClient(ServiceClient):
    """A client of a service: @request methods call it, @subscribe and @xsubscribe methods get its events. It belongs in
    the `clients` of the service that uses it, which depends on the other one then."""

    def __init__(self, service_name: str, service_version: Any, ssl_context: Any = None) -> None:
        super().__init__(service_name, service_version)
        self.ssl_context = ssl_context

    def __endpoint__(self, sends: Request) -> EndpointDescription:
        """An untyped call: the service's signature is known over there."""
        return EndpointDescription(
            service=self.name, version=str(parse(self.version)), name=sends.name, kind=Kind.UNARY,
            arguments=dict[str, Any], result=Any, timeout_s=sends.timeout, raises=(ANSWERED,),
        )  # fmt: skip


class HTTPServiceClient(ServiceClient):
    """A client of a service's routes: a method decorated with @get, @post, ... returns a dict with `path` and what else
    the request has (`params, data, headers, cookies, auth, allow_redirects, compress, chunked`); awaiting the call gives the
    web framework's response."""

    def __endpoint__(self, sends: Request) -> EndpointDescription:
        """A raw HTTP call."""
        return EndpointDescription(
            service=self.name, version=str(parse(self.version)), name=sends.name, kind=Kind.HTTP, arguments=HttpRequest,
            timeout_s=sends.timeout, http=(HttpBinding(method=sends.verb, path=""),), transports=frozenset({"http"}),
        )  # fmt: skip

    def __split__(self, sends: Request, said: Any) -> tuple[Any, CallOptions]:
        """The request as it is sent; of ``locals()``, known by the `self` in it, what has the name of a part of it. Raises UsageError when
        it has no path, or something unknown in it."""
        if isinstance(said, Mapping) and said.get("self") is self:
            said = {name: value for name, value in said.items() if name in SENT}
        given, options = super().__split__(sends, said)
        try:
            found = HttpRequest(method=sends.verb, **given)
        except TypeError as error:
            raise UsageError(
                f"{type(self).__name__}.{sends.name} returned {', '.join(given)}: {error}; it takes "
                f"{', '.join(HttpRequest.__struct_fields__[1:])}, entity, app_name"
            ) from error
        app = (options.metadata or {}).get("app")
        found.params = {**(found.params or {}), "version": self.version, "service": self.name} | (
            {"app": app} if app else {}
        )
        return found, options
