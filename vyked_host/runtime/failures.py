"""The last calls and deliveries that failed, kept to be asked for: a bounded ring of records, written when something fails
and never otherwise. No payload and no text of an application's error is kept; an exception is its type and its line.
"""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from ..contracts import Clock
from ..errors import CallError, RemoteFailure, ServiceError
from ..model.description import EndpointDescription
from ..model.message import Call, Fault
from ..model.report import FailedCall, FailedDelivery

KEPT = 1000
"""Failed calls, and failed deliveries, that a node remembers."""
_TEXT = 240
_QUOTING = frozenset({"APPLICATION", "INVALID_ARGUMENT"})
"""Codes whose text may quote what was sent."""


def raised_at(error: BaseException) -> str:
    """``KeyError at shop.py:41 in find``: the type and the innermost line, without the text, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    kind = type(error).__name__
    if not frames:
        return kind
    last = frames[-1]
    return f"{kind} at {last.filename.rpartition('/')[2]}:{last.lineno} in {last.name}"


class FailureLog:
    """Of one node. `load` gives how many calls run now and how late the loop is."""

    def __init__(self, clock: Clock, node_id: str) -> None:
        self._clock, self._node_id = clock, node_id
        self.load: Callable[[], tuple[int, float]] = _idle
        self.calls: deque[FailedCall] = deque(maxlen=KEPT)
        self.deliveries: deque[FailedDelivery] = deque(maxlen=KEPT)

    # ---- at the callee ---------------------------------------------------------------------------------------------
    def served(self, path: str, call: Call, fault: Fault, cause: str = "", queued_s: float = 0.0, running_s: float = 0.0) -> None:  # fmt: skip
        """A call that this node served, or refused, failed."""
        peer = call.peer
        caller_node = (peer.node_id or peer.address) if peer is not None else self._node_id
        in_flight, lag_s = self.load()
        self.calls.append(
            FailedCall(
                id=f"{caller_node}-{call.id}", at=self._clock.unix(), side="callee", node=self._node_id, endpoint=path,
                caller=call.caller, caller_node=caller_node, instance=self._node_id, number=call.id, code=fault.code,
                executed=fault.executed, attempt=call.attempt, type=fault.type, text=_words(fault.code, fault.message),
                cause=cause or _field(fault), log_id=_log_id(fault), queued_s=queued_s, running_s=running_s,
                budget_s=self._left(call) + queued_s + running_s, in_flight=in_flight, lag_s=lag_s,
            )
        )  # fmt: skip

    # ---- at the caller ---------------------------------------------------------------------------------------------
    def called(
        self, endpoint: EndpointDescription, call: Call, error: BaseException, instance: str | None,
        dialling_s: float = 0.0, waiting_s: float = 0.0,
    ) -> None:  # fmt: skip
        """An attempt of this node to call failed; `error` gets the id by which it can be looked up."""
        sent = waiting_s > 0.0 and call.id > 0
        found = f"{self._node_id}-{call.id}" if sent else secrets.token_hex(4)
        code, executed, text = _said(error)
        if isinstance(error, CallError):
            error.call_id = found
        in_flight, lag_s = self.load()
        self.calls.append(
            FailedCall(
                id=found, at=self._clock.unix(), side="caller", node=self._node_id, endpoint=endpoint.path,
                caller=call.caller, caller_node=self._node_id, instance=instance or getattr(error, "instance", None) or "",
                number=call.id if sent else 0, code=code, executed=executed, attempt=call.attempt,
                type=_type(error), text=_words(code, text), log_id=error.id if isinstance(error, RemoteFailure) else "",
                dialling_s=dialling_s, waiting_s=waiting_s, budget_s=self._left(call) + dialling_s + waiting_s,
                in_flight=in_flight, lag_s=lag_s,
            )
        )  # fmt: skip

    def _left(self, call: Call) -> float:
        """What is left of the call's time; 0.0 where it has no end."""
        left = call.deadline - self._clock.now()
        return max(0.0, left) if left < 1e6 else 0.0

    # ---- events ----------------------------------------------------------------------------------------------------
    def delivered(self, failed: FailedDelivery) -> None:
        """A handler of an event did not end well."""
        self.deliveries.append(failed)


def _idle() -> tuple[int, float]:
    return 0, 0.0


def _said(error: BaseException) -> tuple[str, str, str]:
    if isinstance(error, CallError):
        return error.code, error.executed, str(error)
    if isinstance(error, ServiceError):
        return "APPLICATION", "executed", ""
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED", "unknown", "the caller gave up"
    return type(error).__name__, "unknown", ""


def _type(error: BaseException) -> str:
    if isinstance(error, ServiceError):
        return error.code
    found: Any = getattr(error, "type", "")
    return found if isinstance(found, str) else ""


def _words(code: str, text: str) -> str:
    return "" if code in _QUOTING else text[:_TEXT]


def _field(fault: Fault) -> str:
    """Which argument did not fit; its value is not said."""
    details = fault.details
    found = details.get("field", "") if fault.code == "INVALID_ARGUMENT" and isinstance(details, dict) else ""
    return f"field {found}" if found else ""


def _log_id(fault: Fault) -> str:
    details = fault.details
    return str(details.get("id", "")) if fault.code == "INTERNAL" and isinstance(details, dict) else ""
