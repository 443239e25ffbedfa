"""The catalogue: (kind, name) -> provider. Listing and choosing use metadata; only what is chosen gets imported."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..contracts import Provider
from ..errors import PluginError
from . import importer, scan, states
from .entry import HOOKS, OFFERS, SERVICE, Entry, normalized
from .faults import PluginConflict, UnknownPlugin, UnusablePlugin, broken, misnamed
from .hooks import Hooks, Problem, ServiceOffer
from .manager import Manager

log = logging.getLogger("vyked.plugins")


class Catalogue:
    """What is installed, by kind and name. `entries` are all of it, whatever their state; `hooks` is the typed door to
    the hooks of what is loaded; `unmatched` are wishes to disable something that is not there."""

    def __init__(self, entries: Sequence[Entry], *, autoload: bool = True, limit_s: float = 30.0) -> None:
        self.entries = tuple(entries)
        self.unmatched: tuple[str, ...] = ()
        self._manager = Manager(limit_s)
        self._autoload, self._awake = autoload, False
        self.hooks = Hooks(self._manager, self._wake)
        self._providers: dict[Entry, Provider[Any]] = {}
        self._offers: dict[str, ServiceOffer] | None = None

    # ---- choosing ---------------------------------------------------------------------------------------------------
    def restrict(self, disable: Iterable[str], autoload: bool = True) -> None:
        """Apply ``[plugins]`` of a file: before anything is loaded."""
        self.unmatched += states.disable(self.entries, disable, "[plugins] disable")
        self._autoload = self._autoload and autoload
        states.reconsider(self.entries)

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of `kind` that a file may use, sorted. Imports nothing."""
        if kind not in (*OFFERS, SERVICE):
            raise misnamed(kind)
        of_kind = (entry for entry in self.entries if entry.kind == kind)
        return tuple(sorted({entry.name for entry in of_kind if entry.usable or entry.state == "conflict"}))

    def find(self, kind: str, name: str) -> Entry:
        """The entry that `name` (or ``dist:name``) means. Imports nothing. Raises UnknownPlugin, UnusablePlugin,
        PluginConflict, and PluginError for one that is known to be broken."""
        if kind not in (*OFFERS, SERVICE):
            raise misnamed(kind)
        qualified, rivals = self._named(kind, name)
        if not qualified and any(entry.state == "conflict" for entry in rivals):
            raise PluginConflict(entry for entry in rivals if entry.usable or entry.state == "conflict")
        if live := [entry for entry in rivals if entry.usable or entry.state == "conflict"]:
            return live[0]
        if not rivals:
            raise UnknownPlugin(kind, name, self.names(kind))
        if rivals[0].state == "failed":
            raise broken(rivals[0], rivals[0].reason) from rivals[0].error
        raise UnusablePlugin(rivals[0])

    def _named(self, kind: str, name: str) -> tuple[bool, list[Entry]]:
        dist, colon, bare = name.rpartition(":")
        return bool(colon), [
            entry
            for entry in self.entries
            if entry.kind == kind and entry.name == bare and (not colon or normalized(entry.dist) == normalized(dist))
        ]

    # ---- loading ----------------------------------------------------------------------------------------------------
    def provider(self, kind: str, name: str) -> Provider[Any]:
        """What ``use = "name"`` means, imported and registered on first use. Raises what :meth:`find` raises, and
        PluginError when the plugin is broken or does not offer what its entry point claims."""
        entry = self.find(kind, name)
        if entry not in self._providers:
            self._providers[entry] = self._offered(entry)
        return self._providers[entry]

    def _offered(self, entry: Entry) -> Provider[Any]:
        plugin, hook = self._manager.plugin(entry), OFFERS[entry.kind]
        offered: list[Provider[Any]] = []
        for implementation in self._manager.implementations(hook):
            if implementation.plugin is plugin:
                offered += self._manager.call(hook, implementation._replace(entry=entry), _providers)
        for provider in offered:
            if provider.name == entry.name:
                return provider
        have = ", ".join(provider.name for provider in offered) or "nothing"
        what = f"does not offer what its entry point claims: {hook} of {entry.value} offers {have}"
        entry.fail(what)
        raise broken(entry, what)

    def service_names(self) -> tuple[str, ...]:
        """Service classes that a file may name, sorted. Imports no service."""
        return tuple(sorted({*self.names(SERVICE), *(self._offers or ())}))

    def offer_services(self, settings: Mapping[str, Any]) -> None:
        """Ask plugins for services beside entry points (``vyked_services``); from now on they are found by name."""
        self._offers = {offer.name: offer for offer in self.hooks.services(settings)}

    def service(self, name: str) -> type:
        """The service class called `name`, imported. Raises what :meth:`find` raises, and PluginError naming the
        distribution when its module can't be imported or is no class."""
        offer = (self._offers or {}).get(name)
        if offer is not None and not self._named(SERVICE, name)[1]:
            return self._offered_service(offer)
        entry = self.find(SERVICE, name)
        try:
            found = importer.reference(entry.value.partition("[")[0].strip())
        except importer.ImportFault as error:
            entry.fail(str(error), error)
            raise broken(entry, f"can't be imported: {error}") from error
        if not isinstance(found, type):
            entry.fail(f"{entry.value} is no class")
            raise broken(entry, f"names {entry.value}, which is no class")
        entry.settle("in use", "")
        return found

    def _offered_service(self, offer: ServiceOffer) -> type:
        try:
            found = offer.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            what = f"service {offer.name} of {offer.plugin} can't be loaded: {importer.one_line(error)}"
            raise PluginError(what, plugin=offer.plugin) from error
        if isinstance(found, type):
            return found
        raise PluginError(f"service {offer.name} of {offer.plugin} is no class: {found!r}", plugin=offer.plugin)

    def open(self, entry: Entry) -> Any:
        """Import `entry`, whatever its kind: a Provider, a service class, or a module of hooks. Raises PluginError."""
        if entry.kind in OFFERS:
            return self.provider(entry.kind, f"{entry.dist}:{entry.name}")
        if entry.kind == SERVICE:
            return self.service(f"{entry.dist}:{entry.name}")
        return self._manager.plugin(entry)

    def hooks_of(self, entry: Entry) -> tuple[str, ...]:
        """Names of the hooks that the plugin behind an opened `entry` implements."""
        return self._manager.hooks_of(entry)

    def reference(self, text: str, folder: str | Path | None = None) -> Any:
        """The object that ``module:Class`` names, with `folder` importable; modules of hooks come before it, as it may want what they prepare.
        Raises importer.ImportFault."""
        self._wake()
        return importer.reference(text, folder)

    def failures(self) -> tuple[Entry, ...]:
        """Entries that failed so far, each with its reason and traceback."""
        return tuple(entry for entry in self.entries if entry.state == "failed")

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Faults that plugins find in the file: (dotted path, fault, remedy)."""
        return self.hooks.check_settings(settings)

    def _wake(self) -> None:
        if self._awake:
            return
        self._awake = True
        modules = [entry for entry in self.entries if self._autoload and entry.kind == HOOKS and entry.usable]
        self._manager.register(*modules)
        for entry in modules:
            if (failure := self._manager.failure(entry)) is not None:  # nobody asked for it by name: go on without it
                log.error("%s", failure)


def _providers(result: Any) -> list[Provider[Any]]:
    offered = list(result or ())
    for one in offered:
        if not isinstance(one, Provider):
            raise TypeError(f"it must return Providers, not {one!r}")
        if not (isinstance(one.options, type) and issubclass(one.options, msgspec.Struct)):
            raise TypeError(f"options of provider {one.name!r} must be a msgspec Struct, not {one.options!r}")
    return offered


def load(
    disable: Iterable[str] = (), autoload: bool = True, no_plugins: bool | Collection[str] = False,
    environ: Mapping[str, str] | None = None, limit_s: float = 30.0,
) -> Catalogue:  # fmt: skip
    """Scan what is installed and decide from metadata what may be used. Imports nothing.

    `disable` and `autoload` are those of ``[plugins]``; `no_plugins` is the flag (True: nothing but vyked-host's own);
    the variable VYKED_PLUGINS_DISABLE takes names with commas between, or "all"; `limit_s` is what each hook may take.
    """
    catalogue = Catalogue(scan.scan(), autoload=autoload, limit_s=limit_s)
    text = (os.environ if environ is None else environ).get("VYKED_PLUGINS_DISABLE", "")
    variable = [part.strip() for part in text.split(",") if part.strip()]
    wishes: list[tuple[str, bool | Collection[str]]] = [
        ("[plugins] disable", tuple(disable)), ("--no-plugins", no_plugins),
        ("VYKED_PLUGINS_DISABLE", "all" in variable or variable),
    ]  # fmt: skip
    for where, wish in wishes:
        if wish is True:
            states.disable_strangers(catalogue.entries, where)
        elif wish:
            catalogue.unmatched += states.disable(catalogue.entries, wish, where)
    states.judge(catalogue.entries)
    return catalogue
