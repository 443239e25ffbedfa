"""The ancestor's serving classes: `TCPService` and `HTTPService`. They are Services whose name, version and address come
from the constructor, whose arguments need no types, and whose dependencies are the objects in `clients`.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from ...errors import InvalidPayload, UsageError
from ...model import names
from ...model.description import (
    Dependency,
    EndpointDescription,
    HttpBinding,
    Kind,
    ServiceDescription,
    SubscriptionDescription,
)
from ...model.version import parse
from ..base import Service, host_of
from ..endpoints import Event, Publish, Published
from ..inspect import described
from ..members import Naming
from ..places import of_member
from ..sockets import each_message, socket_shape
from .clients import ANSWERED, TIMEOUT_S, Named, ServiceClient, as_arguments

PREFLIGHT = "preflight_response"


class ClassicService(Named, Service):
    """What TCPService and HTTPService share."""

    def __init__(
        self, service_name: str, service_version: Any, host_ip: str | None = None, host_port: int | None = None,
        ssl_context: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(service_name, service_version)
        self._host, self._port, self._node_id = host_ip, host_port, secrets.token_hex(4)
        self._clients: list[ServiceClient] = []
        self.ssl_context = ssl_context

    @property
    def node_id(self) -> str:
        """Eight hexadecimal digits, random per service object."""
        return self._node_id

    @property
    def host(self) -> str | None:
        """The address to listen at; None: what vyked.toml says."""
        return self._host

    @property
    def port(self) -> int | None:
        """The port to listen at; None: what vyked.toml says."""
        return self._port

    @property
    def socket_address(self) -> tuple[str | None, int | None]:
        """Host and port."""
        return self._host, self._port

    @property
    def clients(self) -> list[ServiceClient]:
        """The client objects; each makes its service a dependency of this one. Set before the host runs."""
        return self._clients

    @clients.setter
    def clients(self, clients: Sequence[ServiceClient]) -> None:
        for each in clients:
            if not isinstance(each, ServiceClient):
                raise UsageError(f"{type(self).__name__}.clients: {each!r} is no TCPServiceClient or HTTPServiceClient")
        self._clients = list(clients)

    # ---- the host's side ---------------------------------------------------------------------------------------------
    def __describe__(self, name: str | None = None) -> ServiceDescription:
        """The description of this instance, served as `name` when given."""
        naming = Naming(names.name(name or self.name, "service name"), str(parse(self.version)), lenient=True)
        found = described(type(self), naming)
        return msgspec.structs.replace(
            found,
            endpoints=tuple(self.__endpoint__(each) for each in found.endpoints),
            subscriptions=(*found.subscriptions, *self._subscriptions()),
            dependencies=(*found.dependencies, *self._dependencies()),
        )

    def __endpoint__(self, endpoint: EndpointDescription) -> EndpointDescription:
        """`endpoint` with the ancestor's defaults."""
        if endpoint.kind is Kind.WEBSOCKET:  # the ancestor's sockets had no time limit, whatever they said
            return msgspec.structs.replace(endpoint, timeout_s=None)
        declared = () if any(each.code == ANSWERED.code for each in endpoint.raises) else (ANSWERED,)
        return msgspec.structs.replace(
            endpoint, raises=(*endpoint.raises, *declared), timeout_s=endpoint.timeout_s or TIMEOUT_S
        )

    def _dependencies(self) -> tuple[Dependency, ...]:
        return tuple(
            Dependency(attribute=_attribute(at), service=each.name, version=str(parse(each.version)), contract=each)
            for at, each in enumerate(self._clients)
        )

    def _subscriptions(self) -> tuple[SubscriptionDescription, ...]:
        return tuple(
            SubscriptionDescription(
                service=client.name, major=parse(client.version).major, event=name, handler=f"{_attribute(at)}.{name}",
                payload=Any, exclusive=said.exclusive, strategy=said.strategy, concurrency=said.concurrency,
                max_deliveries=said.max_deliveries, may_miss=said.may_miss,
            )
            for at, client in enumerate(self._clients)
            for name, said in client.__subscriptions__()
        )  # fmt: skip

    def __subscriber__(self, subscription: SubscriptionDescription) -> Callable[[Any], Awaitable[None]] | None:
        """The handler of a client object; None: it is a method of this service."""
        for at, client in enumerate(self._clients):
            prefix, _, name = subscription.handler.rpartition(".")
            if prefix == _attribute(at):
                return keywords(getattr(client, name), f"{subscription.service}.{subscription.event}")
        return None

    def __take_clients__(self, clients: Mapping[str, Any]) -> None:
        """The host hands over what the client objects call through."""
        for at, each in enumerate(self._clients):
            each.__take_calls__(clients[_attribute(at)], host_of(self).attachment.spawn)
        vars(self).update({name: each for name, each in clients.items() if name.isidentifier()})

    def __publisher__(self, event: str) -> Publish:
        """Publishes what the body returned: a dict, now or when awaited."""
        publish, body = super().__publisher__(event), _body_of(type(self), event)

        async def later(coming: Awaitable[Any], options: Mapping[str, Any]) -> Published:
            return await publish(self._payload(event, body, await coming), **options)

        def now_or_later(payload: Any, /, **options: Any) -> Awaitable[Published]:
            if inspect.isawaitable(payload):
                return self.spawn(later(payload, options), name=f"publish {self.name}.{event}")
            return publish(self._payload(event, body, payload), **options)

        return now_or_later

    def _payload(self, event: str, body: Callable[..., Any], said: Any) -> Any:
        if not isinstance(said, Mapping):
            raise UsageError(f"{type(self).__name__}.{event} returned {said!r}: return a dict, such as locals()")
        return as_arguments(self, body, said)


