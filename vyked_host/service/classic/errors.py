"""The ancestor's exceptions, placed in our tree so that code written for either catches them."""

from __future__ import annotations

from typing import Any

from ...errors import ApplicationError, CallError, DeadlineExceeded, ServiceError, Unavailable, VykedError

VykedException = VykedError
"""The ancestor's root of exceptions."""


class VykedServiceException(ServiceError, code="service_exception"):
    """To be subclassed: a fault that the service handles, such as "record not found". Callers get RequestException."""


class VykedServiceError(VykedError):
    """To be subclassed: a fault that the service could not handle. Callers get RemoteFailure, the log the traceback."""


class RequestException(VykedError):
    """The service answered a request with an error of its own; `error` is its text. Takes what any exception takes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.error = str(self)


class ClientException(Unavailable):
    """A request could not be made; `error` is the text. Takes what any exception takes, nothing at all too; `where` as CallError."""

    def __init__(self, *args: Any, **where: Any) -> None:
        super().__init__("", **where)
        self.args = args

    @property
    def error(self) -> str:
        """The text."""
        return str(self)


class ClientNotFoundError(ClientException):
    """No instance of the service is there."""


class ClientDisconnected(ClientException):
    """The connection was lost while the request was under way: it may have been executed."""


class RequestTimeout(DeadlineExceeded, TimeoutError):
    """The time for the request was over; asyncio's TimeoutError, too, which the ancestor raised."""


def _copy(kind: type[CallError], error: CallError) -> CallError:
    where: dict[str, Any] = {"service": error.service, "method": error.method, "executed": error.executed}
    return kind(str(error), **where, instance=error.instance, details=error.details, retry_after=error.retry_after)


def translated(error: Exception) -> Exception:
    """What a caller of the ancestor's clients expects instead of `error`; `error` itself where it had no word for it."""
    if isinstance(error, (ServiceError, ApplicationError)):
        return RequestException(str(error))
    if isinstance(error, DeadlineExceeded):
        return _copy(RequestTimeout, error)
    if isinstance(error, Unavailable):
        never_left = error.executed in ("not_sent", "not_executed")
        return _copy(ClientNotFoundError if never_left else ClientDisconnected, error)
    return error
