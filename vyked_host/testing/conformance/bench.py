"""What the transport suite puts at both ends: a service that answers in every way there is, and a caller that notes
everything it gets. Neither shares code with the runtime, so that a fault there can't hide one of a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from ...contracts import (
    INITIAL_CREDIT,
    Call,
    Channel,
    CreditSink,
    EndpointDescription,
    Environment,
    Fault,
    Kind,
    Running,
    Sink,
    Surface,
)


class Text(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments: one text."""

    text: str


class Count(msgspec.Struct, forbid_unknown_fields=True):
    """Arguments: how many."""

    count: int


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No arguments."""


def _endpoint(name: str, kind: Kind, arguments: type, result: Any, inbound: Any = None) -> EndpointDescription:
    stream = "numbers" if inbound is not None else ""
    return EndpointDescription(
        service="bench", version="1.2.0", name=name, kind=kind, arguments=arguments, result=result, inbound=inbound,
        stream_parameter=stream,
    )  # fmt: skip


ECHO = _endpoint("echo", Kind.UNARY, Text, str)
LATER = _endpoint("later", Kind.UNARY, Text, str)
FAIL = _endpoint("fail", Kind.UNARY, Text, str)
HANG = _endpoint("hang", Kind.UNARY, Text, str)
NUMBERS = _endpoint("numbers", Kind.SERVER_STREAM, Count, int)
BREAK_OFF = _endpoint("break_off", Kind.SERVER_STREAM, Count, int)
TOTAL = _endpoint("total", Kind.CLIENT_STREAM, Nothing, int, int)
DOUBLE = _endpoint("double", Kind.BOTH_WAYS, Nothing, int, int)
ENDPOINTS = (ECHO, LATER, FAIL, HANG, NUMBERS, BREAK_OFF, TOTAL, DOUBLE)
SURFACE = Surface(revision=1, endpoints=ENDPOINTS)

BROKEN = Fault(
    code="APPLICATION", message="declared", executed="executed", type="broken", details={"part": "cup", "n": 3},
    retry_after_s=None,
)  # fmt: skip


class Words:
    """Encodes and decodes for one endpoint, in the serializer that a call names."""

    def __init__(self, env: Environment) -> None:
        self._env = env

    def decode(self, call: Call, shape: Any, body: Any) -> Any:
        """What `body` says; "object" bodies say it themselves."""
        return body if call.codec == "object" else self._env.serializers()[call.codec].codec(shape).decode(body)

    def encode(self, call: Call, shape: Any, value: Any) -> Any:
        """`value` for the other end."""
        return value if call.codec == "object" else self._env.serializers()[call.codec].codec(shape).encode(value)


class Service:
    """`contracts.Calls`: the called end. `cancelled` has the faults of cancelled calls, `seen` every call."""

    def __init__(self, env: Environment) -> None:
        self.words = Words(env)
        self.seen: list[Call] = []
        self.cancelled: list[Fault] = []
        self.running = 0

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Run `call` as its endpoint's name says."""
        self.seen.append(call)
        endpoint = ENDPOINTS[call.endpoint]
        arguments = self.words.decode(call, endpoint.arguments, call.body)
        if endpoint is ECHO:
            sink.respond(call, self.words.encode(call, str, arguments.text))
            return None
        if endpoint is FAIL:
            sink.fail(call, BROKEN)
            return None
        self.running += 1
        return Work(self, endpoint, call, sink, arguments)


