"""Outcomes in both languages: faults of the host as the old wire says them, and what old vendors answer as faults.

The original knows a text and whether the service could handle it (`failed`). Ours add `code`, `error_type`, `details` and
`executed`, which the original does not read.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from vyked_host import VykedServiceException
from vyked_host.contracts import Code, Executed, Fault

from .wire import speech
from .wire.packets import Answer

EXCEPTION = "exception"
"""Code of the error by which services of the old face answer with the text of any exception."""
SILENT = (
    "the service failed without a word; Vyked 2.x says nothing when an api of it runs into its time limit, "
    "and when an exception has no text"
)
_CODES, _EXECUTED = frozenset(get_args(Code)), frozenset(get_args(Executed))


def failure_of(fault: Fault) -> bytes:
    """What an answer says of `fault`."""
    more: dict[str, Any] = {"code": fault.code, "executed": fault.executed}
    if fault.type:
        more["error_type"] = fault.type
    if fault.details is not None:
        more["details"] = fault.details
    handled = fault.code == "APPLICATION" and fault.type != EXCEPTION
    return speech.failure(fault.message or fault.code, failed=not handled, **more)


def fault_of(answer: Answer, path: str) -> Fault:
    """The fault that an answer without a result stands for. `path`: ``service.method``."""
    if not bytes(answer.error):
        text = f"the answer of {path} has neither a result nor an error"
        return Fault(code="INTERNAL", message=text, executed="executed")
    text = _text(answer.error)
    details = msgspec.json.decode(answer.details) if len(bytes(answer.details)) < 1 << 16 else None
    executed: Any = answer.executed if answer.executed in _EXECUTED else "executed"
    if answer.error_type == EXCEPTION or (answer.failed and answer.code not in _CODES):
        return Fault(code="INTERNAL", message=text or f"{path}: {SILENT}", executed="executed")
    if answer.code in _CODES:
        code: Any = answer.code
        return Fault(code=code, message=text, executed=executed, type=answer.error_type, details=details)
    return Fault(code="APPLICATION", message=text, executed="executed", type=VykedServiceException.code)


def _text(error: msgspec.Raw) -> str:
    """An error as text, whatever JSON it is."""
    said = bytes(error)
    return msgspec.json.decode(said, type=str) if said.startswith(b'"') else said.decode("utf-8", "replace")
