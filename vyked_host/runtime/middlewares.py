"""A call inside the middlewares of its client; its options travel beside, since middlewares see arguments and results."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from ..contracts import Middleware
from ..model.description import EndpointDescription
from ..service.clients import CallOptions, Invoke
from .routes import compose

_OPTIONS: ContextVar[CallOptions | None] = ContextVar("call_options", default=None)


def within(endpoint: EndpointDescription, chain: Sequence[Middleware], call: Invoke) -> Invoke:
    """`call` inside those of `chain` that have to do with `endpoint`; `call` itself when none has."""

    async def innermost(arguments: Any) -> Any:
        return await call(arguments, None, _OPTIONS.get())

    proceed = compose(endpoint, "client", chain, innermost)
    if proceed is innermost:
        return call

    async def outermost(arguments: Any, _inbound: Any, options: CallOptions | None) -> Any:
        token = _OPTIONS.set(options)
        try:
            return await proceed(arguments)
        finally:
            _OPTIONS.reset(token)

    return outermost
