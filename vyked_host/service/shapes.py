"""One body -> its shape: kind, a Struct of its arguments, the type of its result. Reflection happens here, at start-up,
once per body; the shape is kept on the endpoint so that a service and its clients in one process share the Struct.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect as types

from ..errors import UsageError
from ..model.description import Kind
from ..model.values import Value
from .annotations import awaited, generator_result, hints_of, is_request, is_response, stream_item
from .endpoints import Decorated, StreamEndpoint
from .places import Place

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SYNC_STREAMS = ("Iterator", "Iterable", "Generator")


class Style(Enum):
    """How a body is written, which decides how it is run."""

    COROUTINE = "async def"
    GENERATOR = "generator"
    PLAIN = "def"
    UNKNOWN = "def without annotation: its result may be awaitable"
    STREAM = "async generator"


class Shape(Value):
    """What a signature says. `positional` and `keyword` name all parameters in order, the stream and the request among
    them; `untyped`: the arguments are a dict (ancestor's bodies with ``**kwargs``)."""

    kind: Kind
    style: Style
    arguments: Any
    result: Any
    inbound: Any = None
    stream_parameter: str = ""
    request_parameter: str = ""
    positional: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    untyped: bool = False

    @property
    def stream_position(self) -> int:
        """Where the stream stands among the positional parameters; -1: by keyword only."""
        return self.positional.index(self.stream_parameter) if self.stream_parameter in self.positional else -1


def shape_of(endpoint: Decorated, place: Place, *, lenient: bool = False) -> Shape:
    """The shape of an endpoint. `lenient`: the ancestor's rules, where annotations may be absent and ``**kwargs`` is
    allowed. Raises UsageError saying which parameter is at fault and what to write instead."""
    if endpoint.shape is None:
        endpoint.shape = Reading(endpoint, place, lenient).shape()
    found: Shape = endpoint.shape
    return found


class Reading:
    """Reads one signature."""

    def __init__(self, endpoint: Decorated, place: Place, lenient: bool) -> None:
        self.endpoint, self.place, self.lenient = endpoint, place, lenient
        self.body: Callable[..., Any] = endpoint.body
        self.hints = resolve(self.body, place)
        self.parameters = self._parameters()
        self.open_ended = any(each.kind is each.VAR_KEYWORD for each in self.parameters)

    def shape(self) -> Shape:
        """The whole of it."""
        streams = {name: item for name, hint in self.hints.items() if name != "return" and (item := stream_item(hint))}
        if len(streams) > 1:
            raise self.place.fault(
                f"{' and '.join(streams)} are streams", "a method can take one; combine their items in one"
            )
        result, style = self._result()
        request = self._request()
        kind = self._kind(style, bool(streams), request, result)
        stream = next(iter(streams), "")
        if stream:
            ensure_travels(streams[stream], f"each item of {stream!r}", self.place)
        positional, keyword = self.names()
        if kind is not Kind.HTTP:
            ensure_travels(result, "the result", self.place)
        return Shape(
            kind=kind, style=style, result=None if kind is Kind.HTTP else result,
            arguments=dict[str, Any] if self.open_ended else self.arguments({stream, request}),
            inbound=streams.get(stream), stream_parameter=stream, request_parameter=request, untyped=self.open_ended,
            positional=positional, keyword=keyword,
        )  # fmt: skip

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The parameters that can be given by position, and those that can't."""
        return (
            tuple(each.name for each in self.parameters if each.kind in _POSITIONAL),
            tuple(each.name for each in self.parameters if each.kind is each.KEYWORD_ONLY),
        )

    def _parameters(self) -> list[inspect.Parameter]:
        found = list(inspect.signature(self.body).parameters.values())
        if not found or found[0].kind not in _POSITIONAL:
            raise self.place.fault("it takes no self", "make it a method")
        for each in found[1:]:
            refused = each.kind is each.VAR_POSITIONAL or (each.kind is each.VAR_KEYWORD and not self.lenient)
            if refused:
                raise self.place.fault(
                    f"{str(each).partition(':')[0]} can't be described to callers", "name each parameter and its type"
                )
        return found[1:]

    def _request(self) -> str:
        named = [each.name for each in self.parameters if is_request(self.hints.get(each.name))]
        if named:
            return named[0]
        only = self.parameters[0] if len(self.parameters) == 1 else None
        bare = only is not None and self.hints.get(only.name, Any) is Any and not self.endpoint.marks.exposed
        if bare and only is not None and self.endpoint.marks.routes and (only.name == "request" or self.lenient):
            return only.name
        return ""

    def _result(self) -> tuple[Any, Style]:
        hint = self.hints.get("return", Any)
        if isinstance(self.endpoint, StreamEndpoint):
            return stream_item(hint) or Any, Style.STREAM
        if stream_item(hint) is not None:
            fix = (
                "write `def` without async"
                if inspect.iscoroutinefunction(self.body)
                else "write AsyncIterator[...] by that name"
            )
            raise self.place.fault(
                "it answers with a stream, but can't be seen to before it is called", f"use yield, or {fix}"
            )
        if inspect.isgeneratorfunction(self.body):
            if getattr(hint, "__name__", "") in _SYNC_STREAMS and generator_result(hint) is hint:
                raise self.place.fault("a plain generator can't stream", "write `async def` and AsyncIterator[...]")
            return generator_result(hint), Style.GENERATOR
        if inspect.iscoroutinefunction(self.body):
            return hint, Style.COROUTINE
        inner, is_awaitable = awaited(hint)
        return inner, Style.UNKNOWN if is_awaitable or "return" not in self.hints else Style.PLAIN

    def _kind(self, style: Style, streams_in: bool, request: str, result: Any) -> Kind:
        if request or (is_response(result) and style is not Style.STREAM):
            self._check_raw(streams_in)
            return Kind.HTTP
        if style is Style.STREAM:
            return Kind.BOTH_WAYS if streams_in else Kind.SERVER_STREAM
        return Kind.CLIENT_STREAM if streams_in else Kind.UNARY

    def _check_raw(self, streams_in: bool) -> None:
        marks = self.endpoint.marks
        if marks.exposed:
            raise self.place.fault(
                "it works on raw HTTP requests or responses, so other services can't call it", "remove @api"
            )
        if not marks.routes:
            raise self.place.fault("it works on raw HTTP requests or responses", "give it a route with @get or @post")
        if streams_in or marks.blocking:
            raise self.place.fault(
                "a raw HTTP method can't take a stream of items or block", "use the request's own content"
            )

    def arguments(self, left_out: set[str]) -> type[msgspec.Struct]:
        """The Struct of all parameters but those."""
        taken = [each for each in self.parameters if each.name not in left_out]
        positional = [self._field(each) for each in taken if each.kind in _POSITIONAL]
        keyword = [self._field(each) for each in taken if each.kind is each.KEYWORD_ONLY]
        name = "".join(part.capitalize() for part in self.endpoint.name.split("_")) + "Arguments"
        bases = (self._struct(name, keyword, (), kw_only=True),) if keyword else ()
        return self._struct(name, positional, bases, kw_only=False)

    def _struct(
        self, name: str, fields: list[Any], bases: tuple[type[msgspec.Struct], ...], *, kw_only: bool
    ) -> type[msgspec.Struct]:
        try:
            return msgspec.defstruct(
                name,
                fields,
                bases=bases or None,
                module=self.body.__module__,
                forbid_unknown_fields=True,
                kw_only=kw_only,
            )
        except TypeError as error:
            raise self.place.fault(str(error), "use None or a tuple as the default") from error

    def _field(self, parameter: inspect.Parameter) -> tuple[Any, ...]:
        hint = self.hints.get(parameter.name, Any)
        ensure_travels(hint, f"parameter {parameter.name!r}", self.place)
        if parameter.default is parameter.empty:
            return (parameter.name, hint)
        if isinstance(parameter.default, (list, dict, set, bytearray)) and parameter.default:
            raise self.place.fault(
                f"the default of {parameter.name!r} could be changed", "use None or a tuple as the default"
            )
        return (parameter.name, hint, parameter.default)


def resolve(body: Callable[..., Any], place: Place) -> dict[str, Any]:
    """The hints of `body`; raises UsageError when a name in them can't be found."""
    try:
        found = hints_of(body)
    except (NameError, TypeError, AttributeError) as error:
        raise place.fault(
            f"an annotation can't be resolved ({error})",
            "define or import the name at the top of the module, not in a function",
        ) from error
    return {name: type(None) if hint is None else hint for name, hint in found.items()}


# ---- what can travel -------------------------------------------------------------------------------------------------
def ensure_travels(hint: Any, what: str, place: Place) -> None:
    """Raises UsageError when values of type `hint` can't be encoded and validated."""
    remedy = "use a msgspec.Struct, a dataclass, a TypedDict, or plain types"
    try:
        msgspec.msgpack.Decoder(hint)
        info = types.type_info(hint)
    except (TypeError, NameError, ValueError, UsageError) as error:
        raise place.fault(f"the type of {what} can't be used: {error}", remedy) from error
    for foreign in foreign_types(info):
        raise place.fault(f"{what} has {foreign.__module__}.{foreign.__qualname__} in it, which can't travel", remedy)


def foreign_types(info: Any) -> Iterator[type[Any]]:
    """The classes inside a type that the serializers know nothing about."""
    seen: set[int] = set()
    waiting = [info]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, types.CustomType):
            yield found.cls
        elif isinstance(found, (types.Type, types.Field)):
            waiting.extend(getattr(found, name) for name in found.__struct_fields__)
        elif isinstance(found, tuple):
            waiting.extend(found)
