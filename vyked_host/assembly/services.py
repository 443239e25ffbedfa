"""Services of a file made ready: class found, described, its options bound, instance made, transports and prefix applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ..config import Service
from ..errors import ConfigError, NotSupported, UsageError
from ..model.description import EndpointDescription, HttpBinding, ServiceDescription
from ..model.identity import EVERY, NOBODY
from ..model.settings import ServiceTable
from ..service.inspect import check_construction, describe


class Planned(NamedTuple):
    """One service that will run: its description with the file's wishes applied, its instance, its options."""

    description: ServiceDescription
    instance: Any
    options: Any


def plan(services: Iterable[Service]) -> list[Planned]:
    """The checked services of a file, instances made, in the order of the file."""
    return [_planned(each) for each in services]


def _planned(service: Service) -> Planned:
    cls, arguments = service.description.cls, service.table.arguments
    if not arguments:
        check_construction(cls)
    instance = cls(**arguments) if isinstance(arguments, dict) else cls(*arguments)
    return prepared(instance, service.table, service.options)


def prepared(instance: Any, table: ServiceTable, options: Any = None) -> Planned:
    """`instance` with the wishes of its table; `options` None: bound from the table's. Raises ConfigError."""
    description = described(instance, table.name)
    endpoints = tuple(_wished(each, table) for each in description.endpoints)
    ready = msgspec.structs.replace(description, endpoints=endpoints, weight=table.weight)
    return Planned(ready, instance, options if options is not None else bound(description, table.options))


def described(instance: Any, name: str | None = None) -> ServiceDescription:
    """The description of an instance: of its class, or its own where it is one of the ancestor's."""
    return describe(instance if hasattr(instance, "__describe__") else type(instance), name=name)


def bound(description: ServiceDescription, given: Any) -> Any:
    """The service's options Struct out of plain data. Raises ConfigError."""
    if description.options is None:
        if given:
            raise ConfigError(f"{description.name} takes no options: it declares no `options: MyStruct`")
        return None
    try:
        return msgspec.convert(given, description.options)
    except msgspec.ValidationError as error:
        raise ConfigError(f"options of {description.name}: {error}") from error


def _wished(endpoint: EndpointDescription, table: ServiceTable) -> EndpointDescription:
    http = tuple(_prefixed(each, table.http_prefix) for each in endpoint.http)
    transports = frozenset((*table.transports, "local")) if table.transports is not None else endpoint.transports
    return msgspec.structs.replace(endpoint, http=http, transports=transports, allow=_allowed(endpoint, table))


def _allowed(endpoint: EndpointDescription, table: ServiceTable) -> tuple[str, ...]:
    """Who may call `endpoint`; empty: everybody."""
    wanted = table.allow
    if wanted is None:
        return endpoint.allow
    if isinstance(wanted, dict):
        wanted = wanted.get(endpoint.name, wanted.get(EVERY, []))
    return tuple(wanted) or NOBODY


def _prefixed(binding: HttpBinding, prefix: str) -> HttpBinding:
    return msgspec.structs.replace(binding, path=prefix + binding.path) if prefix else binding


def without_waiting(planned: Planned) -> Planned:
    """The same service, active at once whoever is missing."""
    needs = tuple(msgspec.structs.replace(each, required=False) for each in planned.description.dependencies)
    return planned._replace(description=msgspec.structs.replace(planned.description, dependencies=needs))


def refuse_contexts(planned: Iterable[Planned]) -> None:
    """A TLS context that a service of the ancestor's face was made with, or a client of it, is not used here. Raises NotSupported, so that nothing
    is sent in clear instead."""
    for each in planned:
        for owner in (each.instance, *getattr(each.instance, "clients", ())):
            if getattr(owner, "ssl_context", None) is not None:
                raise NotSupported(
                    f"{type(owner).__name__}: ssl_context is not used here, and nothing is sent in clear instead: leave it out and "
                    "write [security.tls] in vyked.toml; python -m vyked of vyked-classic uses it"
                )


def refuse_twins(planned: Sequence[Planned]) -> None:
    """Two services may share a name (Vyked 2.x: one over TCP, one over HTTP) while no call could mean both. Raises
    UsageError."""
    seen: dict[tuple[str, str, str, bool], str] = {}
    for each in planned:
        for endpoint in each.description.endpoints:
            key = (endpoint.service, endpoint.version, endpoint.name, endpoint.kind.is_raw)
            here = type(each.instance).__qualname__
            if key in seen:
                raise UsageError(
                    f"{endpoint.path} {endpoint.version} is served by {seen[key]} and by {here}; "
                    "give one service another name with [services.X] name = ..."
                )
            seen[key] = here
