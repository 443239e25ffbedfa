"""``[services.NAME]``: each class is imported, described and its options checked; then all of them together: names, routes,
dependencies that wait for each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..catalog.dependencies import cycles, required
from ..errors import UsageError, VykedError
from ..model import names
from ..model.description import ServiceDescription
from ..model.settings import ServiceTable
from ..model.values import Value
from ..model.version import parse
from .expectation import literal
from .findings import At
from .installed import Installed
from .paths import Path
from .suggest import did_you_mean, join, listing
from .tables import Tables


class Service(Value):
    """One service of the file. `options` is of the Struct that the class declares, None when it declares none."""

    key: str
    table: ServiceTable
    description: ServiceDescription
    options: Any = None

    @property
    def path(self) -> Path:
        """Where it stands in the file."""
        return ("services", self.key)

    @property
    def routes(self) -> Iterable[tuple[str, str, str]]:
        """(verb, path with its prefix, handler) of each route."""
        for endpoint in self.description.endpoints:
            for binding in endpoint.http:
                yield binding.method.upper(), self.table.http_prefix + binding.path, endpoint.name


class Services:
    """Binds ``[services]``."""

    def __init__(self, tables: Tables, installed: Installed) -> None:
        self._tables, self._installed = tables, installed
        self._findings = tables.findings
        self._asked = False

    def bind(self) -> tuple[dict[str, ServiceTable], list[Service]]:
        """Every table, and every service whose class could be had."""
        data = self._tables.document.data.get("services", {})
        if not isinstance(data, dict):
            self._tables.fault(("services",), f"expected a table, got {literal(data)}", "write [services.NAME]")
            return {}, []
        tables = {key: self._table(key, value) for key, value in data.items()}
        bound = {key: table for key, table in tables.items() if table is not None}
        found = [self._service(key, table) for key, table in bound.items()]
        return bound, [service for service in found if service is not None]

    def _table(self, key: str, data: Any) -> ServiceTable | None:
        path: Path = ("services", key)
        try:
            names.name(key, "service name")
        except UsageError as error:
            self._findings.add(path, str(error), at="key")
        table = self._tables.table(path, ServiceTable, data)
        return table if isinstance(data, dict) else None

    def _service(self, key: str, table: ServiceTable) -> Service | None:
        if self._findings.touches(("services", key, "use")):
            return None
        description = self._description(key, table)
        if description is None:
            return None
        return Service(key=key, table=table, description=description, options=self._options(key, table, description))

    def _description(self, key: str, table: ServiceTable) -> ServiceDescription | None:
        path: Path = ("services", key, "use") if table.use else ("services", key)
        at: At = "value" if table.use else "key"
        try:
            found = self._named(key, table)
            return None if found is None else self._described(key, found, table)
        except VykedError as error:
            self._findings.add(path, str(error), at=at)
        except Exception as error:  # noqa: BLE001 - a class may run anything; it must not end the check
            self._findings.add(path, f"the class can't be looked at: {_one_line(error)}", at=at)
        return None

    def _named(self, key: str, table: ServiceTable) -> Any:
        """What the table means: ``module:Class``, or the name of an installed service."""
        name = table.use or key
        if ":" in name:
            return self._installed.reference(name, self._tables.document.folder)
        if name in self._known(name):
            return self._installed.service(name)
        self._unknown(key, name, table)
        return None

    def _described(self, key: str, found: Any, table: ServiceTable) -> ServiceDescription | None:
        from ..service.base import Contract, Service
        from ..service.inspect import describe

        classic = hasattr(found, "__describe__")
        if not classic and not isinstance(found, type):
            raise UsageError(
                f'"{table.use or key}" is no service but {_noun(found)}; name a class: use = "module:Class"'
            )
        if isinstance(found, type) and issubclass(found, Contract) and not issubclass(found, Service):
            raise UsageError(f"{found.__name__} is a contract, which has no bodies; name the class that implements it")
        target = self._made(key, found, table.arguments) if classic and isinstance(found, type) else found
        return None if target is None else describe(target, name=table.name)

    def _made(self, key: str, cls: type, arguments: Any) -> Any:
        """An instance of one of the ancestor's classes: only that can be described."""
        try:
            return cls(**arguments) if isinstance(arguments, dict) else cls(*arguments)
        except Exception as error:  # noqa: BLE001 - as above
            path: Path = ("services", key, "arguments")
            remedy = "arguments = [...] or { name = ... } are those of its constructor"
            self._tables.fault(path, f"{cls.__name__} can't be made: {_one_line(error)}", remedy)
            return None

    def _known(self, name: str) -> tuple[str, ...]:
        known = self._installed.service_names()
        if (
            name not in known and not self._asked
        ):  # plugins may offer some beside entry points: asked when one is missing
            self._asked = True
            self._installed.offer_services(self._tables.document.data)
        return self._installed.service_names()

    def _unknown(self, key: str, name: str, table: ServiceTable) -> None:
        known = self._installed.service_names()
        module, dot, attribute = name.rpartition(".")
        meant = f'did you mean "{module}:{attribute}"?' if dot else did_you_mean(name, known)
        remedy = join(
            meant, f"installed: {listing(known)};",
            'pip install what provides it, or say where the class is: use = "module:Class"',
        )  # fmt: skip
        path: Path = ("services", key, "use") if table.use else ("services", key)
        self._findings.add(path, f'no service "{name}" is installed', remedy, at="value" if table.use else "key")

    def _options(self, key: str, table: ServiceTable, description: ServiceDescription) -> Any:
        path: Path = ("services", key, "options")
        if description.options is not None:
            return self._tables.table(path, description.options, table.options, own=False)
        if table.options:
            what = f"{description.name} declares no options"
            self._tables.fault(path, what, "options: MyStruct in the class says what can be set", at="key")
        return None


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _noun(value: Any) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


