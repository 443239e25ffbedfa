"""A small but real `Calls`: handlers run in tasks, streams have credit, cancellation reaches them. And an environment."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import msgspec

from vyked_host.assembly.environment import scaled
from vyked_host.builtin.serializers.codecs import Json, Msgpack
from vyked_host.contracts import (
    INITIAL_CREDIT,
    Call,
    EndpointDescription,
    Environment,
    Fault,
    LimitsTable,
    Surface,
    TimingTable,
)
from vyked_host.errors import CallError, ServiceError
from vyked_host.runtime.clock import LoopClock
from vyked_host.runtime.net import AsyncioNet
from vyked_host.runtime.tasks import TaskScope

LOG = logging.getLogger("tests.http")


def environment(
    *,
    limits: LimitsTable | None = None,
    timing: TimingTable | None = None,
    net: Any = None,
    mesh: str = "test",
    **changed: Any,
) -> Environment:
    limits = limits or LimitsTable()
    serializers = {"json": Json(limits), "msgpack": Msgpack(limits)}

    async def nobody(address: Any, deadline: float) -> Any:
        raise AssertionError("nothing dials here")

    fields: dict[str, Any] = {
        "name": "http",
        "node_id": "node-a",
        "namespace": mesh,
        "state_dir": ".",
        "limits": limits,
        "timing": scaled(timing or TimingTable()),
        "clock": LoopClock(asyncio.get_running_loop()),
        "rng": random.Random(1),
        "net": net or AsyncioNet(),
        "tasks": TaskScope(LOG),
        "log": LOG,
        "dial": nobody,
        "tls": lambda side, **_: None,
        "serializers": lambda: serializers,
        "callers": lambda: (),
        "hub": lambda address: None,
    }
    return Environment(**(fields | changed))


class SmallCalls:
    """`serve` adds an endpoint with its handler: (arguments[, inbound]) -> awaitable, or an async generator."""

    def __init__(self) -> None:
        self._endpoints: list[EndpointDescription | None] = []
        self._handlers: list[Callable[..., Any]] = []
        self._revision = 0
        self.calls: list[Call] = []
        self.running: set[SmallRunning] = set()
        self._codecs = {"json": Json(LimitsTable()), "msgpack": Msgpack(LimitsTable())}

    def serve(self, endpoint: EndpointDescription, handler: Callable[..., Any]) -> int:
        self._endpoints.append(endpoint)
        self._handlers.append(handler)
        self._revision += 1
        return len(self._endpoints) - 1

    def remove(self, index: int) -> None:
        self._endpoints[index] = None
        self._revision += 1

    @property
    def surface(self) -> Surface:
        return Surface(revision=self._revision, endpoints=tuple(self._endpoints))

    def dispatch(self, call: Call, sink: Any) -> SmallRunning | None:
        self.calls.append(call)
        endpoint = self._endpoints[call.endpoint]
        if endpoint is None:
            sink.fail(call, Fault(code="NOT_FOUND", message="gone", executed="not_executed"))
            return None
        as_is = call.codec in ("object", "raw")
        codec = None if as_is else self._codecs[call.codec]
        try:
            arguments = call.body if codec is None else codec.codec(endpoint.arguments).decode(call.body)
        except ValueError as error:
            sink.fail(call, Fault(code="INVALID_ARGUMENT", message=str(error), executed="not_executed"))
            return None
        return SmallRunning(self, call, sink, endpoint, codec, self._handlers[call.endpoint], arguments)


class SmallRunning:
    def __init__(
        self, calls: SmallCalls, call: Call, sink: Any, endpoint: Any, codec: Any, handler: Any, arguments: Any
    ) -> None:
        self._calls, self._call, self._sink, self._endpoint = calls, call, sink, endpoint
        self._encode = codec.codec(endpoint.result).encode if codec else lambda value: value
        self._decode = (
            codec.codec(endpoint.inbound).decode if codec and endpoint.kind.streams_in else lambda value: value
        )
        self._credit = INITIAL_CREDIT
        self._more = asyncio.Event()
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.cancelled_with: Fault | None = None
        calls.running.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run(handler, arguments))

    def cancel(self, fault: Fault) -> None:
        self.cancelled_with = fault
        self._task.cancel()

    def item(self, body: Any) -> bool:
        self._inbox.put_nowait(self._decode(body))
        return True

    def end(self) -> None:
        self._inbox.put_nowait(StopAsyncIteration)

    def credit(self, items: int) -> None:
        self._credit += items
        self._more.set()

    async def _inbound(self) -> Any:
        while (found := await self._inbox.get()) is not StopAsyncIteration:
            yield found
            self._sink.credit(self._call, 1)

    async def _run(self, handler: Any, arguments: Any) -> None:
        given = (arguments, self._inbound()) if self._endpoint.kind.streams_in else (arguments,)
        try:
            if self._endpoint.kind.streams_out:
                await self._stream(handler(*given))
                self._sink.respond(self._call, None)
            else:
                self._sink.respond(self._call, self._encode(await handler(*given)))
        except asyncio.CancelledError:
            self._sink.fail(self._call, self.cancelled_with or Fault(code="CANCELLED", message="", executed="unknown"))
        except ServiceError as error:
            details = msgspec.to_builtins(error.details())
            self._fail("APPLICATION", str(error), type=error.code, details=details)
        except CallError as error:
            self._fail(error.code, str(error), details=error.details, retry_after_s=error.retry_after)
        except Exception as error:
            if hasattr(error, "prepare"):  # aiohttp's exceptions are responses
                self._sink.respond(self._call, error)
            else:
                self._fail("INTERNAL", "it failed; the log has the cause under 1234", details={"id": "1234"})
        finally:
            self._calls.running.discard(self)

    async def _stream(self, items: Any) -> None:
        try:
            async for item in items:
                while self._credit == 0:
                    self._more.clear()
                    await self._more.wait()
                self._credit -= 1
                self._sink.item(self._call, self._encode(item))
        finally:
            await items.aclose()

    def _fail(self, code: Any, message: str, **more: Any) -> None:
        self._sink.fail(self._call, Fault(code=code, message=message, executed="executed", **more))
