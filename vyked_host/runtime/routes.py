"""One endpoint made ready to run: handler, middleware, codecs and counters put together once, at composition."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, Literal

import msgspec

from ..contracts import CallWatch, Codec, Middleware, Proceed, WatchesCalls
from ..model.description import DeclaredError, EndpointDescription, Kind
from ..routing.concurrency import Pace
from .codecs import AS_IS, Codecs
from .invocation import NEVER_BEGUN, Invocation
from .keyed import KeyedInvocation
from .keys import Keys
from .outcomes import declared
from .statistics import CallCounters
from .streamed import Streaming, serve_stream

Handler = Callable[..., Any]


def compose(
    endpoint: EndpointDescription,
    side: Literal["client", "server", "consumer"],
    chain: Sequence[Middleware],
    innermost: Proceed,
) -> Proceed:
    """`innermost` inside the middlewares, the first of `chain` outermost."""
    proceed = innermost
    for middleware in reversed(chain):
        proceed = middleware.wrap(endpoint, side, proceed)
    return proceed


def watched(
    endpoint: EndpointDescription, chain: Sequence[Middleware]
) -> tuple[CallWatch | None, Sequence[Middleware]]:  # fmt: skip
    """What hears how calls of `endpoint` end, where the outermost of `chain` only wants to hear it; and those that wrap."""
    first = chain[0] if chain else None
    return (first.watch(endpoint, "server"), chain[1:]) if isinstance(first, WatchesCalls) else (None, chain)


class BoundCodecs:
    """The codecs of one endpoint under one serializer name."""

    __slots__ = ("decode", "decode_item", "encode")

    def __init__(self, arguments: Codec, result: Codec, inbound: Codec) -> None:
        self.decode, self.encode, self.decode_item = arguments.decode, result.encode, inbound.decode


class Route:
    """What the dispatcher needs of one endpoint. `open` turns False while its service waits or drains; `examined`: not every call
    that comes is run even then; `is_plain`: it is open, and nothing about its calls has to be looked at; `is_near`: nor about those from this process.
    `watch` hears how its calls end, of those that go well where they took `told_s` seconds."""

    __slots__ = (
        "_open", "allow", "checks", "closed_reason", "codecs", "counters", "declared", "endpoint", "examined", "handler", "invocation", "is_near", "is_plain", "limit", "mishap", "pace", "proceed", "result_class", "seconds", "streams", "timeout_s", "told_s", "watch",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: EndpointDescription,
        handler: Handler,
        chain: Sequence[Middleware],
        codecs: Codecs,
        threads: Executor,
        keys: Keys | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.counters = CallCounters("server")
        self.seconds = self.counters.tally.seconds
        self.handler = _prepared(endpoint, handler, threads, self.counters)
        self.streams = endpoint.kind.streams_out or endpoint.kind.streams_in
        innermost = serve_stream if self.streams else self.handler
        self.invocation: type[Invocation] = Streaming if self.streams else Invocation
        if endpoint.keyed and keys is not None:
            innermost, self.invocation = keys.around(self, innermost), KeyedInvocation
        has_one_answer = not self.streams and endpoint.kind is not Kind.WEBSOCKET
        self.watch, chain = (
            watched(endpoint, chain) if has_one_answer and self.invocation is Invocation else (None, chain)
        )
        self.told_s = self.watch.slow_s if self.watch is not None else math.inf
        self.mishap: BaseException | None = None
        self.proceed = compose(endpoint, "server", chain, innermost)
        self.codecs = bind_all(endpoint, codecs)
        self.declared: Mapping[str, DeclaredError] = declared(endpoint)
        self.pace = Pace() if has_one_answer and endpoint.lane == "normal" else None
        self.limit, self.timeout_s = endpoint.concurrency, endpoint.timeout_s
        self.allow = endpoint.allow
        self.examined = self.limit is not None or bool(self.allow) or endpoint.lane == "control"
        self.open = True
        self.closed_reason = ""
        self.result_class = endpoint.result if isinstance(endpoint.result, type) else None
        self.checks = endpoint.result is not Any and not endpoint.kind.is_raw

    @property
    def open(self) -> bool:
        """Are calls let in?"""
        return self._open

    @open.setter
    def open(self, value: bool) -> None:
        self._open = value
        self.is_near = value and self.limit is None and self.endpoint.lane == "normal"
        self.is_plain = value and not self.examined and self.timeout_s is None

    def tell(self, arguments: Any, elapsed_s: float, error: BaseException | None = None) -> None:
        """A call has ended: whoever watches hears of it. Raises what that one raises, which is the route's `mishap`."""
        if self.watch is not None:
            try:
                self.watch.ended(arguments, elapsed_s, error)
            except BaseException as mishap:
                self.mishap = mishap
                raise

    def checked(self, result: Any) -> Any:
        """`result`, where it is of the type that was declared. Raises msgspec.ValidationError."""
        if result.__class__ is self.result_class or not self.checks:
            return result
        return msgspec.convert(result, self.endpoint.result, from_attributes=False)


