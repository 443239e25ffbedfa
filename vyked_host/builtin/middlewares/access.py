"""The access log: one line per call that failed or was slow, and per WebSocket when it ends, with fields for machines (service, method, side, code, ms,
caller). Values of arguments are logged only when asked for, and those declared ``sensitive`` never."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

from ...contracts import EndpointDescription, Environment, Kind, Middleware, Proceed
from ...errors import CallError, ServiceError
from ...service.context import CURRENT, Reject, Retry
from .provider import LoggingOptions

OK = "OK"
HIDDEN = "***"
SHOWN = 200
"""Characters of one argument that are shown."""
_EXPECTED = frozenset(
    {OK, "APPLICATION", "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED", "CANCELLED", "RETRY"}
)  # the caller's affair: no warning

Side = Literal["client", "server", "consumer"]


class AccessLog(Middleware):
    """`contracts.Middleware`."""

    def __init__(self, options: LoggingOptions, env: Environment) -> None:
        self._options, self._log, self._now = options, env.log, env.clock.now

    def wrap(self, endpoint: EndpointDescription, side: Side, proceed: Proceed) -> Proceed:
        """`proceed` with a line after it; `proceed` itself for probes and what else is of the control lane."""
        if endpoint.lane == "control":
            return proceed
        line, now = self._line(endpoint, side), self._now
        told_s = line.slow_s

        async def logged(arguments: Any) -> Any:
            began = now()
            try:
                result = await proceed(arguments)
            except BaseException as error:
                line.ended(arguments, now() - began, error)
                raise
            if now() - began >= told_s:
                line.ended(arguments, now() - began, None)
            return result

        return logged

    def watch(self, endpoint: EndpointDescription, side: Side) -> Line | None:
        """What writes the lines of an endpoint; None for those of the control lane."""
        return None if endpoint.lane == "control" else self._line(endpoint, side)

    def _line(self, endpoint: EndpointDescription, side: Side) -> Line:
        made = EndOfSocket if endpoint.kind is Kind.WEBSOCKET else Line
        return made(endpoint, side, self._options, self._log)


class Line:
    """Writes the lines of one endpoint. `contracts.CallWatch`."""

    def __init__(self, endpoint: EndpointDescription, side: Side, options: LoggingOptions, log: logging.Logger) -> None:
        self._log, self._every, self._late_s = log, options.every, options.slow_ms / 1000
        self.slow_s = 0.0 if options.every else self._late_s
        self._path = endpoint.path
        self._sensitive = frozenset(endpoint.sensitive) if options.arguments else None
        self._fixed = {"service": endpoint.service, "method": endpoint.name, "side": side}

    def ended(self, arguments: Any, elapsed_s: float, error: BaseException | None) -> None:
        """A call has ended, with a result or with `error`."""
        self.write(arguments, OK if error is None else code_of(error), elapsed_s, error)

    def write(self, arguments: Any, code: str, elapsed_s: float, error: BaseException | None = None) -> None:
        """A line, if this call deserves one."""
        slow = elapsed_s >= self._late_s
        if code == OK and not slow and not self._every:
            return
        level = logging.WARNING if slow or code not in _EXPECTED else logging.INFO
        if self._log.isEnabledFor(level):
            extra = self._extra(arguments, code, elapsed_s)
            cause = f": {_cause(error)}" if error is not None else ""
            self._log.log(level, "%s %s in %.1f ms%s", self._path, code, elapsed_s * 1000, cause, extra=extra)

    def _extra(self, arguments: Any, code: str, elapsed_s: float) -> dict[str, Any]:
        context = CURRENT.get(None)
        caller = context.call.caller if context is not None else ""
        extra = {**self._fixed, "code": code, "ms": round(elapsed_s * 1000, 3), "caller": caller}
        if self._sensitive is not None:
            extra["arguments"] = shown(arguments, self._sensitive)
        return extra


class EndOfSocket(Line):
    """One line for each WebSocket when it ends: that it was open for long is no fault."""

    def __init__(self, endpoint: EndpointDescription, side: Side, options: LoggingOptions, log: logging.Logger) -> None:
        super().__init__(endpoint, side, options, log)
        self.slow_s = 0.0

    def write(self, arguments: Any, code: str, elapsed_s: float, error: BaseException | None = None) -> None:
        """A line, always. `arguments` is the socket's Opening."""
        level = logging.INFO if code in _EXPECTED else logging.WARNING
        if not self._log.isEnabledFor(level):
            return
        told: dict[str, Any] = getattr(arguments, "ended", dict)()
        closed = told.get("close_code")
        how = f"closed with {closed}" if closed else "ended" if told else "was not opened"
        counts = f", {told['received']} received, {told['sent']} sent" if told else ""
        cause = f": {_cause(error)}" if error is not None else ""
        extra = self._extra(None, code, elapsed_s) | told
        self._log.log(level, "%s %s after %.3f s%s%s", self._path, how, elapsed_s, counts, cause, extra=extra)


def shown(arguments: Any, sensitive: frozenset[str]) -> dict[str, str]:
    """The fields of `arguments` (a Struct), cut to `SHOWN` characters; the sensitive ones hidden."""
    names = getattr(arguments, "__struct_fields__", ())
    return {name: HIDDEN if name in sensitive else repr(getattr(arguments, name))[:SHOWN] for name in names}


def code_of(error: BaseException) -> str:
    """The outcome code of an exception; RETRY and REJECT are those of event handlers."""
    if isinstance(error, CallError):
        return error.code
    if isinstance(error, ServiceError):
        return "APPLICATION"
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    if isinstance(error, Retry | Reject):
        return type(error).__name__.upper()
    return "INTERNAL"


def _cause(error: BaseException) -> str:
    """What to say of an error. An error's own text may quote arguments, so only declared codes and types are said."""
    return error.code if isinstance(error, ServiceError) else type(error).__name__
