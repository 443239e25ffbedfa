"""`vyked.services`: the classes that services and clients derive from."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from vyked_classic.times import in_seconds

import vyked_host
from vyked_host import Request, Response
from vyked_host.contracts import EndpointDescription, Kind

from .decorators.http import delete, get, head, options, patch, post, put, trace, websocket
from .decorators.tcp import api, apideprecated, publish, request, subscribe, xsubscribe
from .utils.stats import Aggregator

__all__ = [
    "HTTPService", "HTTPServiceClient", "TCPService", "TCPServiceClient", "api", "apideprecated", "delete", "get", "head", "options",
    "patch", "post", "publish", "put", "request", "subscribe", "trace", "websocket", "xsubscribe",
]  # fmt: skip


class _Publishing(vyked_host.Service):
    """What both kinds of services publish has times as Vyked 2.x wrote them."""

    def _payload(self, event: str, body: Callable[..., Any], said: Any) -> Any:
        return in_seconds(super()._payload(event, body, said))  # type: ignore[misc]


class TCPService(_Publishing, vyked_host.TCPService):
    """As vyked-host has it."""


class TCPServiceClient(vyked_host.TCPServiceClient):
    """As vyked-host has it; times in arguments are those of Vyked 2.x."""

    def __split__(self, sends: Any, said: Any) -> tuple[Any, Any]:
        """(arguments, options) out of what the body returned."""
        arguments, options = super().__split__(sends, said)
        return in_seconds(arguments), options


class HTTPServiceClient(vyked_host.HTTPServiceClient):
    """As vyked-host has it. With `ssl_context` the service is called over HTTPS, under ``python -m vyked``; Vyked 2.x had no such
    argument, and no HTTPS there."""

    def __init__(self, service_name: str, service_version: Any, ssl_context: Any = None) -> None:
        super().__init__(service_name, service_version)
        self.ssl_context = ssl_context


class HTTPService(_Publishing, vyked_host.HTTPService):
    """As vyked-host has it, and with figures in the shape of Vyked 2.x."""

    @vyked_host.get(path="/_stats")
    def stats(self, _request: Request) -> Response:
        """What the calls of this process took and how they ended, where the middleware ``classic`` counts them."""
        return Response(text=json.dumps(Aggregator.dump_stats()), content_type="application/json")

    def __endpoint__(self, endpoint: EndpointDescription) -> EndpointDescription:
        """`endpoint`; the parameters that its method asks for are looked for here, where a missing one is counted."""
        found = super().__endpoint__(endpoint)
        if not self._required(endpoint):
            return found
        bindings = tuple(msgspec.structs.replace(each, required_params=()) for each in found.http)
        return msgspec.structs.replace(found, http=bindings)

    def __handler__(self, endpoint: EndpointDescription) -> Callable[..., Any] | None:
        """The method, where parameters are looked for first; else as vyked-host has it."""
        required = self._required(endpoint)
        return _asking_for(required, getattr(self, endpoint.name)) if required else super().__handler__(endpoint)

    def _required(self, endpoint: EndpointDescription) -> tuple[str, ...]:
        """What is asked of a method that takes the request, and nothing beside it."""
        member: Any = inspect.getattr_static(type(self), endpoint.name, None)
        if endpoint.kind is not Kind.HTTP or member is None or len(inspect.signature(member.body).parameters) != 2:
            return ()
        return tuple(dict.fromkeys(name for route in member.marks.routes for name in route.required_params))


def _asking_for(required: tuple[str, ...], method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def answer(request: Any) -> Any:
        missing = [name for name in required if name not in request.query]
        if missing:
            return Response(status=400, text=json.dumps(_refusal(missing)), content_type="application/json")
        found = method(request)
        return await found if inspect.isawaitable(found) else found

    return answer


def _refusal(missing: list[str]) -> Mapping[str, Any]:
    return {
        "error": f"Required params {','.join(missing)} not found", "code": "INVALID_ARGUMENT",
        "details": {"missing": missing}, "executed": "not_executed",
    }  # fmt: skip
