"""A running call that has an idempotency key, at an endpoint that keeps results by them (`keys`).

Once its handler has begun the call belongs to its key: a caller that goes, or whose time is over, is told so at once, and the
handler runs on to its own limit, so that whoever comes again with the same key gets what it gave. It still counts as running: limits
hold, and drain waits for it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import msgspec

from ..model.message import Call, Fault
from .invocation import Invocation

LIMIT_S = 60.0
"""What a handler gets whose caller has gone, from its arrival, where its endpoint has no `timeout` of its own."""
KEYED: ContextVar[KeyedInvocation] = ContextVar("vyked_keyed")


class Nobody:
    """`contracts.Sink`: the caller has gone."""

    def respond(self, call: Call, body: Any) -> None:
        """Nobody hears of it."""

    def fail(self, call: Call, fault: Fault) -> None:
        """Nobody hears of it."""

    def item(self, call: Call, body: Any) -> bool:
        """Never called: it is no stream."""
        return True


class KeyedInvocation(Invocation, eq=False):
    """`has_begun`: the handler runs. `given`: an error that stands for a Fault as it was decided before, with that Fault."""

    has_begun: bool = False
    given: tuple[Exception, Fault] | None = None
    _until: float = 0.0

    def __post_init__(self) -> None:
        if self.call.idempotency_key is not None:
            self.call = msgspec.structs.replace(
                self.call
            )  # its deadline changes here, and not for a caller inside this process
        limit = self.route.timeout_s
        self._until = max(self.call.deadline, self.began + LIMIT_S) if limit is None else self.began + limit

    async def run(self) -> None:
        """The body of the task."""
        KEYED.set(self)
        await super().run()

    def cancel(self, fault: Fault) -> None:
        """The caller goes; the handler stays, until its own time is over, and once the host can't wait any longer."""
        if not self.has_begun or self.dispatcher.now() >= self._until:
            super().cancel(fault)
            return
        if self.ended or isinstance(self.sink, Nobody):
            return
        self.call.deadline = self._until
        sink, self.sink = self.sink, Nobody()
        self.dispatcher.failures.served(self.route.endpoint.path, self.call, fault, "", 0.0, 0.0)
        sink.fail(self.call, fault)

    def stop(self, fault: Fault) -> None:
        """End the handler, whoever it runs for."""
        super().cancel(fault)

    def checked(self, result: Any) -> Any:
        """The result, converted to what the endpoint says it gives. Raises msgspec.ValidationError."""
        return self.route.checked(result)

    def _fault(self, error: BaseException) -> Fault:
        if self.given is not None and self.given[0] is error:
            return self.given[1]
        return super()._fault(error)
