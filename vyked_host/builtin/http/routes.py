"""What answers a request: a route of a service (typed or raw), or the one path of all calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from aiohttp import hdrs, web

from ...contracts import HttpBinding, Kind
from ...model.version import compatible, parse
from . import headers
from .binding import FORM, Binder, check_required
from .cors import NOBODY
from .exchange import Exchange
from .exposed import Exposed, codecs_of
from .framing import FRAMES, NDJSON, Events, Framing, Lines, framing_for, splitter_for
from .negotiation import DEFAULT, Negotiation, wants_events
from .reading import Inlet, content_type, invite, whole_already, whole_body
from .refusal import JSON, Refused, failure
from .request import EdgeRequest
from .running import Incoming, Runner, as_response
from .websocket.census import Sockets
from .websocket.route import SocketRoute, endless
from .whole import Whole, answer, comes_whole


class Route(Protocol):
    """Answers the requests of one verb and path."""

    exposed: Exposed
    binding: HttpBinding
    origins: frozenset[str]

    async def answer(self, request: EdgeRequest) -> web.StreamResponse:
        """The answer. Raises Refused."""
        ...


class Makes(NamedTuple):
    """What routes are made of."""

    runner: Runner
    negotiation: Negotiation
    sockets: Sockets


def make_route(exposed: Exposed, binding: HttpBinding, makes: Makes) -> Route:
    """The route of `binding`. Raises UsageError when its path and its method don't fit."""
    if exposed.endpoint.kind is Kind.WEBSOCKET and exposed.endpoint.stream_parameter:
        return SocketRoute(exposed, binding, makes.runner, makes.sockets)
    if exposed.endpoint.kind.is_raw:
        return RawRoute(exposed, binding, makes.runner, makes.sockets)
    streams = exposed.endpoint.kind.streams_in or exposed.endpoint.kind.streams_out
    return (StreamingRoute if streams else TypedRoute)(exposed, binding, makes.runner, makes.negotiation)


class RawRoute:
    """Hands aiohttp's request to the handler, and sends the response it makes."""

    def __init__(self, exposed: Exposed, binding: HttpBinding, runner: Runner, sockets: Sockets) -> None:
        self.exposed, self.binding, self._runner, self._sockets = exposed, binding, runner, sockets
        self._socket = exposed.endpoint.kind is Kind.WEBSOCKET
        self.origins = NOBODY if self._socket else frozenset(binding.origins)  # those of a socket are checked, not told

    async def answer(self, request: EdgeRequest) -> web.StreamResponse:
        """What the handler answers."""
        check_required(request, self.binding.required_params)
        if self._socket:
            self._sockets.check_origin(request, self.binding.origins)
        await invite(request)
        call = self._runner.call(request, self.exposed, "raw", request)
        exchange = await self._runner.unary(endless(call) if self._socket else call, apart=self._socket)
        if exchange.fault is not None:
            return failure(exchange.fault, raises=self.exposed.endpoint.raises)
        return as_response(exchange.body)


class TypedRoute:
    """Binds the request to the parameters of the method, and encodes what it returns."""

    def __init__(self, exposed: Exposed, binding: HttpBinding, runner: Runner, negotiation: Negotiation) -> None:
        self.exposed, self.binding, self.origins = exposed, binding, frozenset(binding.origins)
        self._runner, self._negotiation = runner, negotiation
        self._binder = Binder(exposed.endpoint, binding, lambda shape: codecs_of(shape, negotiation.serializers))
        self._answers = {
            name: (codec.encode, negotiation.content_type(name)) for name, codec in exposed.results.items()
        }
        self._reads_body, self._negotiates = self._binder.reads_body, not self._binder.takes_anything
        self._result = exposed.endpoint.result
        self._whole = comes_whole(binding.status)
        self._silent = self._result in (None, type(None)) and binding.status == 200

    async def answer(self, request: EdgeRequest) -> web.StreamResponse:
        """The result, encoded as the client accepts it."""
        arguments = await self._arguments(request) if self._reads_body else self._binder.bind(request, b"", DEFAULT)
        exchange = await self._runner.unary(self._runner.call(request, self.exposed, "object", arguments))
        return self._answered(request, exchange)

    def _answered(self, request: EdgeRequest, exchange: Exchange) -> web.StreamResponse:
        if exchange.fault is not None:
            return failure(exchange.fault, raises=self.exposed.endpoint.raises)
        result = exchange.body
        if self._silent or (result.__class__ is not self._result and isinstance(result, web.StreamResponse)):
            return self._unencoded(result)
        accept = request.headers.get(hdrs.ACCEPT)
        encode, said = self._answers[self._negotiation.of_answer(accept) if accept else DEFAULT]
        try:
            body = encode(result)
        except (TypeError, ValueError) as error:
            return failure(self._runner.unencodable(error))
        if self._whole and request.method != "HEAD":
            return Whole(self.binding.status, body, said)  # type: ignore[return-value]
        return answer(request, self.binding.status, body, said)

    async def _arguments(self, request: web.Request) -> Any:
        if request.headers.get(hdrs.CONTENT_TYPE) == JSON and self._negotiates:
            serializer = self._negotiation.of_json
        else:
            said = content_type(request)
            form = said == FORM or not self._negotiates
            serializer = FORM if form else self._negotiation.of_body(said)
        body = whole_already(request)
        return self._binder.bind(request, await whole_body(request) if body is None else body, serializer)

    def _unencoded(self, result: Any) -> web.StreamResponse:
        return as_response(result) if isinstance(result, web.StreamResponse) else web.Response(status=204)


