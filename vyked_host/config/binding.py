"""A document -> Settings, in the order in which a fault could hide another: own tables, plugins, services, then everything
together. Every fault lands in the document's findings; what comes out is usable even then, so that checking goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import StartError, UsageError
from ..model import names
from ..model.settings import (
    ClientTable,
    HostTable,
    LimitsTable,
    LoggingTable,
    PluginsTable,
    SecurityTable,
    ServiceTable,
    Settings,
    TimingTable,
    TransportTable,
)
from . import addresses, reach, services
from .choices import Choices
from .document import Document
from .effective import told
from .expectation import literal
from .faults import unknown_remedy
from .installed import Installed
from .paths import Path
from .services import Service, Services
from .suggest import did_you_mean, join, listing
from .tables import Tables

T = TypeVar("T", bound=msgspec.Struct)

TABLES = tuple(key for key in Settings.__struct_fields__ if key != "folder")
"""What a file can hold at its top."""

_LOCAL = "local"  # calls between services of one host: there, whatever transports the file has


class Binding:
    """Binds one document against what is installed."""

    def __init__(self, document: Document, installed: Installed) -> None:
        self.document, self._installed = document, installed
        self.tables = Tables(document)
        self._choices = Choices(self.tables, installed)

    def settings(self) -> tuple[Settings, list[Service]]:
        """The settings, and the services whose classes could be had."""
        self._top()
        plugins = self._plugins()
        service_tables, found = Services(self.tables, self._installed).bind()
        transports = self._transports(found)
        bound = self._bound(plugins, service_tables, transports)
        self._together(bound, found)
        return bound, found

    def _bound(
        self, plugins: PluginsTable, service_tables: dict[str, ServiceTable], transports: dict[str, TransportTable]
    ) -> Settings:
        return Settings(
            host=self._host(),
            plugins=plugins,
            logging=self._own("logging", LoggingTable),
            registry=self._choices.separate("registry"),
            pubsub=self._choices.separate("pubsub"),
            results=self._choices.separate("results", "memory"),
            transports=transports,
            services=service_tables,
            clients=self._clients(transports),
            middleware=self._choices.middleware(),
            limits=self._own("limits", LimitsTable),
            timing=self._own("timing", TimingTable),
            security=self._security(),
            folder=self.document.folder,
        )

    def _top(self) -> None:
        for key, value in self.document.data.items():
            if key not in TABLES:
                what = "unknown table" if isinstance(value, Mapping) else "unknown key"
                self.tables.fault((key,), what, unknown_remedy(key, TABLES), at="key")

    def _plugins(self) -> PluginsTable:
        table = self._own("plugins", PluginsTable)
        for index, text in enumerate(table.disable):
            if text in self._installed.unmatched:
                message = f'"{text}" disables nothing: no plugin or distribution is called that'
                self.document.findings.add(("plugins", "disable", index), message, severity="warning")
        return table

    def _own(self, key: str, struct: type[T]) -> T:
        return self.tables.table((key,), struct, self.document.data.get(key, {})) or struct()

    def _host(self) -> HostTable:
        table = self._own("host", HostTable)
        folder = names.slug(self.document.folder.rpartition("/")[2], "host")
        mesh = self._name(("host", "mesh"), table.mesh or names.of_folder(self.document.folder), "mesh name")
        return msgspec.structs.replace(table, name=table.name or folder, mesh=mesh)

    def _security(self) -> SecurityTable:
        data = self.document.data.get("security", {})
        chosen = data.get("authenticator") if isinstance(data, dict) else None
        plain = (
            {key: value for key, value in data.items() if key != "authenticator"} if isinstance(data, dict) else data
        )
        table = self.tables.table(("security",), SecurityTable, plain) or SecurityTable()
        if chosen is None:
            return table
        found = self._choices.one("authenticator", chosen, ("security", "authenticator"))
        return msgspec.structs.replace(table, authenticator=found)

    def _name(self, path: Path, text: str, what: str) -> str:
        try:
            return names.name(text, what)
        except UsageError as error:
            self.document.findings.add(path, str(error))
            return text

    def _transports(self, found: Iterable[Service]) -> dict[str, TransportTable]:
        """Those of the file; else tcp, and http when a service has a route."""
        if "transports" in self.document.data:
            return self._choices.transports()
        wanted = ["local", "tcp"]
        if any(endpoint.http for service in found for endpoint in service.description.endpoints):
            wanted.append("http")
        return {name: self._choices.default_transport(name) for name in wanted}

    # ---- clients ----------------------------------------------------------------------------------------------------
    def _clients(self, transports: Iterable[str]) -> dict[str, ClientTable]:
        """``[clients.NAME]`` on top of ``[clients.default]``, so that each table is complete."""
        data = self.document.data.get("clients", {})
        if not isinstance(data, dict):
            self.tables.fault(("clients",), f"expected a table, got {literal(data)}", "write [clients.default]")
            data = {}
        default = self._client("default", data.get("default", {}), ClientTable(), transports)
        rest = {key: self._client(key, value, default, transports) for key, value in data.items() if key != "default"}
        return {"default": default, **rest}

    def _client(self, key: str, data: Any, base: ClientTable, transports: Iterable[str]) -> ClientTable:
        path: Path = ("clients", key)
        self._name(path, key, "service name")
        balancer = data.get("balancer") if isinstance(data, dict) else None
        plain = {name: value for name, value in data.items() if name != "balancer"} if isinstance(data, dict) else data
        table = self.tables.table(path, ClientTable, plain) or ClientTable()
        given = (
            {name: getattr(table, name) for name in plain if hasattr(table, name)} if isinstance(plain, dict) else {}
        )
        given["balancer"] = self._balancer(key, balancer, path) or base.balancer
        self._known_transport(path, table.transport, list(transports))
        return msgspec.structs.replace(base, **given)

    def _balancer(self, key: str, data: Any, path: Path) -> Any:
        if data is None and key == "default":
            data = ClientTable().balancer.use
        return data if data is None else self._choices.one("balancer", data, (*path, "balancer"))

    def _known_transport(self, path: Path, name: str | None, known: list[str]) -> None:
        if name is not None and name not in known:
            remedy = join(did_you_mean(name, known), f"there are: {listing(known)}")
            self.document.findings.add((*path, "transport"), f"there is no [transports.{name}]", remedy)

    # ---- everything together ----------------------------------------------------------------------------------------
    def _together(self, settings: Settings, found: list[Service]) -> None:
        services.check_names(found, self.tables)
        services.check_routes(found, self.tables)
        services.check_transports(settings.services.items(), {*settings.transports, _LOCAL}, self.tables)
        services.check_cycles(found, self.tables)
        self._choices.check_bus(settings.pubsub, found)
        self._reach(settings, found)
        self._choices.check_streams(settings.transports, found)
        binds = list(addresses.binds(settings))
        addresses.check_ports(binds, self.document)
        addresses.check_exposure(binds, settings, self.document)
        if settings.security != SecurityTable() or any(service.table.allow is not None for service in found):
            from . import security  # needs ssl, which a file without it should not pay for

            security.check(settings, found, self.document)
        self._hooks(told(settings, found))

    def _reach(self, settings: Settings, found: list[Service]) -> None:
        text = reach.shortfall(settings, (each.description for each in found))
        if text and not self.document.findings.touches(("pubsub",)):
            is_said = "use" in self.document.data.get("pubsub", {})
            path: Path = ("pubsub", "use") if is_said else ("registry", "use")
            self.document.findings.add(path, text, reach.REMEDY, severity="warning")

    def _hooks(self, plain: Mapping[str, Any]) -> None:
        """What plugins have to say."""
        try:
            told = list(self._installed.check_settings(plain))
        except StartError as error:  # one hangs
            self.document.findings.add((), str(error), plugin=True)
            return
        for place, fault, remedy in told:
            path = _path(place)
            if not self.document.findings.touches(path):
                self.tables.fault(path, fault, remedy)


_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^.\[\]"]+)|\[(\d+)\]')


def _path(text: str) -> Path:
    """A dotted path as plugins write it."""
    return tuple(int(part[3]) if part[3] else part[1] or part[2] for part in _PART.finditer(text))
