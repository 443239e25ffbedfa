"""A description and an instance -> the functions that the runtime calls. Composed at start-up; a call then spreads its
arguments Struct with one C function and runs the body.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from types import MethodType
from typing import Any, cast

import msgspec
from msgspec.structs import astuple

from ..errors import InvalidPayload
from ..model.description import EndpointDescription, Kind, SubscriptionDescription
from .endpoints import Decorated
from .places import Place, of_member
from .shapes import Shape, Style
from .sockets import SocketShape, over_socket, socket_shape

Handler = Callable[..., Any]


def handler(instance: object, endpoint: EndpointDescription) -> Handler:
    """What runs `endpoint` on `instance`.

    UNARY: (arguments) -> coroutine, or with `endpoint.blocking` a plain function for a thread. SERVER_STREAM:
    (arguments) -> async iterator. CLIENT_STREAM: (arguments, inbound) -> coroutine. BOTH_WAYS: (arguments, inbound) ->
    async iterator. HTTP: (request) -> coroutine of the response. WEBSOCKET: (opening) -> coroutine that lasts as long as
    the socket, or like HTTP where the method takes the request.
    """
    own = getattr(instance, "__handler__", None)
    if own is not None and (found := own(endpoint)) is not None:
        return awaiting(found)
    member = inspect.getattr_static(type(instance), endpoint.name)
    if not isinstance(member, Decorated):
        return _socket(getattr(instance, endpoint.name), of_member(type(instance), endpoint.name, member), endpoint)
    shape: Shape = member.shape
    body = MethodType(member.body, instance)
    if endpoint.kind is Kind.HTTP:
        return raw(body, shape, endpoint)
    return COMPOSERS[endpoint.kind](body, shape, endpoint)


# ---- typed endpoints -------------------------------------------------------------------------------------------------
def spread(body: Handler, shape: Shape) -> Handler:
    """(arguments) -> what the body returns. It has an attribute `by_position` where the body takes no argument otherwise: the body."""
    if shape.untyped:
        return lambda arguments: body(**arguments)
    if not shape.keyword:
        call: Any = _without_fields(body) if not shape.positional else _positional(body)
        call.by_position = body
        return cast("Handler", call)
    count, names = len(shape.positional), shape.keyword

    def with_keywords(arguments: Any) -> Any:
        values = astuple(arguments)
        return body(*values[:count], **dict(zip(names, values[count:], strict=True)))

    return with_keywords


def _positional(body: Handler) -> Handler:
    return lambda arguments: body(*astuple(arguments))


def _without_fields(body: Handler) -> Handler:
    return lambda _arguments: body()


def spread_with(body: Handler, shape: Shape | SocketShape, extra: str) -> Handler:
    """(arguments, value) -> what the body returns; `value` goes to the parameter `extra`."""
    at = shape.positional.index(extra) if extra in shape.positional else -1
    count = len(shape.positional) - (at >= 0)
    names = tuple(each for each in shape.keyword if each != extra)

    def with_extra(arguments: Any, value: Any) -> Any:
        values = astuple(arguments)
        named = dict(zip(names, values[count:], strict=True))
        if at < 0:
            return body(*values[:count], **named, **{extra: value})
        return body(*values[:at], value, *values[at:count], **named)

    return with_extra


def awaited(call: Handler, style: Style) -> Handler:
    """`call` as a function that returns a coroutine, with nothing added to an `async def`."""
    if style is Style.COROUTINE:
        return call
    if style is Style.GENERATOR:

        async def run_generator(*args: Any) -> Any:
            return await call(*args)

        return run_generator
    return awaiting(call) if style is Style.UNKNOWN else at_once(call)


def at_once(call: Handler) -> Handler:
    """A plain function as a coroutine function."""

    async def run(*args: Any) -> Any:
        return call(*args)

    return run


def awaiting(call: Handler) -> Handler:
    """A function that may return an awaitable (a Future, say) as a coroutine function."""

    async def run(*args: Any) -> Any:
        result = call(*args)
        return await result if inspect.isawaitable(result) else result

    return run


def _unary(body: Handler, shape: Shape, endpoint: EndpointDescription) -> Handler:
    call = spread(body, shape)
    return call if endpoint.blocking else awaited(call, shape.style)


def _server_stream(body: Handler, shape: Shape, _endpoint: EndpointDescription) -> Handler:
    call = spread(body, shape)

    def items(arguments: Any) -> AsyncIterator[Any]:
        return aiter(call(arguments))

    return items


def _client_stream(body: Handler, shape: Shape, _endpoint: EndpointDescription) -> Handler:
    return awaited(spread_with(body, shape, shape.stream_parameter), shape.style)


def _both_ways(body: Handler, shape: Shape, _endpoint: EndpointDescription) -> Handler:
    call = spread_with(body, shape, shape.stream_parameter)

    def items(arguments: Any, inbound: AsyncIterator[Any]) -> AsyncIterator[Any]:
        return aiter(call(arguments, inbound))

    return items


COMPOSERS: dict[Kind, Callable[[Handler, Shape, EndpointDescription], Handler]] = {
    Kind.UNARY: _unary,
    Kind.SERVER_STREAM: _server_stream,
    Kind.CLIENT_STREAM: _client_stream,
    Kind.BOTH_WAYS: _both_ways,
}


def _socket(method: Handler, place: Place, endpoint: EndpointDescription) -> Handler:
    if not endpoint.stream_parameter:
        return awaiting(method)
    shape = socket_shape(inspect.unwrap(method.__func__), place)  # type: ignore[attr-defined]  # a bound method
    if shape.arguments is None:
        return over_socket(lambda _arguments, socket: method(socket))
    return over_socket(spread_with(method, shape, shape.parameter))


# ---- raw HTTP --------------------------------------------------------------------------------------------------------
def raw(body: Handler, shape: Shape, endpoint: EndpointDescription) -> Handler:
    """(request) -> coroutine of the response. Parameters beside the request come from path and query."""
    fields: tuple[str, ...] = endpoint.arguments.__struct_fields__ if not shape.untyped else ()
    if not fields:
        call = body if shape.request_parameter else (lambda _request: body())
        return awaited(call, shape.style)
    call = (
        spread_with(body, shape, shape.request_parameter) if shape.request_parameter else _without_request(body, shape)
    )

    def with_parameters(request: Any) -> Any:
        return call(from_request(request, endpoint), request)

    return awaiting(with_parameters)


def _without_request(body: Handler, shape: Shape) -> Handler:
    call = spread(body, shape)
    return lambda arguments, _request: call(arguments)


def from_request(request: Any, endpoint: EndpointDescription) -> Any:
    """The arguments of a raw endpoint, from path and query. Raises InvalidPayload naming the one at fault."""
    values = {**request.query, **request.match_info}
    known = {name: values[name] for name in endpoint.arguments.__struct_fields__ if name in values}
    try:
        return msgspec.convert(known, endpoint.arguments, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidPayload(
            f"{endpoint.path}: {error}", service=endpoint.service, method=endpoint.name, executed="not_executed"
        ) from error


# ---- events and work -------------------------------------------------------------------------------------------------
def subscription_handler(instance: object, subscription: SubscriptionDescription) -> Callable[[Any], Awaitable[None]]:
    """(payload) -> coroutine: the handler of `subscription` on `instance`."""
    own = getattr(instance, "__subscriber__", None)
    found: Callable[[Any], Awaitable[None]] | None = own(subscription) if own is not None else None
    return found or work(instance, subscription.handler)


def work(instance: object, name: str) -> Callable[..., Any]:
    """The @every, @background or event handler `name` as a function that returns a coroutine."""
    method: Handler = getattr(instance, name)
    return method if inspect.iscoroutinefunction(method) else awaiting(method)