class StreamingRoute(TypedRoute):
    """The same where the request, the answer or both are streams."""

    async def answer(self, request: EdgeRequest) -> web.StreamResponse:
        """The items as they come, or what became of those of the request."""
        streams_in, streams_out = self.exposed.endpoint.kind.streams_in, self.exposed.endpoint.kind.streams_out
        incoming = _incoming(request, self.exposed, "object", DEFAULT) if streams_in else None
        arguments = await self._arguments(request) if self._reads_body else self._binder.bind(request, b"", DEFAULT)
        call = self._runner.call(request, self.exposed, "object", arguments)
        if streams_out:
            return await self._stream(request, call, request.headers.get(hdrs.ACCEPT, ""), incoming)
        return self._answered(request, await self._runner.unary(call, incoming))

    async def _stream(
        self, request: web.Request, call: Any, accept: str, incoming: Incoming | None
    ) -> web.StreamResponse:
        framing: Framing = Events() if wants_events(accept) else Lines()
        if request.method == "HEAD":
            return web.Response(content_type=framing.content_type)
        encode = self.exposed.results[DEFAULT].encode
        return await self._runner.stream(request, self.exposed, call, framing, encode, incoming)


class CallRoute:
    """``POST /-/call/SERVICE/METHOD[@VERSION]``: every endpoint that is not a raw one."""

    exposed, origins = None, NOBODY

    def __init__(self, exposed: tuple[Exposed, ...], runner: Runner, negotiation: Negotiation, limit: int) -> None:
        self._runner, self._negotiation, self._limit = runner, negotiation, limit
        self._services: dict[str, dict[str, list[Exposed]]] = {}
        for each in exposed:
            if each.endpoint.kind not in (Kind.HTTP, Kind.WEBSOCKET):
                methods = self._services.setdefault(each.endpoint.service, {})
                methods.setdefault(each.endpoint.name, []).append(each)
        for methods in self._services.values():
            for found in methods.values():
                found.sort(key=lambda each: parse(each.endpoint.version).key(), reverse=True)

    async def answer(self, request: EdgeRequest) -> web.StreamResponse:
        """Run the call that the path names."""
        exposed = request.exposed = self.find(*_named(request.path))
        serializer = self._serializer(request, exposed)
        if exposed.endpoint.kind.streams_in:
            return await self._streaming(request, exposed, serializer)
        body = whole_already(request)
        if body is None:
            body = await whole_body(request)
        return await self._answered(request, exposed, serializer, body, None)

    def find(self, service: str, method: str, version: str | None) -> Exposed:
        """The endpoint, the highest compatible version. Raises Refused (404, 409) saying what exists."""
        methods = self._services.get(service)
        if methods is None:
            known = ", ".join(sorted(self._services)) or "none"
            raise Refused("NOT_FOUND", f"no service {service!r} here; there are: {known}")
        found = methods.get(method)
        if found is None:
            raise Refused("NOT_FOUND", f"{service} has no method {method!r}; it has: {', '.join(sorted(methods))}")
        if version is None:
            return found[0]
        for each in found:
            if compatible(each.endpoint.version, version):
                return each
        have = ", ".join(each.endpoint.version for each in found)
        raise Refused("VERSION_MISMATCH", f"{service}.{method}: {version} was asked for, here is {have}")

    def _serializer(self, request: EdgeRequest, exposed: Exposed) -> str:
        said = content_type(request)
        if exposed.endpoint.kind.streams_in:
            if said == FRAMES:
                return _frames_serializer(request, self._negotiation)
            if said != NDJSON:
                raise Refused("INVALID_ARGUMENT", f"{exposed.endpoint.path} takes a stream: {NDJSON}", status=415)
            return DEFAULT
        return self._negotiation.of_body(said)

    async def _streaming(self, request: EdgeRequest, exposed: Exposed, serializer: str) -> web.StreamResponse:
        """The first item of the body holds the arguments, each further one is an item of the stream."""
        request.connection.expect_stream()
        await invite(request)
        inlet = Inlet(request, splitter_for(serializer, self._limit))
        try:
            first = await inlet.next()
        except (ValueError, web.RequestPayloadError) as error:
            raise Refused("INVALID_ARGUMENT", f"the arguments can't be read: {error}") from None
        incoming = Incoming(inlet, _as_is)
        return await self._answered(request, exposed, serializer, first or b"", incoming)

    async def _answered(
        self, request: EdgeRequest, exposed: Exposed, serializer: str, body: bytes, incoming: Incoming | None
    ) -> web.StreamResponse:
        if not body:
            body = exposed.arguments[serializer].encode({})
        answer_in = self._negotiation.of_answer(request.headers.get("Accept", ""), serializer)
        if exposed.endpoint.kind.streams_out:
            call = self._runner.call(request, exposed, serializer, body)
            accepted = serializer == DEFAULT and wants_events(request.headers.get("Accept", ""))
            framing = Events() if accepted else framing_for(serializer)
            return await self._runner.stream(request, exposed, call, framing, bytes, incoming)
        if answer_in != serializer and incoming is None:
            return await self._transcoded(request, exposed, serializer, answer_in, body)
        exchange = await self._runner.unary(self._runner.call(request, exposed, serializer, body), incoming)
        if exchange.fault is not None:
            return failure(exchange.fault, raises=exposed.endpoint.raises)
        return answer(request, 200, exchange.body, self._negotiation.content_type(serializer))

    async def _transcoded(
        self, request: EdgeRequest, exposed: Exposed, serializer: str, answer_in: str, body: bytes
    ) -> web.StreamResponse:
        """The body came in one serializer, the answer is wanted in another: both are coded here."""
        try:
            arguments = exposed.arguments[serializer].decode(body)
        except ValueError as error:
            raise Refused("INVALID_ARGUMENT", f"{exposed.endpoint.path}: {error}") from None
        exchange = await self._runner.unary(self._runner.call(request, exposed, "object", arguments))
        if exchange.fault is not None:
            return failure(exchange.fault, raises=exposed.endpoint.raises)
        return encoded(self._runner, exposed, self._negotiation, answer_in, exchange.body, 200)


