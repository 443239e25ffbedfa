"""Stand-ins for the host: an attachment that remembers, and an invoker that runs the handlers of an instance."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import msgspec

from vyked_host.model.description import EndpointDescription, EventDescription
from vyked_host.service.base import Service, attach
from vyked_host.service.binding import handler
from vyked_host.service.clients import CallOptions, proxy
from vyked_host.service.endpoints import Publish, Published
from vyked_host.service.inspect import describe


class Remembering:
    """An Attachment: events end up in `published`, tasks in the running loop."""

    def __init__(self, options: Any = None, clients: Mapping[str, Any] | None = None) -> None:
        self.log = logging.LoggerAdapter(logging.getLogger("vyked.test"), {})
        self.options, self.clients = options, clients or {}
        self.published: list[tuple[EventDescription, Any, dict[str, Any]]] = []
        self.tasks: list[str] = []

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        self.tasks.append(name)
        return asyncio.get_running_loop().create_task(work, name=name)

    def publisher(self, event: EventDescription) -> Publish:
        def publish(payload: Any, /, **options: Any) -> Awaitable[Published]:
            self.published.append((event, payload, {key: value for key, value in options.items() if value is not None}))
            done: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
            done.set_result(Published(id=options.get("id") or "1", durability="memory"))
            return done

        return publish


class Loopback:
    """An Invoker that runs the handlers of `instance`, with plain data in between, and remembers the options."""

    def __init__(self, instance: Service) -> None:
        self.instance = instance
        self.served = {each.name: each for each in describe(instance).endpoints}
        self.options: list[CallOptions | None] = []
        self.bound: list[EndpointDescription] = []

    def bind(self, endpoint: EndpointDescription) -> Callable[..., Any]:
        self.bound.append(endpoint)
        served = self.served.get(endpoint.name)
        run = handler(self.instance, served) if served else None

        def call(arguments: Any, inbound: Any, options: CallOptions | None) -> Any:
            assert served is not None
            assert run is not None
            self.options.append(options)
            sent = msgspec.to_builtins(arguments)
            received = msgspec.convert(sent, served.arguments)
            return run(received) if inbound is None else run(received, inbound)

        return call


class Raising:
    """An Invoker whose calls raise `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def bind(self, endpoint: EndpointDescription) -> Callable[..., Any]:
        async def call(arguments: Any, inbound: Any, options: Any) -> Any:
            raise self.error

        return call


def hosted(instance: Service, invokers: Mapping[str, Any] | None = None, **settings: Any) -> Remembering:
    """Attach `instance`; `invokers` by service name."""
    description = describe(instance)
    clients = {each.attribute: proxy(each, (invokers or {})[each.service]) for each in description.dependencies}
    attachment = Remembering(clients=clients, **settings)
    attach(instance, attachment, description)
    return attachment
