"""Entry point of `middleware.logging`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from ...contracts import Environment, Middleware, Provider, hookimpl


class LoggingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``{ use = "logging", ... }``."""

    slow_ms: Annotated[
        float, Meta(ge=0, description="milliseconds from which a call is logged although it succeeded")
    ] = 500.0
    every: Annotated[bool, Meta(description="log every call, not only those that failed or were slow")] = False
    arguments: Annotated[
        bool, Meta(description="log the arguments too; those declared sensitive are left out, always")
    ] = False


@hookimpl
def vyked_middlewares() -> Iterable[Provider[Middleware]]:
    """The access log."""
    summary = "one line for each call that failed or was slow"
    return [Provider(name="logging", summary=summary, options=LoggingOptions, build=_build)]


def _build(options: LoggingOptions, env: Environment) -> Middleware:
    from .access import AccessLog

    return AccessLog(options, env)
