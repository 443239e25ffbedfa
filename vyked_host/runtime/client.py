"""Calls that go out: what a client attribute of a service does. One `ServiceClient` per (consumer, dependency); one
composed function per endpoint. The order of a call: deadline, instance, channel, encode, send, wait, decode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import ContextVar
from time import perf_counter
from typing import Any

import msgspec

from ..contracts import Channel, Clock, Middleware, ObservesOutcomes, Running
from ..errors import RULES, CallError, DeadlineExceeded, Unavailable
from ..model.description import EndpointDescription, Kind
from ..model.message import Call, Fault
from ..routing.outliers import pause, speaks_against
from ..service.clients import CallOptions
from ..service.context import CURRENT
from ..wire import metadata as headers
from .answers import Answer, Reply
from .codecs import AS_IS, Codecs
from .directory import Instance, Target
from .failures import FailureLog
from .links import Way
from .outcomes import unsendable
from .pending import Pending
from .routes import compose
from .statistics import CallCounters
from .tasks import TaskScope

HOP_S = 0.005
"""What a nested call leaves of its caller's time for the way back (docs/semantics.md, deadlines)."""
STREAM_TIMEOUT_S = 600.0
REST_S = 1.0
"""How long an instance that could not be dialled is passed over."""
ATTEMPTS = 3
_OPTIONS: ContextVar[CallOptions | None] = ContextVar("call_options", default=None)
_NONE = CallOptions()


class ClientCodecs:
    """Encode arguments, decode results, encode stream items: under one serializer."""

    __slots__ = ("decode", "encode", "encode_item")

    def __init__(self, endpoint: EndpointDescription, codecs: Codecs, name: str) -> None:
        if endpoint.kind in (Kind.HTTP, Kind.WEBSOCKET):
            self.encode: Callable[[Any], Any] = _request
            self.decode: Callable[[Any], Any] = AS_IS.decode
            self.encode_item: Callable[[Any], Any] = AS_IS.encode
            return
        inbound = endpoint.inbound if endpoint.kind.streams_in else Any
        if name == "object":
            self.encode = codecs.handed_over(endpoint.arguments).encode
            self.decode = codecs.answered(endpoint.result).encode
            self.encode_item = codecs.answered(inbound).encode
        else:
            self.encode = codecs.bind(endpoint.arguments, name).encode
            self.decode = codecs.bind(endpoint.result, name).decode
            self.encode_item = codecs.bind(inbound, name).encode


def _request(arguments: Any) -> Any:
    """A raw request as a mapping, whoever described it."""
    return msgspec.structs.asdict(arguments) if isinstance(arguments, msgspec.Struct) else arguments


class ServiceClient:
    """`service.clients.Invoker` on the runtime."""

    def __init__(
        self, *, target: Target, codecs: Codecs, clock: Clock, pending: Pending, chain: Sequence[Middleware],
        tasks: TaskScope, caller: str, balancer: object, failures: FailureLog | None = None, eject_s: float = 30.0,
    ) -> None:  # fmt: skip
        self.eject_s = eject_s
        self.failures = failures or FailureLog(clock, "")
        self.target, self.codecs, self.clock, self.pending = target, codecs, clock, pending
        self.chain, self.tasks, self.caller = tuple(chain), tasks, caller
        self.observer = balancer if isinstance(balancer, ObservesOutcomes) else None
        self.counters: dict[str, CallCounters] = {}

    def bind(self, endpoint: EndpointDescription) -> Callable[..., Any]:
        """(arguments, inbound, options) -> a coroutine of the result, or a Reply where the answer is a stream."""
        counters = self.counters.setdefault(endpoint.path, CallCounters("client"))
        outgoing = Outgoing(self, endpoint, counters)
        if endpoint.kind.streams_out:
            return outgoing.stream
        if endpoint.kind.streams_in:
            return outgoing.upload
        proceed = compose(endpoint, "client", self.chain, outgoing.proceed)
        return outgoing.call if proceed == outgoing.proceed else outgoing.through(proceed)