def encoded(
    runner: Runner, exposed: Exposed, negotiation: Negotiation, name: str, result: Any, status: int
) -> web.Response:
    """`result` in the serializer `name`; an INTERNAL error when it can't be encoded."""
    try:
        body = exposed.results[name].encode(result)
    except (TypeError, ValueError) as error:
        return failure(runner.unencodable(error))
    return web.Response(body=body, status=status, content_type=negotiation.content_type(name))


def _incoming(request: EdgeRequest, exposed: Exposed, codec: str, serializer: str) -> Incoming:
    request.connection.expect_stream()
    decode: Callable[[bytes], Any] = exposed.inbound[serializer].decode if codec == "object" else _as_is
    return Incoming(Inlet(request, splitter_for(serializer, request.client_max_size)), decode)


def _as_is(item: bytes) -> bytes:
    return item


def _frames_serializer(request: EdgeRequest, negotiation: Negotiation) -> str:
    name = request.headers.get(headers.SERIALIZER, DEFAULT)
    if name not in negotiation.serializers:
        raise Refused("INVALID_ARGUMENT", f"no serializer {name!r} here", status=415)
    return name


def _named(path: str) -> tuple[str, str, str | None]:
    """``/-/call/SERVICE/METHOD@VERSION`` -> its parts. Raises Refused (404)."""
    parts = path.removeprefix("/-/call/").split("/")
    if len(parts) != 2 or not all(parts):
        raise Refused("NOT_FOUND", f"{path[:200]!r} names no method: POST /-/call/SERVICE/METHOD")
    method, _, version = parts[1].partition("@")
    return parts[0].lower(), method, version or None