class Work:
    """`contracts.Running` of one call that goes on."""

    def __init__(self, service: Service, endpoint: EndpointDescription, call: Call, sink: Any, arguments: Any) -> None:
        self._service, self._endpoint, self._call, self._sink = service, endpoint, call, sink
        self._left = getattr(arguments, "count", 0)
        self._next = self._total = 0
        self._over = False
        if endpoint is LATER:
            asyncio.get_running_loop().call_soon(self._answer, arguments.text)
        elif endpoint.kind is Kind.SERVER_STREAM:
            asyncio.get_running_loop().call_soon(self._go_on)

    def cancel(self, fault: Fault) -> None:
        """The caller gave up."""
        if not self._over:
            self._service.cancelled.append(fault)
            self._end()
            self._sink.fail(self._call, fault)

    def item(self, body: Any) -> bool:
        """One number of the caller's stream; taken in at once, so the caller may send one more."""
        if self._over:
            return True
        number = self._service.words.decode(self._call, int, body)
        self._total += number
        if self._endpoint is DOUBLE:
            self._sink.item(self._call, self._service.words.encode(self._call, int, 2 * number))
        self._sink.credit(self._call, 1)
        return True

    def end(self) -> None:
        """The caller's stream is complete."""
        if self._endpoint is TOTAL:
            self._answer(self._total)
        else:
            self._close()

    def credit(self, items: int) -> None:
        """The caller can take more: `items` were asked for again."""
        if not self._over and self._endpoint.kind is Kind.SERVER_STREAM:
            self._go_on()

    def _go_on(self) -> None:
        """Send until the numbers or the credit is used up."""
        while not self._over and self._next < self._left:
            number = self._service.words.encode(self._call, int, self._next)
            self._next += 1
            if not self._sink.item(self._call, number):
                return
        if not self._over:
            self._fail() if self._endpoint is BREAK_OFF else self._close()

    def _answer(self, value: Any) -> None:
        if not self._over:
            self._end()
            self._sink.respond(self._call, self._service.words.encode(self._call, self._endpoint.result, value))

    def _close(self) -> None:
        if not self._over:
            self._end()
            self._sink.respond(self._call, None)

    def _fail(self) -> None:
        self._end()
        self._sink.fail(self._call, BROKEN)

    def _end(self) -> None:
        self._over = True
        self._service.running -= 1


class Outcome(CreditSink):
    """Everything that came back for one call. `ended` counts respond and fail: one, or the transport is wrong."""

    def __init__(self) -> None:
        self.body: Any = None
        self.fault: Fault | None = None
        self.items: list[Any] = []
        self.ended = self.grants = 0
        self.items_after_the_end = 0
        self.on_item: Callable[[], object] = _nothing

    def respond(self, call: Call, body: Any) -> None:
        """The call succeeded."""
        self.body, self.ended = body, self.ended + 1

    def fail(self, call: Call, fault: Fault) -> None:
        """The call failed."""
        self.fault, self.ended = fault, self.ended + 1

    def item(self, call: Call, body: Any) -> bool:
        """One item of the answer."""
        self.items_after_the_end += bool(self.ended)
        self.items.append(body)
        self.on_item()
        return True

    def credit(self, call: Call, items: int) -> None:
        """The called end can take more: whoever was told False may go on."""
        self.grants += 1


class Caller:
    """The calling end of one channel."""

    def __init__(self, channel: Channel, env: Environment) -> None:
        self.channel, self._env, self._words = channel, env, Words(env)
        self.outcomes: list[Outcome] = []

    def start(
        self, endpoint: EndpointDescription, arguments: Any, *, within: float = 10.0, metadata: bytes | None = None,
        outcome: Outcome | None = None,
    ) -> tuple[Outcome, Running | None]:  # fmt: skip
        """Dispatch one call."""
        call = Call(
            id=0, endpoint=self.channel.endpoint(endpoint), codec=self.channel.codec, body=None,
            deadline=self._env.clock.now() + within, metadata=metadata, entity="ada", idempotency_key="key-1",
        )  # fmt: skip
        call.body = self._words.encode(call, endpoint.arguments, arguments)
        outcome = outcome or Outcome()
        self.outcomes.append(outcome)
        return outcome, self.channel.dispatch(call, outcome)

    def value(self, body: Any, shape: Any) -> Any:
        """What an answer or an item says."""
        return self._env.serializers()[self.channel.codec].codec(shape).decode(body)

    def number(self, value: int) -> Any:
        """An item to send."""
        return self._env.serializers()[self.channel.codec].codec(int).encode(value)


CREDIT = INITIAL_CREDIT


def _nothing() -> None:
    """Nobody waits for items."""