def bind_all(endpoint: EndpointDescription, codecs: Codecs) -> dict[str, BoundCodecs]:
    """Serializer name -> the endpoint's codecs; raw endpoints have one that changes nothing."""
    if endpoint.kind in (Kind.HTTP, Kind.WEBSOCKET):
        return {"raw": BoundCodecs(AS_IS, AS_IS, AS_IS)}
    found = {
        name: BoundCodecs(
            codecs.bind(endpoint.arguments, name),
            codecs.bind(endpoint.result, name),
            codecs.bind(endpoint.inbound if endpoint.kind.streams_in else Any, name),
        )
        for name in codecs.names
    }
    found["object"] = BoundCodecs(AS_IS, AS_IS, AS_IS)
    return found


def _prepared(endpoint: EndpointDescription, handler: Handler, threads: Executor, counters: CallCounters) -> Handler:
    if endpoint.kind is Kind.HTTP or (endpoint.kind is Kind.WEBSOCKET and not endpoint.stream_parameter):
        return _with_raised_responses(handler)
    return _in_threads(handler, threads, counters) if endpoint.blocking else handler


def _with_raised_responses(handler: Handler) -> Handler:
    """The web framework's exceptions are responses (redirects, refusals): raised by a raw handler, they are its answer."""

    async def answer(request: Any) -> Any:
        try:
            return await handler(request)
        except Exception as error:
            if hasattr(error, "prepare"):
                return error
            raise

    return answer


class Place(Executor):
    """A place among the threads, for one piece of work: it keeps hold of it, which `run_in_executor` does not."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self.work: Future[Any]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start it."""
        self.work = self._threads.submit(fn, *args, **kwargs)
        return self.work


def _in_threads(
    body: Callable[[Any], Any], threads: Executor, counters: CallCounters
) -> Callable[[Any], Awaitable[Any]]:
    """`body` in a thread, with the context of its call. A thread can't be interrupted: a call that is cancelled counts as
    running until its thread has ended, so that `concurrency` holds for threads too."""

    def run(arguments: Any) -> Any:
        try:
            return body(arguments)
        except StopIteration as error:  # a Future can't hold it: whoever awaits would wait for ever
            raise RuntimeError("a blocking handler raised StopIteration") from error

    async def in_thread(arguments: Any) -> Any:
        loop, place = asyncio.get_running_loop(), Place(threads)
        answer = loop.run_in_executor(place, copy_context().run, run, arguments)
        try:
            return await answer
        except asyncio.CancelledError as error:
            if place.work.cancel():
                error.args = NEVER_BEGUN
            else:
                _occupied(place.work, counters, loop)
            raise

    return in_thread


def _occupied(work: Future[Any], counters: CallCounters, loop: asyncio.AbstractEventLoop) -> None:
    counters.in_flight += 1

    def free() -> None:
        counters.in_flight -= 1

    def ended(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
            loop.call_soon_threadsafe(free)

    work.add_done_callback(ended)