# ---- all services together -----------------------------------------------------------------------------------------------
def check_names(services: Iterable[Service], tables: Tables) -> None:
    """No name is served twice in one major version."""
    first: dict[tuple[str, int], Service] = {}
    for service in services:
        major = parse(service.description.version).major
        other = first.setdefault((service.description.name, major), service)
        if other is not service:
            path = (*service.path, "name") if service.table.name else service.path
            message = f'the service "{service.description.name}" is in [services.{other.key}] already'
            tables.findings.add(path, message, 'give one of them another: name = "..."', at=_at(service))


def _at(service: Service) -> At:
    return "value" if service.table.name else "key"


def check_routes(services: Iterable[Service], tables: Tables) -> None:
    """No verb and path leads to two handlers behind one transport."""
    taken: dict[tuple[str, str], list[tuple[Service, str]]] = {}
    for service in services:
        for verb, path, handler in service.routes:
            rivals = taken.setdefault((verb, _template(path)), [])
            rival = next((found for found in rivals if _meet(found[0], service)), None)
            rivals.append((service, handler))
            if rival is not None:
                _route_fault(tables, f"{verb} {path}", (service, handler), rival)


def _route_fault(tables: Tables, route: str, one: tuple[Service, str], other: tuple[Service, str]) -> None:
    service, handler = one
    taken = f"{other[0].description.name}.{other[1]}"
    message = f"the route {route} of {service.description.name}.{handler} is taken by {taken}"
    prefix = (*service.path, "http_prefix")
    given = bool(service.table.http_prefix)
    remedy = 'give one of the services another http_prefix, such as http_prefix = "/v1"'
    tables.findings.add(prefix if given else service.path, message, remedy, at="value" if given else "key")


def _meet(one: Service, other: Service) -> bool:
    if one.table.transports is None or other.table.transports is None:
        return True
    return not set(one.table.transports).isdisjoint(other.table.transports)


def _template(path: str) -> str:
    """`path` without the names of its parts: /users/{a} and /users/{b} are one route."""
    parts = []
    for part in path.split("/"):
        name, colon, pattern = part[1:-1].partition(":")
        parts.append("{" + (colon + pattern if name else "") + "}" if part[:1] == "{" and part[-1:] == "}" else part)
    return "/".join(parts)


def check_transports(services: Iterable[tuple[str, ServiceTable]], known: Iterable[str], tables: Tables) -> None:
    """Each transport that a service names is a table of this file."""
    names_ = list(known)
    for key, table in services:
        for index, name in enumerate(table.transports or ()):
            if name not in names_:
                remedy = join(did_you_mean(name, names_), f"there are: {listing(names_)}")
                tables.findings.add(("services", key, "transports", index), f"there is no [transports.{name}]", remedy)


def check_cycles(services: Iterable[Service], tables: Tables) -> None:
    """Services that require each other would wait for ever."""
    by_name = {service.description.name: service for service in services}
    for cycle in cycles(required(service.description for service in by_name.values())):
        members = [by_name[name] for name in cycle]
        places = ", ".join(f"{member.description.name} is {_where(member)}" for member in members)
        path = " -> ".join([*cycle, cycle[0]])
        remedy = f'let one of them start alone: client("{cycle[0]}", required=False)'
        tables.findings.add(members[0].path, f"services that wait for each other: {path} ({places})", remedy, at="key")


def _where(service: Service) -> str:
    """Module and class; the file and line too where Python knows them."""
    from ..service import places

    place = places.of_class(service.description.cls)
    cls = service.description.cls
    return f"{place.file}:{place.line}" if place.file else f"{cls.__module__}:{cls.__qualname__}"
