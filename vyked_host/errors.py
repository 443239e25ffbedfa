"""The one exception tree, the one table of outcome codes, and the version.

Everything raised on purpose is a :class:`VykedError`. A person's own mistake (`UsageError`, `ConfigError`, `StartError`) is reported
without a traceback; a call that failed (`CallError`) and an application's own error (`ServiceError`) are kept apart; so are what
the peer did wrong on the wire (`RemoteProtocolError`) and what this side did (`LocalProtocolError`).
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Literal, NamedTuple, get_type_hints

__version__ = "0.1.0.dev0"

Executed = Literal["not_sent", "not_executed", "executed", "unknown"]
Code = Literal[
    "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "VERSION_MISMATCH", "TOO_LARGE",
    "CANCELLED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "NOT_SUPPORTED", "INTERNAL", "APPLICATION",
]  # fmt: skip

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_START, EXIT_CONFIG, EXIT_REMOTE, EXIT_TIMEOUT = range(7)


class VykedError(Exception):
    """Root of every exception of vyked_host."""

    exit_code: ClassVar[int] = EXIT_FAILED


class UsageError(VykedError):
    """The API was used in a way that can't work; the text says how to do it."""

    exit_code = EXIT_USAGE


class StartError(VykedError):
    """The host could not start: a plugin is broken, a port is taken, a back end can't be reached."""

    exit_code = EXIT_START


class Away(StartError):
    """Nobody answers where this host should meet the others; with what it knew before it may start all the same."""


class Unfit(StartError):
    """A back end that was reached is not set as this file asks, or a service is not as a setting wants it. `key` is that setting, as a
    dotted path; `problems` has its place (`config.problems.Problem`) once the host has looked it up."""

    def __init__(self, message: str, *, key: str, remedy: str, problems: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.key, self.remedy, self.problems = key, remedy, problems

    def __str__(self) -> str:
        place = f"{self.problems[0].place}  " if self.problems else ""
        return f"{place}{super().__str__()}; {self.remedy}"


class PluginError(StartError):
    """A plugin failed; `plugin` names the distribution and version."""

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class ConfigError(VykedError):
    """The file is wrong; `problems` holds every fault found (`config.problems.Problem`)."""

    exit_code = EXIT_CONFIG

    def __init__(self, message: str, problems: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems

    def __str__(self) -> str:
        lines = [f"{each.place}  {each.severity}  {each.sentence}" for each in self.problems]
        return "\n".join((super().__str__(), *lines))


class NotSupported(VykedError):
    """The chosen back end can't give what was asked for, and says so instead of pretending."""


class ProtocolError(VykedError):
    """The rules of a wire protocol were broken."""


class LocalProtocolError(ProtocolError):
    """This side asked the protocol layer for something that is not legal now."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something illegal: the connection has to be closed. `code` goes into the GOAWAY."""


class Closed(VykedError):
    """The WebSocket is closed: nothing more can be sent. `close_code` says how it ended (RFC 6455, 7.4): 1001 this host is
    draining, 1006 the connection was lost."""

    def __init__(self, message: str, *, close_code: int) -> None:
        super().__init__(message)
        self.close_code = close_code


class ServiceError(VykedError):
    """An application's own error. `code` travels, never the class name; annotated fields are the details.

    Declare one with ``class UserExists(ServiceError, code="user_exists", status=409): user_name: str`` and list it in
    ``@api(raises=[UserExists])``. It is never retried by the host. `status` is the HTTP status.
    """

    code: ClassVar[str] = "service_error"
    status: ClassVar[int] = 400
    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, code: str | None = None, status: int | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if code is not None:
            cls.code = code
        if status is not None:
            cls.status = status
        own = [name for name, text in inspect.get_annotations(cls).items() if "ClassVar" not in str(text)]
        cls.fields = tuple(dict.fromkeys((*cls.fields, *own)))

    def __init__(self, *values: Any, **named: Any) -> None:
        unknown = set(named) - set(self.fields)
        if unknown or (self.fields and len(values) > len(self.fields)):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.fields) or 'one message'}")
        if not self.fields:
            super().__init__(*values)
            return
        found = dict(zip(self.fields, values, strict=False)) | named
        for name in self.fields:
            if name not in found and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name!r}")
        for name, value in found.items():
            setattr(self, name, value)
        super().__init__(*found.values())

    def details(self) -> dict[str, Any]:
        """The declared fields and their values: what travels."""
        return {name: getattr(self, name) for name in type(self).fields}

    def __str__(self) -> str:
        if not type(self).fields:
            return super().__str__()
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).fields)


def field_types(error: type[ServiceError]) -> dict[str, Any]:
    """Name -> type of each declared field of an application error."""
    hints = get_type_hints(error, include_extras=True)
    return {name: hints[name] for name in error.fields}


