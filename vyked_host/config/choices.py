"""Tables that choose a plugin by name: ``[registry] [pubsub] [results] [transports.NAME]``, balancers and middlewares.

The name must be that of an installed plugin, which is imported only then; the other keys are the plugin's own Struct.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..contracts import Provider
from ..errors import PluginError, StartError, VykedError
from ..model.description import ServiceDescription
from ..model.settings import Choice, MiddlewareTable, TransportTable
from ..routing.delivery import lacks
from .expectation import literal
from .faults import unknown_remedy
from .installed import Installed
from .paths import Path
from .services import Service
from .tables import Tables

_ONE_OR_MORE = 'expected the name of a {kind}, or {{ use = "name", ... }}, got {got}'


class Choices:
    """Binds what chooses a plugin."""

    def __init__(self, tables: Tables, installed: Installed) -> None:
        self._tables, self._installed = tables, installed

    def provider(self, kind: str, name: str, path: Path) -> Provider[Any] | None:
        """The provider called `name`; None when there is none that works, which is noted at `path`."""
        try:
            return self._installed.provider(kind, name)
        except StartError as error:
            self._tables.findings.add(path, str(error), plugin=_is_plugins_fault(error))
        except VykedError as error:
            self._tables.findings.add(path, str(error))
        return None

    def separate(self, table: str, default: str = "embedded") -> Choice:
        """``[registry] use = "x"`` with the options of each plugin in a table of its own, ``[registry.x]``."""
        data = self._tables.document.data.get(table, {})
        if not isinstance(data, dict):
            self._tables.table((table,), Choice, data)
            return Choice(use=default)
        use = self._name(data, default, (table,))
        bare = use.rpartition(":")[2]
        for key in data.keys() - {"use", bare}:
            self._unused(table, key, data[key])
        return Choice(use=use, options=self._options(table, use, data.get(bare, {}), (table, bare), (table, "use")))

    def check_bus(self, chosen: Choice, services: Iterable[Service]) -> None:
        """The bus gives what the services of the file ask of it: each subscription that it can't serve is told."""
        path: Path = ("pubsub", "use")
        if self._tables.findings.touches(("pubsub",)):
            return
        provider = self.provider("pubsub", chosen.use, path)
        if provider is None:
            return
        wanted = [each.description for each in services]
        given = provider.guarantees(provider.options() if chosen.options is None else chosen.options)
        faults = [lacking for each in wanted for lacking in lacks(each, given)]
        if faults:
            text = f"the bus {chosen.use!r} can't give what services use: {'; '.join(faults)}"
            able = ", ".join(f'"{name}"' for name in self._installed.names("pubsub") if self._can(name, wanted))
            self._tables.findings.add(path, text, f"use one that can: {able}" if able else "install one that can")

    def _can(self, name: str, wanted: Iterable[ServiceDescription]) -> bool:
        """Does the bus `name` give it as it is when nothing is set? One that is broken gives nothing, which is told where it is chosen."""
        try:
            provider = self._installed.provider("pubsub", name)
        except VykedError:
            return False
        given = provider.guarantees(provider.options())
        return not any(lacking for each in wanted for lacking in lacks(each, given))

    def check_streams(self, transports: Mapping[str, TransportTable], services: Iterable[Service]) -> None:
        """A service with streams has a transport that carries them, if others can reach it at all: else that is told where its
        transports are chosen."""
        carries = {name: self._carries_streams(name, each) for name, each in transports.items() if each.use != _LOCAL}
        for each in services:
            ways = [name for name in each.table.transports or carries if name in carries]
            streams = [one.name for one in each.description.endpoints if one.kind.streams_in or one.kind.streams_out]
            if not streams or not ways or any(carries[name] for name in ways):
                continue
            path: Path = (*each.path, "transports") if each.table.transports else ("transports", ways[0])
            text = f"{each.description.name} has streams ({', '.join(streams)}), and {', '.join(ways)} can't carry any"
            self._tables.findings.add(path, text, "add [transports.tcp], or another one that can", at="key")

    def _carries_streams(self, name: str, table: TransportTable) -> bool:
        """Of one that is at fault already it is not known, and nothing more is said."""
        path: Path = ("transports", name)
        if self._tables.findings.touches(path):
            return True
        provider = self.provider("transport", table.use, path)
        if provider is None:
            return True
        return provider.guarantees(provider.options() if table.options is None else table.options).streams

    def _unused(self, table: str, key: str, value: Any) -> None:
        """Options of a plugin that is not in use: it stays unimported, but has to be there."""
        names = self._installed.names(table)
        if key not in names:
            self._tables.fault((table, key), "unknown key", unknown_remedy(key, ["use", *names]), at="key")
        elif not isinstance(value, dict):
            self._tables.fault((table, key), f"expected a table, got {literal(value)}")

    def transports(self) -> dict[str, TransportTable]:
        """Every ``[transports.NAME]``."""
        data = self._tables.document.data.get("transports", {})
        if not isinstance(data, dict):
            self._tables.fault(("transports",), f"expected a table, got {literal(data)}", "write [transports.tcp]")
            return {}
        found = {name: self._transport(name, value) for name, value in data.items()}
        return {name: table for name, table in found.items() if table is not None}

    def _transport(self, name: str, data: Any) -> TransportTable | None:
        path: Path = ("transports", name)
        if not isinstance(data, dict):
            self._tables.fault(path, f"expected a table, got {literal(data)}", f"write [transports.{name}]")
            return None
        use = self._name(data, name, path)
        options = self._options("transport", use, _without_use(data), path, (*path, "use") if "use" in data else path)
        return TransportTable(use=use, options=options)

    def default_transport(self, name: str) -> TransportTable:
        """The transport `name` as it is when the file says nothing of it."""
        path: Path = ("transports", name)
        return TransportTable(use=name, options=self._options("transport", name, {}, path, path))

    def one(self, kind: str, data: Any, path: Path) -> Choice | None:
        """``"zone"`` or ``{ use = "zone", ... }`` at `path`."""
        if isinstance(data, str):
            return Choice(use=data, options=self._options(kind, data, {}, path, path))
        if not isinstance(data, dict) or "use" not in data:
            self._tables.fault(path, _ONE_OR_MORE.format(kind=kind, got=literal(data)))
            return None
        use = self._name(data, "", path)
        if not use:
            return None
        return Choice(use=use, options=self._options(kind, use, _without_use(data), path, (*path, "use")))

    def middleware(self) -> MiddlewareTable:
        """``[middleware]``: three lists of choices."""
        data = self._tables.document.data.get("middleware", {})
        if not isinstance(data, dict):
            self._tables.table(("middleware",), MiddlewareTable, data)
            return MiddlewareTable()
        for key in data.keys() - _SIDES.keys():
            self._tables.fault(("middleware", key), "unknown key", unknown_remedy(key, _SIDES), at="key")
        unsaid = {side: [choice.use for choice in getattr(MiddlewareTable(), side)] for side in _SIDES}
        return MiddlewareTable(
            **{side: self._list(data.get(side, unsaid[side]), ("middleware", side)) for side in _SIDES}
        )

    def _list(self, data: Any, path: Path) -> list[Choice]:
        if not isinstance(data, list):
            self._tables.fault(path, f"expected a list of middlewares, got {literal(data)}", 'such as ["logging"]')
            return []
        found = (self.one("middleware", value, (*path, index)) for index, value in enumerate(data))
        return [choice for choice in found if choice is not None]

    def _name(self, data: dict[str, Any], default: str, path: Path) -> str:
        use = data.get("use", default)
        if isinstance(use, str):
            return use
        self._tables.fault((*path, "use"), f"expected a string, got {literal(use)}")
        return default

    def _options(self, kind: str, use: str, data: Any, path: Path, name_path: Path) -> Any:
        provider = self.provider(kind, use, name_path) if not self._tables.findings.at(name_path) else None
        if provider is None:
            return None
        options = self._tables.table(path, provider.options, data)
        self._serializers(options, path)
        return options

    def _serializers(self, options: Any, path: Path) -> None:
        """A field called `serializer` names one."""
        name = getattr(options, "serializer", None)
        if isinstance(name, str):
            self.provider("serializer", name, (*path, "serializer"))


_LOCAL = "local"
_SIDES = dict.fromkeys(("server", "client", "consumer"))


def _without_use(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "use"}


def _is_plugins_fault(error: StartError) -> bool:
    """The file is right and the plugin is not: broken, or made for another version of the host."""
    state = getattr(getattr(error, "entry", None), "state", "")
    return isinstance(error, PluginError) or state == "incompatible"
