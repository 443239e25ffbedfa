"""The ways to a method that `bench` compares: over a transport of the mesh, or in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from ..assembly import Host
from ..assembly.prepare import prepare
from ..errors import NotFound, UsageError
from ..model.description import EndpointDescription, Kind
from ..service.clients import CallOptions
from .call import located
from .client import endpoint, nearest_of
from .meshes import Reach, ready

LOCAL = "local"
_ALONE = (
    "transports={}", 'registry.use="embedded"', 'registry.embedded={ address = "none" }', 'pubsub.use="embedded"',
    'pubsub.embedded={ address = "none" }',
)  # fmt: skip
"""Of the services of a file that run once more, for us alone: the ports, the mesh and the events belong to those that run."""


class Method:
    """Which method, with which arguments, and how long a call may take in seconds."""

    def __init__(self, path: tuple[str, str], given: dict[str, Any], timeout: float) -> None:
        self.path, self.given, self.timeout = path, given, timeout


Once = Callable[[], Awaitable[Any]]


def way(reach: Reach, method: Method, name: str | None) -> AbstractAsyncContextManager[Once]:
    """One call of `method` each time what it gives is called: by any transport (None), over the one called `name`, or for
    ``local`` in this process. Raises UsageError, StartError, CallError."""
    return _here(reach, method) if name == LOCAL else _there(reach, method, name)


@asynccontextmanager
async def _there(reach: Reach, method: Method, transport: str | None) -> AsyncIterator[Once]:
    service, _ = method.path
    if transport is not None:
        known = sorted({LOCAL, *ready(reach).loaded.require().transports})
        if transport not in known:
            raise UsageError(
                f"--compare {transport}: the file has no [transports.{transport}]; there are: {', '.join(known)}"
            )
        reach = msgspec.structs.replace(reach, overrides=(f'clients."{service}".transport="{transport}"',))
    async with located(reach, service) as (host, channel, instance):
        yield _calls(host, endpoint(channel, *method.path), method, instance)


@asynccontextmanager
async def _here(reach: Reach, method: Method) -> AsyncIterator[Once]:
    if reach.file is None:
        raise UsageError("local needs the file whose services are meant: --config FILE")
    async with Host.of(prepare(reach.file, overrides=_ALONE), ronin=True) as host:
        yield _calls(host, _own(host, *method.path), method, None)


def _own(host: Host, service: str, name: str) -> EndpointDescription:
    """The endpoint of a service that runs here, as a caller that knows no types sees it. Raises NotFound."""
    served = {each.description.name: each.description for each in host.node.hosted}
    if service not in served:
        raise NotFound(f"no service {service!r} in this file; {nearest_of(service, sorted(served))}", service=service, executed="not_sent")  # fmt: skip
    found = {each.name: each for each in served[service].endpoints}
    if name not in found:
        raise NotFound(f"{service} has no method {name!r}; {nearest_of(name, sorted(found))}", service=service, method=name, executed="not_sent")  # fmt: skip
    return msgspec.structs.replace(found[name], arguments=dict[str, Any], result=Any, inbound=Any)


def _calls(host: Host, found: EndpointDescription, method: Method, instance: str | None) -> Once:
    if found.kind is not Kind.UNARY:
        raise UsageError(
            f"{found.path} has a stream; only methods with one argument list and one answer can be measured"
        )
    invoke = host.invoker(found.service).bind(found)
    options = CallOptions(timeout=method.timeout, instance=instance)
    return lambda: invoke(method.given, None, options)
