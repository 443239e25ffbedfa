"""`vyked.decorators.tcp`: those of vyked-host, but for what Vyked 2.x let out and what it left open."""

from __future__ import annotations

from typing import Any

from vyked_classic.middleware import OldFailure

import vyked_host
from vyked_host import publish, request, subscribe

__all__ = ["api", "apideprecated", "deprecated", "publish", "request", "subscribe", "xsubscribe"]


def api(body: Any = None, /, *, timeout: float | None = None) -> Any:
    """A method that other services call. `timeout` in seconds, from 0 to 600, which is the default. What it raises reaches its
    callers as a text."""
    marked = vyked_host.api(timeout=timeout, raises=[OldFailure])
    return marked if body is None else marked(body)


def apideprecated(body: Any = None, /, *, replacement_api: str | None = None) -> Any:
    """As `api`; callers are told that it will go, and what to call instead."""
    goes = vyked_host.apideprecated(replacement_api=replacement_api)

    def decorate(method: Any) -> Any:
        return goes(api(method))

    return decorate if body is None else decorate(body)


deprecated = apideprecated


def xsubscribe(handler: Any = None, /, *, strategy: Any = "DESIGNATION") -> Any:
    """A method of a client object that gets each event in one instance of its service. Over the channels of Vyked 2.x an event is
    lost when that one is not connected, as it was; other buses bring it at least once."""
    marked = vyked_host.xsubscribe(strategy=strategy, may_miss=True)
    return marked if handler is None else marked(handler)