class Outgoing:
    """One endpoint as seen by one client."""

    def __init__(self, client: ServiceClient, endpoint: EndpointDescription, counters: CallCounters) -> None:
        self._client, self._endpoint, self._counters = client, endpoint, counters
        self._now, self._loop = client.clock.now, asyncio.get_running_loop()
        self._timeout = endpoint.timeout_s or client.target.settings.timeout
        self._codecs: dict[str, ClientCodecs] = {}
        self._only = "http" if endpoint.kind is Kind.HTTP else client.target.settings.transport

    # ---- unary -----------------------------------------------------------------------------------------------------
    async def proceed(self, arguments: Any) -> Any:
        """The innermost step under client middlewares."""
        return await self.call(arguments, None, _OPTIONS.get())

    def through(self, proceed: Callable[[Any], Any]) -> Callable[..., Any]:
        """The call inside its middlewares; the options of the call travel beside."""

        async def call(arguments: Any, _inbound: Any, options: CallOptions | None) -> Any:
            token = _OPTIONS.set(options)
            try:
                return await proceed(arguments)
            finally:
                _OPTIONS.reset(token)

        return call

    async def call(self, arguments: Any, _inbound: Any, options: CallOptions | None) -> Any:
        """One call; failures that provably never ran are tried elsewhere, within the deadline, and so are lost connections where
        the method may run twice."""
        call = self._new(options or _NONE, self._timeout)
        while True:
            answer: Answer | None = None
            dialling = 0.0  # when it began; then, negative, how long it took
            try:
                instance = self._choose(call, options)
                way = instance.link.best if self._only is None else instance.link.way(self._only)
                channel = way.channel
                if channel is None:
                    dialling = perf_counter()
                    channel = await self._dialled(instance, way, call)
                    dialling -= perf_counter()
                answer = self._send(call, arguments, instance, way, channel)
                result = await answer.future
            except BaseException as error:
                if not self._goes_on(answer, error, call, perf_counter() - dialling if dialling > 0 else -dialling):
                    raise
                call.attempt += 1
            else:
                answer.running = None  # it has the answer as its sink: a circle no collector would find
                self._counters.succeeded(perf_counter() - answer.began)
                self._ended(answer, None)
                if instance.failures:
                    instance.failures = 0
                return result

    def _send(self, call: Call, arguments: Any, instance: Instance, way: Way, channel: Channel) -> Answer:
        call.endpoint, call.codec = way.agreed(channel, self._endpoint)
        codecs = self._codecs.get(call.codec) or self._codecs_of(call.codec)
        try:
            call.body = codecs.encode(arguments)
        except (ValueError, TypeError, OverflowError) as error:
            raise unsendable(self._endpoint, error) from error
        answer = Answer(self._endpoint, instance, call.deadline, codecs.decode, self._loop.create_future())
        self._client.pending.add(answer)
        instance.in_flight += 1
        try:
            answer.running = channel.dispatch(call, answer)
        except BaseException:
            self._ended(answer, None)
            raise
        return answer

    def _ended(self, answer: Answer, error: CallError | None) -> None:
        instance, elapsed = answer.instance, perf_counter() - answer.began
        instance.in_flight -= 1
        self._client.pending.discard(answer)
        if self._client.observer is not None:
            fault = Fault(code=error.code, message=str(error), executed=error.executed) if error else None
            self._client.observer.observed(instance, fault, elapsed)

    def _goes_on(self, answer: Answer | None, error: BaseException, call: Call, dialling_s: float) -> bool:
        """Account for a failed attempt; True: try it elsewhere."""
        code = error.code if isinstance(error, CallError) else type(error).__name__
        waited = perf_counter() - answer.began if answer is not None else 0.0
        self._counters.fault(code, waited)
        named = answer.instance.node_id if answer is not None else None
        self._client.failures.called(self._endpoint, call, error, named, dialling_s, waited)
        if answer is not None:
            self._ended(answer, error if isinstance(error, CallError) else None)
            answer.abandon(Fault(code="CANCELLED", message="the caller waits no longer", executed="unknown"))
            if isinstance(error, CallError) and speaks_against(error.code, error.executed):
                self._failed(answer.instance)
        return isinstance(error, CallError) and self._may_retry(error, call)

    def _failed(self, instance: Instance) -> None:
        """Pass over an instance that fails again and again, while enough others are left."""
        instance.failures += 1
        every = self._client.target.instances
        out = sum(not each.usable for each in every)
        seconds = pause(instance.failures, instance.ejections, out, len(every), self._client.eject_s)
        if seconds and instance.usable:
            instance.usable = False
            instance.ejections += 1
            self._client.clock.at(self._now() + seconds, instance.recover)

    def _may_retry(self, error: CallError, call: Call) -> bool:
        if call.attempt >= ATTEMPTS or call.deadline <= self._now() or not self._client.target.instances:
            return False
        if error.executed == "not_sent":
            return RULES[error.code].retry != "never" and error.instance is not None
        if error.executed == "unknown":
            return self._endpoint.idempotent and error.code == "UNAVAILABLE"
        return error.executed == "not_executed" and error.code == "UNAVAILABLE"

    # ---- streams ---------------------------------------------------------------------------------------------------
    async def upload(self, arguments: Any, inbound: AsyncIterator[Any], options: CallOptions | None) -> Any:
        """A stream to the handler, one answer back."""
        reply = self.stream(arguments, inbound, options)
        try:
            return await reply.result()
        finally:
            await reply.aclose()

    def stream(self, arguments: Any, inbound: AsyncIterator[Any] | None, options: CallOptions | None) -> Reply:
        """A streamed answer; nothing is sent before it is first waited for."""
        call = self._new(options or _NONE, self._endpoint.timeout_s or STREAM_TIMEOUT_S)

        async def start(reply: Reply) -> Running | None:
            instance, channel = await self._open(call, options)
            codecs = self._codecs_of(call.codec)
            reply.instance, reply.decode, reply.encode = instance.node_id, codecs.decode, codecs.encode_item
            try:
                call.body = codecs.encode(arguments)
            except (ValueError, TypeError, OverflowError) as error:
                raise unsendable(self._endpoint, error) from error
            return channel.dispatch(call, reply)

        return Reply(
            self._endpoint, call, start, self._client.pending, self._client.tasks, inbound, self._client.failures
        )  # fmt: skip

    # ---- what both share -------------------------------------------------------------------------------------------
    def _new(self, options: CallOptions, timeout: float) -> Call:
        deadline = self._now() + (options.timeout or timeout)
        outer = CURRENT.get(None)
        if outer is None:
            metadata = headers.pack(options.metadata) if options.metadata else None
        else:
            deadline = min(deadline, outer.call.deadline - HOP_S)
            metadata = outer.onward(options.metadata)
        return Call(
            0, 0, "", None, deadline, None, metadata, 1, options.entity, options.idempotency_key, self._client.caller
        )  # fmt: skip

    def _choose(self, call: Call, options: CallOptions | None) -> Instance:
        if call.deadline <= self._now():
            raise DeadlineExceeded(
                f"{self._endpoint.path}: no time was left",
                service=self._endpoint.service, method=self._endpoint.name, executed="not_sent",
            )  # fmt: skip
        if options is not None and options.instance:
            return self._client.target.named(options.instance)
        return self._client.target.choose(call)

    async def _open(self, call: Call, options: CallOptions | None) -> tuple[Instance, Channel]:
        instance = self._choose(call, options)
        way = instance.link.best if self._only is None else instance.link.way(self._only)
        channel = way.channel or await self._dialled(instance, way, call)
        call.endpoint, call.codec = way.agreed(channel, self._endpoint)
        return instance, channel

    async def _dialled(self, instance: Instance, way: Way, call: Call) -> Channel:
        try:
            return await way.open(call.deadline)
        except Unavailable as error:
            error.instance = instance.node_id
            self._rest(instance)
            raise

    def _rest(self, instance: Instance) -> None:
        """Leave an instance that can't be reached out of the choice for a moment, while there are others."""
        if instance.usable:
            instance.usable = False
            self._client.clock.at(self._now() + REST_S, instance.recover)

    def _codecs_of(self, name: str) -> ClientCodecs:
        found = self._codecs.get(name)
        if found is None:
            found = self._codecs[name] = ClientCodecs(self._endpoint, self._client.codecs, name)
        return found
