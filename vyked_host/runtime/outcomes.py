"""Exceptions become faults on the side of the handler, faults become exceptions on the side of the caller.

Only what an endpoint declares crosses with its text and details. Anything else becomes INTERNAL with an id: the traceback
stays in this host's log under that id, so that nothing private leaves by accident.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import ApplicationError, CallError, Executed, InvalidPayload, ServiceError, rule
from ..model.description import DeclaredError, EndpointDescription
from ..model.message import Fault


def declared(endpoint: EndpointDescription) -> Mapping[str, DeclaredError]:
    """Code -> declared error of one endpoint."""
    return {found.code: found for found in endpoint.raises}


def application_fault(error: ServiceError) -> Fault:
    """A declared error as it travels."""
    details = msgspec.to_builtins(error.details()) if error.fields else None
    return Fault(code="APPLICATION", message=str(error), executed="executed", type=error.code, details=details)


def internal_fault(endpoint: EndpointDescription, error: BaseException, log: logging.Logger) -> Fault:
    """Something undeclared was raised: logged here with its traceback, an id goes out."""
    found = secrets.token_hex(4)
    log.error("%s failed [%s]", endpoint.path, found, exc_info=error, extra={"endpoint": endpoint.path, "id": found})
    return Fault(
        code="INTERNAL",
        message=f"{endpoint.path} failed; its host's log has the cause under {found}",
        executed="executed",
        details={"id": found},
    )


def unread_fault(endpoint: EndpointDescription, error: BaseException, log: logging.Logger) -> Fault:
    """The arguments could not be decoded: they don't fit, or the codec broke."""
    if isinstance(error, ValueError):
        return invalid_fault(endpoint, error)
    return msgspec.structs.replace(internal_fault(endpoint, error, log), executed="not_executed")


def invalid_fault(endpoint: EndpointDescription, error: Exception) -> Fault:
    """The arguments don't fit. The text says which field, and for an unknown one which exist."""
    if isinstance(error, CallError):  # a codec's own verdict: too large
        return Fault(
            code=error.code, message=f"{endpoint.path}: {error}", executed="not_executed", details=error.details
        )
    text = str(error)
    path = text.rpartition(" - at `$")[2].rstrip("`").lstrip(".") if " - at `$" in text else ""
    reason = text.partition(" - at `")[0] or type(error).__name__
    where = f"{endpoint.path}({path})" if path else endpoint.path
    known = ", ".join(getattr(endpoint.arguments, "__struct_fields__", ()))
    hint = f"; it takes: {known or 'no arguments'}" if "unknown field" in text or "missing required" in text else ""
    return Fault(
        code="INVALID_ARGUMENT",
        message=f"{where}: {reason}{hint}",
        executed="not_executed",
        details={"field": path or _named(reason)},
    )


def _named(reason: str) -> str:
    """The field in "Object missing required field `n`"; "Expected `object`, got `array`" names none."""
    return reason.rpartition(" `")[2].rstrip("`") if " field `" in reason and reason.endswith("`") else ""


def to_error(fault: Fault, endpoint: EndpointDescription, instance: str | None) -> Exception:
    """The exception that the caller of `endpoint` gets for `fault`."""
    if fault.code == "APPLICATION":
        return _application(fault, endpoint, instance)
    return rule(fault.code, fault.type).error(
        fault.message,
        service=endpoint.service,
        method=endpoint.name,
        executed=fault.executed,
        instance=instance,
        details=fault.details,
        retry_after=fault.retry_after_s,
    )


def _application(fault: Fault, endpoint: EndpointDescription, instance: str | None) -> Exception:
    for found in endpoint.raises:
        if found.code == fault.type and found.error is not None:
            return _made_again(found, fault, endpoint, instance)
    return _by_code(fault, endpoint, instance)


def _made_again(found: DeclaredError, fault: Fault, endpoint: EndpointDescription, instance: str | None) -> Exception:
    """The declared class; by its code only where the class has a constructor that does not take the fields."""
    try:
        if found.details is None:
            plain: Exception = found.error(fault.message)
            return plain
        details = msgspec.convert(fault.details or {}, found.details, strict=False)
        raised: Exception = found.error(**msgspec.structs.asdict(details))
    except msgspec.ValidationError as mismatch:
        return invalid_result(endpoint, instance, mismatch)
    except Exception:  # noqa: BLE001 - whatever an author's constructor raises: the caller still hears of the error
        return _by_code(fault, endpoint, instance)
    return raised


def _by_code(fault: Fault, endpoint: EndpointDescription, instance: str | None) -> ApplicationError:
    return ApplicationError(
        fault.message,
        type=fault.type,
        service=endpoint.service,
        method=endpoint.name,
        executed="executed",
        instance=instance,
        details=fault.details,
    )


def unsendable(endpoint: EndpointDescription, error: Exception) -> Exception:
    """The arguments don't fit the endpoint's own types, found before anything was sent."""
    found = to_error(invalid_fault(endpoint, error), endpoint, None)
    if isinstance(found, CallError):
        found.executed = "not_sent"
    return found


def invalid_result(endpoint: EndpointDescription, instance: str | None, error: Exception) -> InvalidPayload:
    """The answer does not fit the type this side expects: the contracts of the two sides differ."""
    executed: Executed = "executed"
    return InvalidPayload(
        f"the answer of {endpoint.path} does not fit: {error}",
        service=endpoint.service,
        method=endpoint.name,
        executed=executed,
        instance=instance,
        details={"field": "result"},
    )


def refuses_own_arguments(error: BaseException, endpoint: EndpointDescription) -> bool:
    """Did the binding of a raw endpoint find its parameters wrong? (The same error of a call further down is internal.)"""
    return isinstance(error, InvalidPayload) and (error.service, error.method) == (endpoint.service, endpoint.name)


def find_declared(error: BaseException, known: Mapping[str, Any]) -> bool:
    """Is `error` one of the endpoint's declared application errors?"""
    return isinstance(error, ServiceError) and error.code in known
