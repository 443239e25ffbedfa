"""What a call knows of its attempts, and what the nodes that were asked say of its endpoint."""

from __future__ import annotations

from ..contracts import Channel
from ..errors import CallError
from ..model.description import EndpointDescription
from ..model.message import Call


class Tried:
    """Whom one call has asked so far, in all of its attempts. `is_over`: it has its answer, what still runs is given up. `doubt`: an
    attempt that may have run, under the call's idempotency key: others are only for instances that share its store, `results`.
    `idempotent`: who was asked says that the method may run twice."""

    __slots__ = ("doubt", "idempotent", "is_over", "nodes", "results")

    def __init__(self, *nodes: str) -> None:
        self.nodes, self.is_over, self.idempotent = list(nodes), False, False
        self.results = ""
        self.doubt: CallError | None = None

    def counts(self, error: BaseException) -> bool:
        """Is `error` how an attempt ended that somebody waits for? Not one more that could not be made."""
        return not self.is_over and error is not self.doubt

    def instead(self, error: BaseException) -> CallError | None:
        """What the caller hears when the last attempt ended with `error`: that the call may have run, where one may have."""
        refused = isinstance(error, CallError) and error.executed in ("not_sent", "not_executed")
        return self.doubt if refused and self.doubt is not error else None


def served(channel: Channel, call: Call) -> EndpointDescription | None:
    """The endpoint of `call` as the node says it serves it, which it tells who connects."""
    endpoints = channel.surface.endpoints
    return endpoints[call.endpoint] if call.endpoint < len(endpoints) else None


def results_at(offered: EndpointDescription | None, call: Call) -> str:
    """The store where the node keeps what `call` gives under its idempotency key; "" where it has none, or the call no key."""
    return offered.results if offered is not None and call.idempotency_key is not None else ""
