"""The one error body of this transport, and the exception that carries it out of any depth of the edge.

``{"error": message, "code": CODE, "type": declared code, "details": ..., "executed": ...}``; the status comes from the table
`errors.RULES`, from the declared error, or from HTTP itself (405, 415, 431).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from ...contracts import Code, DeclaredError, Fault
from ...errors import rule

JSON = "application/json"


def error_body(fault: Fault) -> dict[str, Any]:
    """The JSON object for `fault`; what is empty is left out."""
    body: dict[str, Any] = {"error": fault.message, "code": fault.code}
    if fault.type:
        body["type"] = fault.type
    if fault.details is not None:
        body["details"] = fault.details
    if fault.retry_after_s is not None:
        body["retry_after"] = fault.retry_after_s
    return body | {"executed": fault.executed}


def encode_error(fault: Fault) -> bytes:
    """The same as bytes; details that JSON can't carry are dropped rather than the whole answer."""
    body = error_body(fault)
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError):
        return msgspec.json.encode(body | {"details": str(fault.details)})


def status_of(fault: Fault, raises: tuple[DeclaredError, ...] = ()) -> int:
    """The HTTP status of `fault`: that of the declared error where it is one."""
    declared = (found.status for found in raises if fault.code == "APPLICATION" and found.code == fault.type)
    return next(declared, rule(fault.code, fault.type).status)


def failure(
    fault: Fault, *, raises: tuple[DeclaredError, ...] = (), status: int | None = None, headers: Mapping[str, str] = {}
) -> web.Response:
    """The answer for `fault`."""
    found = dict(headers)
    if fault.retry_after_s is not None:
        found["Retry-After"] = str(max(1, math.ceil(fault.retry_after_s)))
    return web.Response(
        body=encode_error(fault), status=status or status_of(fault, raises), headers=found, content_type=JSON
    )


class Refused(Exception):
    """The edge itself refuses a request: nothing was executed."""

    def __init__(
        self, code: Code, message: str, *, status: int | None = None, details: Any = None,
        headers: Mapping[str, str] = {}, retry_after: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.fault = Fault(
            code=code, message=message, executed="not_executed", details=details, retry_after_s=retry_after
        )
        self._status, self._headers = status, headers

    def answer(self) -> web.Response:
        """What the client gets."""
        return failure(self.fault, status=self._status, headers=self._headers)