def _attribute(at: int) -> str:
    return f"clients[{at}]"


def _body_of(cls: type[object], event: str) -> Callable[..., Any]:
    found = inspect.getattr_static(cls, event)
    assert isinstance(found, Event)  # described from the same class
    return found.body


def keywords(method: Callable[..., Any], event: str) -> Callable[[Any], Awaitable[None]]:
    """A handler that is called with the fields of an event as keyword arguments; fields it has no name for are left out."""
    parameters = inspect.signature(method).parameters.values()
    known = {each.name for each in parameters}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)

    async def deliver(payload: Any) -> None:
        if not isinstance(payload, Mapping):
            raise InvalidPayload(f"{event} carries {type(payload).__name__}, {method.__qualname__} takes named values")
        result = method(**{name: value for name, value in payload.items() if takes_all or name in known})
        if inspect.isawaitable(result):
            await result

    return deliver


class TCPService(ClassicService):
    """A service whose @api methods other services call, and whose @publish methods publish."""


class HTTPService(ClassicService):
    """A service whose @get, @post, ... methods get the web framework's request and return its response.

    `allow_cross_domain` lets pages of every origin read the answers; `preflight_response(request)` answers their OPTIONS
    requests instead of the host.
    """

    def __init__(
        self, service_name: str, service_version: Any, host_ip: str | None = None, host_port: int | None = None,
        ssl_context: Any = None, allow_cross_domain: bool = False,
        preflight_response: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(service_name, service_version, host_ip, host_port, ssl_context)
        self._allow_cross_domain, self._preflight_response = allow_cross_domain, preflight_response

    @property
    def cross_domain_allowed(self) -> bool:
        """May pages of other origins read the answers?"""
        return self._allow_cross_domain

    @property
    def preflight_response(self) -> Callable[[Any], Any] | None:
        """What answers OPTIONS requests; None: the host does."""
        return self._preflight_response

    def __describe__(self, name: str | None = None) -> ServiceDescription:
        """The description of this instance; with a preflight of its own, one OPTIONS route per path."""
        found = super().__describe__(name)
        if not (self._allow_cross_domain and self._preflight_response):
            return found
        return msgspec.structs.replace(found, endpoints=(*found.endpoints, self._preflight(found)))

    def _preflight(self, found: ServiceDescription) -> EndpointDescription:
        bindings = [each for endpoint in found.endpoints for each in endpoint.http]
        taken = {each.path for each in bindings if each.method == "OPTIONS"}
        paths = dict.fromkeys(each.path for each in bindings if each.path not in taken)
        return EndpointDescription(
            service=found.name, version=found.version, name=PREFLIGHT, kind=Kind.HTTP, timeout_s=TIMEOUT_S,
            http=tuple(HttpBinding(method="OPTIONS", path=path, origins=("*",)) for path in paths),
            transports=frozenset({"http"}), summary="Answers preflights of pages of other origins",
        )  # fmt: skip

    def __endpoint__(self, endpoint: EndpointDescription) -> EndpointDescription:
        """`endpoint` with the ancestor's defaults, open to other origins where that is allowed."""
        found = super().__endpoint__(endpoint)
        if not self._allow_cross_domain or endpoint.kind is Kind.WEBSOCKET:
            return found
        return msgspec.structs.replace(
            found, http=tuple(msgspec.structs.replace(each, origins=("*",)) for each in found.http)
        )

    def __handler__(self, endpoint: EndpointDescription) -> Callable[..., Any] | None:
        """The preflight, or a WebSocket's method that is called for each message; None: a method of the class."""
        if endpoint.name == PREFLIGHT:
            return self._preflight_response
        if endpoint.kind is not Kind.WEBSOCKET:
            return None
        body = inspect.getattr_static(type(self), endpoint.name)
        shape = socket_shape(body, of_member(type(self), endpoint.name, body), lenient=True)
        return each_message(getattr(self, endpoint.name)) if shape.per_message else None
