"""A Fault as it travels. `executed` is sent only where this side knows: whoever reads a FAULT without it has to say unknown."""

from __future__ import annotations

from typing import Any, cast, get_args

import msgspec

from ..errors import Code, Executed
from ..model.message import Fault
from .control import encode, reader

FAULT_BYTES = 64 << 10
"""A FAULT is an error, not data: details that do not fit into this are left out by the sender."""

_MESSAGE = 1000
_CODES: frozenset[str] = frozenset(get_args(Code))
_TRAVELS: dict[Executed, str] = {
    "not_sent": "not_executed",  # a proxy could not pass it on
    "not_executed": "not_executed",
    "executed": "executed",
    "unknown": "",
}


class _Body(msgspec.Struct, omit_defaults=True):
    code: str
    message: str
    executed: str = ""
    type: str = ""
    details: Any = None
    retry_after_s: float | None = None


_read = reader("FAULT", _Body)


def write_fault(fault: Fault) -> bytes:
    """The payload of a FAULT. Details that can't be encoded or are over 64 KiB are left out, and the message says so."""
    try:
        payload = encode(_body(fault, fault.message, fault.details))
    except (TypeError, ValueError, RecursionError) as error:
        return _without_details(fault, f"its details can't be sent: {str(error)[:_MESSAGE]}")
    if len(payload) > FAULT_BYTES:
        return _without_details(fault, "shortened: it is too large to be sent")
    return payload


def _without_details(fault: Fault, why: str) -> bytes:
    return encode(_body(fault, f"{fault.message[:_MESSAGE]} ({why})", None))


def _body(fault: Fault, message: str, details: Any) -> _Body:
    executed = _TRAVELS[fault.executed]
    return _Body(fault.code, message, executed, fault.type, details, fault.retry_after_s)


def read_fault(payload: bytes) -> Fault:
    """The Fault in a payload. A code of a later version counts as INTERNAL. Raises RemoteProtocolError."""
    body = _read(payload)
    return Fault(
        code=cast(Code, body.code if body.code in _CODES else "INTERNAL"), message=body.message,
        executed=cast(Executed, body.executed if body.executed in ("executed", "not_executed") else "unknown"),
        type=body.type, details=body.details, retry_after_s=body.retry_after_s,
    )  # fmt: skip
