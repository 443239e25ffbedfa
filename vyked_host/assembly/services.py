"""Services of a file made ready: class found, described, its options bound, instance made, transports and prefix applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ..errors import ConfigError, UsageError
from ..loading import Catalogue
from ..model.description import EndpointDescription, HttpBinding, ServiceDescription
from ..model.settings import ServiceTable, Settings
from ..service.inspect import describe


class Planned(NamedTuple):
    """One service that will run: its description with the file's wishes applied, its instance, its options."""

    description: ServiceDescription
    instance: Any
    options: Any


def plan(settings: Settings, catalogue: Catalogue) -> list[Planned]:
    """The services of ``[services]``, in the order of the file."""
    return [_planned(name, table, settings, catalogue) for name, table in settings.services.items()]


def found_class(name: str, table: ServiceTable, settings: Settings, catalogue: Catalogue) -> Any:
    """The class that a table means."""
    if table.use is not None and ":" in table.use:
        return catalogue.reference(table.use, settings.folder)
    return catalogue.service(table.use or name)


def _planned(name: str, table: ServiceTable, settings: Settings, catalogue: Catalogue) -> Planned:
    cls = found_class(name, table, settings, catalogue)
    if not isinstance(cls, type):
        return prepared(cls, table)
    arguments = table.arguments
    instance = cls(**arguments) if isinstance(arguments, dict) else cls(*arguments)
    return prepared(instance, table)


def prepared(instance: Any, table: ServiceTable | None = None) -> Planned:
    """`instance` with the wishes of its table."""
    table = table or ServiceTable()
    description = describe(instance, name=table.name)
    endpoints = tuple(_wished(each, table) for each in description.endpoints)
    return Planned(msgspec.structs.replace(description, endpoints=endpoints), instance, bound(description, table.options))


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
    return msgspec.structs.replace(endpoint, http=http, transports=transports)


def _prefixed(binding: HttpBinding, prefix: str) -> HttpBinding:
    return msgspec.structs.replace(binding, path=prefix + binding.path) if prefix else binding


def refuse_twins(planned: Sequence[Planned]) -> None:
    """Two services of one name and major version in one host could not be told apart. Raises UsageError."""
    seen: dict[tuple[str, str], Planned] = {}
    for each in planned:
        key = (each.description.name, each.description.version)
        if key in seen:
            raise UsageError(
                f"two services are called {key[0]} {key[1]}; give one another name with [services.X] name = ..."
            )
        seen[key] = each
