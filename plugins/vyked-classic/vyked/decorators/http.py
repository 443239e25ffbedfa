"""`vyked.decorators.http` of release 2.1.91: those of vyked-host, whose arguments may be given by place as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import vyked_host

__all__ = ["delete", "get", "head", "options", "patch", "post", "put", "trace", "websocket"]

Given = str | Sequence[str] | None


def _by_place(decorator: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(path: Any = None, required_params: Given = None, timeout: float | None = None, **more: Any) -> Any:
        if path is not None and not isinstance(path, (str, list, tuple)):
            return decorator(path)  # the method itself
        return decorator(path, required_params=required_params, timeout=timeout, **more)

    decorate.__doc__ = (
        "Serves a method over HTTP; of an HTTPServiceClient: the verb of the request. `path` is one or several, `required_params` are "
        "parameters of the query without which the answer is 400, `timeout` is in seconds, 600 without it."
    )
    return decorate


get, post, head, put = map(_by_place, (vyked_host.get, vyked_host.post, vyked_host.head, vyked_host.put))
patch, delete, options, trace = map(
    _by_place, (vyked_host.patch, vyked_host.delete, vyked_host.options, vyked_host.trace)
)
websocket = _by_place(vyked_host.websocket)