class CallError(VykedError):
    """The call itself failed. `executed` says whether the handler may have run, which decides about retries."""

    code: ClassVar[Code] = "INTERNAL"
    exit_code = EXIT_REMOTE
    call_id = ""
    """What ``vyked-host why call`` looks this failure up by; empty for an error that no call of a host raised."""

    def __init__(
        self, message: str, *, service: str = "", method: str = "", executed: Executed = "unknown",
        instance: str | None = None, details: Any = None, retry_after: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.service, self.method, self.executed, self.instance = service, method, executed, instance
        self.details, self.retry_after = details, retry_after


class DeadlineExceeded(CallError):
    """The time for the call was over; the handler may have run unless `executed` says otherwise."""

    code = "DEADLINE_EXCEEDED"
    exit_code = EXIT_TIMEOUT


class Unavailable(CallError):
    """No instance could be reached, or the connection was lost."""

    code = "UNAVAILABLE"


class NotConnected(Unavailable):
    """The transport itself has lost what it works over, its servers, say, or has them back only now: of those that are reached
    over it nobody can be judged. Raised by `Transport.dial` with ``executed="not_sent"``: a call goes where another transport leads, or waits
    until its deadline."""


class Refused(Unavailable):
    """The other end would not talk to this host: `reason` is a word of the wire protocol (mesh, draining, busy, ...)."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message, executed="not_sent")
        self.reason = reason


class Overloaded(CallError):
    """The instance refused because it has enough to do; `retry_after` is in seconds."""

    code = "RESOURCE_EXHAUSTED"


class KeyInUse(Overloaded):
    """A call with this idempotency key is still running and did not end in time; this one was not run. Try again with the same key."""


class HeldUp(Overloaded):
    """The instance's event loop stood still for a second, and what came meanwhile was refused; this call was not run. It says nothing of
    how much there is to do: after `retry_after` the same instance may take it."""


class NotFound(CallError):
    """No such service or method; the text says which exist."""

    code = "NOT_FOUND"


class VersionMismatch(CallError):
    """The service is there, but in no compatible version; the text says in which."""

    code = "VERSION_MISMATCH"


class InvalidPayload(CallError):
    """An argument or a result does not fit its type; `field` is its path, such as ``user.name``."""

    code = "INVALID_ARGUMENT"

    @property
    def field(self) -> str:
        """Path of the field at fault, empty when the whole payload is."""
        return str((self.details or {}).get("field", ""))


class KeyReused(InvalidPayload):
    """The idempotency key was used before, with another payload: nothing was run. A new call needs a new key."""


class TooLarge(CallError):
    """The payload is over the limit."""

    code = "TOO_LARGE"


class Unauthenticated(CallError):
    """The caller did not prove who it is."""

    code = "UNAUTHENTICATED"


class PermissionDenied(CallError):
    """The caller is known and may not do this."""

    code = "PERMISSION_DENIED"


class Cancelled(CallError):
    """The other side cancelled the call."""

    code = "CANCELLED"


class CallNotSupported(CallError):
    """The transport or the endpoint can't do this kind of call."""

    code = "NOT_SUPPORTED"


class RemoteFailure(CallError):
    """The handler raised something it did not declare; its traceback is in the other host's log under `id`."""

    code = "INTERNAL"

    @property
    def id(self) -> str:
        """What to look for in the log of the other host."""
        return str((self.details or {}).get("id", ""))


class ApplicationError(CallError):
    """The service answered with an error of its own that this side has no class for: `type` is its code."""

    code = "APPLICATION"

    def __init__(self, message: str, *, type: str = "", **where: Any) -> None:
        super().__init__(message, **where)
        self.type = type


class Rule(NamedTuple):
    """One row of the table: what a code means at each edge."""

    status: int  # HTTP (RFC 9110; 499 as nginx: the client is gone)
    error: type[CallError]
    retry: Literal["elsewhere", "if_idempotent", "never"]


RULES: dict[Code, Rule] = {
    "INVALID_ARGUMENT": Rule(400, InvalidPayload, "never"),
    "UNAUTHENTICATED": Rule(401, Unauthenticated, "never"),
    "PERMISSION_DENIED": Rule(403, PermissionDenied, "never"),
    "NOT_FOUND": Rule(404, NotFound, "never"),
    "VERSION_MISMATCH": Rule(409, VersionMismatch, "elsewhere"),
    "TOO_LARGE": Rule(413, TooLarge, "never"),
    "CANCELLED": Rule(499, Cancelled, "never"),
    "RESOURCE_EXHAUSTED": Rule(429, Overloaded, "elsewhere"),
    "UNAVAILABLE": Rule(503, Unavailable, "if_idempotent"),
    "DEADLINE_EXCEEDED": Rule(504, DeadlineExceeded, "if_idempotent"),
    "NOT_SUPPORTED": Rule(501, CallNotSupported, "never"),
    "INTERNAL": Rule(500, RemoteFailure, "never"),
    "APPLICATION": Rule(400, ApplicationError, "never"),
}
"""The only place that says what a code means: HTTP status, exception at the caller, retry rule."""
HELD_UP = "held_up"
"""The type of a refusal by an instance whose loop stood still: neither the call nor the load is the reason (`HeldUp`)."""
TYPED = {
    "key_reused": Rule(422, KeyReused, "never"),
    "key_in_use": Rule(409, KeyInUse, "elsewhere"),
    HELD_UP: Rule(429, HeldUp, "elsewhere"),
}
"""Types that say more than their code, with the statuses of draft-ietf-httpapi-idempotency-key-header."""


def rule(code: Code, type: str = "") -> Rule:
    """The row of a fault."""
    return RULES[code] if code == "APPLICATION" else TYPED.get(type, RULES[code])
