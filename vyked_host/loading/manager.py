"""Pluggy lives here: modules become registered plugins, once each, and their hooks are called one at a time.

Pluggy validates implementations against the specifications; everything else is ours, because its own hook call loses
what a host must keep: who raised (the rest would not run), who hangs, who is `async def` (the first coroutine would win).
Historic hooks are replayed here too, for the same reason.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple, NoReturn, TypeVar

import pluggy

from ..contracts import SPI_VERSION, hookspecs
from ..errors import PluginError
from .entry import Entry
from .faults import PluginHung, broken
from .importer import one_line
from .watch import OutOfTime, noticed, within

log = logging.getLogger("vyked.plugins")
T = TypeVar("T")


class Implementation(NamedTuple):
    """One plugin's function for one hook."""

    plugin: object
    entry: Entry
    function: Callable[..., Any]
    arguments: tuple[str, ...]


class Manager:
    """Registers what entries name and calls hooks. `limit_s` is the time that each hook gets."""

    def __init__(self, limit_s: float = 30.0) -> None:
        self.limit_s = limit_s
        self._pluggy = pluggy.PluginManager("vyked_host")
        self._pluggy.add_hookspecs(hookspecs)
        self._hooks = frozenset(name for name in vars(hookspecs) if name.startswith("vyked_"))
        self._plugins: dict[str, object] = {}
        self._claims: dict[str, list[Entry]] = {}
        self._failures: dict[str, PluginError] = {}
        self._history: dict[str, Any] | None = None

    def register(self, *entries: Entry) -> None:
        """Import and register what is behind `entries`, unless it is already. An entry is `in use` from now on, or
        `failed`: then :meth:`plugin` raises."""
        for entry in entries:
            claims = self._claims.setdefault(entry.value, [])
            if entry not in claims:
                claims.append(entry)
            if entry.value not in self._plugins and entry.value not in self._failures:
                self._admit(entry)
        self._refuse_pending()  # once all are in: a plugin may implement the hooks of another one
        for entry in entries:
            self._mark(entry)

    def plugin(self, entry: Entry) -> object:
        """The registered plugin behind `entry`. Raises PluginError naming distribution and version, the same each time."""
        self.register(entry)
        if (failure := self.failure(entry)) is not None:
            raise failure
        return self._plugins[entry.value]

    def failure(self, entry: Entry) -> PluginError | None:
        """Why the plugin behind `entry` is out, None when it is well."""
        return self._failures.get(entry.value)

    def _mark(self, entry: Entry) -> None:
        if entry.value in self._failures:
            first = self._claims[entry.value][0]
            entry.fail(first.reason, first.error)
        elif entry.usable or entry.state == "conflict":
            entry.settle("in use", "")

    def hooks_of(self, entry: Entry) -> tuple[str, ...]:
        """Names of the hooks that the registered plugin behind `entry` implements."""
        plugin = self._plugins.get(entry.value)
        return tuple(sorted({name for name, _ in self._own(plugin)})) if plugin is not None else ()

    def implementations(self, hook: str) -> list[Implementation]:
        """Who implements `hook`, sorted by distribution and name so that nothing depends on installation order."""
        caller: pluggy.HookCaller = getattr(self._pluggy.hook, hook)
        found = [
            Implementation(impl.plugin, self._claims[impl.plugin_name][0], impl.function, impl.argnames)
            for impl in caller.get_hookimpls()
            if impl.plugin_name not in self._failures
        ]
        return sorted(found, key=lambda found: (found.entry.dist, found.entry.path))

    def call(self, hook: str, implementation: Implementation, read: Callable[[Any], T], **arguments: Any) -> T:
        """What one plugin says to `hook`, as `read` understands it (both within the time limit, so that a generator is
        no way around it). Raises PluginError, and PluginHung when the time is over."""
        chosen = {name: arguments[name] for name in implementation.arguments}
        entry = implementation.entry
        try:
            return within(self.limit_s, lambda: read(implementation.function(**chosen)), f"{hook} of {entry.dist}")
        except OutOfTime as error:
            self._hang(entry, hook, error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: a plugin is isolated, whatever it raises
            self._give_up(entry, f"raised in {hook}: {one_line(error)}", error)

    def remember(self, settings: dict[str, Any]) -> None:
        """Hand `settings` to every plugin's ``vyked_configure``, and to those that are registered later."""
        self._history = settings
        for implementation in self.implementations("vyked_configure"):
            self._isolated("vyked_configure", implementation, settings=settings)

    # ---- one plugin's way in ----------------------------------------------------------------------------------------
    def _admit(self, entry: Entry) -> None:
        try:
            plugin = self._import(entry)
            self._check_spi(entry, plugin)
            self._register(entry, plugin)
            self._plugins[entry.value] = plugin
            self._refuse_unsafe(entry, plugin)
            self._replay(plugin)
        except PluginHung:
            raise
        except PluginError:  # kept: whoever asks for the plugin gets it
            self._expel(entry.value)

    def _expel(self, value: str) -> None:
        self._plugins.pop(value, None)
        if self._pluggy.has_plugin(value):
            self._pluggy.unregister(name=value)

    def _import(self, entry: Entry) -> object:
        module, _, attribute = entry.value.partition("[")[0].strip().partition(":")
        try:
            with noticed(self.limit_s, log, f"importing {entry.value} ({entry.path} of {entry.plugin})"):
                found = importlib.import_module(module.strip())
            plugin = reduce(getattr, [part for part in attribute.strip().split(".") if part], found)
            return plugin() if isinstance(plugin, type) else plugin
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: a plugin is isolated, whatever it raises
            self._give_up(entry, f"can't be imported: {_why(error, module)}", error)

    def _check_spi(self, entry: Entry, plugin: object) -> None:
        wanted = str(getattr(plugin, "VYKED_SPI", "1.0"))
        have = ".".join(map(str, SPI_VERSION))
        try:
            major, minor = (int(part) for part in wanted.split("."))
        except ValueError as error:
            self._give_up(entry, f'has VYKED_SPI = {wanted!r}, which is no version such as "{have}"', error)
        if major != SPI_VERSION[0]:
            self._give_up(entry, f"was written for SPI {wanted}, this vyked-host has {have}", None)
        if minor > SPI_VERSION[1]:
            self._give_up(entry, f"was written for SPI {wanted}, this vyked-host has {have}: upgrade vyked-host", None)

    def _register(self, entry: Entry, plugin: object) -> None:
        try:
            self._pluggy.register(plugin, name=entry.value)
        except (pluggy.PluginValidationError, ValueError) as error:
            self._give_up(entry, f"does not fit the hooks: {one_line(error)}", error)

    def _refuse_unsafe(self, entry: Entry, plugin: object) -> None:
        for name, implementation in self._own(plugin):
            if implementation.wrapper or implementation.hookwrapper:
                self._give_up(entry, f"wraps {name}: hooks are called one plugin at a time and can't be wrapped", None)
            if inspect.iscoroutinefunction(implementation.function):
                self._give_up(
                    entry, f"has `async def {name}`: a hook is a plain def that returns the async thing", None
                )
            if inspect.isasyncgenfunction(implementation.function):
                self._give_up(entry, f"has {name} as an async generator: decorate it with @asynccontextmanager", None)

    def _own(self, plugin: object) -> Iterator[tuple[str, pluggy.HookImpl]]:
        for caller in self._pluggy.get_hookcallers(plugin) or ():
            if caller.name in self._hooks:
                yield from ((caller.name, impl) for impl in caller.get_hookimpls() if impl.plugin is plugin)

    def _replay(self, plugin: object) -> None:
        for name, arguments in (
            ("vyked_add_hookspecs", {"registrar": self._pluggy.add_hookspecs}),
            ("vyked_configure", {"settings": self._history}),
        ):
            if name == "vyked_configure" and self._history is None:
                continue
            for implementation in self.implementations(name):
                if implementation.plugin is plugin:
                    self.call(name, implementation, _nothing, **arguments)

    def _refuse_pending(self) -> None:
        while (error := self._pending()) is not None:
            value = self._pluggy.get_name(error.plugin) or ""
            what = f"implements a hook that does not exist: {one_line(error)}"
            entry = self._claims[value][0]
            self._failed(entry, broken(entry, what), what, error)
            self._expel(value)

    def _pending(self) -> pluggy.PluginValidationError | None:
        try:
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as error:
            return error
        return None

    # ---- failures ---------------------------------------------------------------------------------------------------
    def _isolated(self, hook: str, implementation: Implementation, **arguments: Any) -> None:
        try:
            self.call(hook, implementation, _nothing, **arguments)
        except PluginHung:
            raise
        except PluginError as error:
            log.error("%s", error)  # noqa: TRY400 - the traceback is kept on the entry

    def _give_up(self, entry: Entry, what: str, cause: BaseException | None) -> NoReturn:
        raise self._failed(entry, broken(entry, what), what, cause) from cause

    def _hang(self, entry: Entry, hook: str, cause: BaseException) -> NoReturn:
        what = f"did not come back from {hook} within {self.limit_s:g} s"
        raise self._failed(entry, PluginHung(str(broken(entry, what)), plugin=entry.plugin), what, cause) from cause

    def _failed(self, entry: Entry, error: PluginError, what: str, cause: BaseException | None) -> PluginError:
        for claim in self._claims.get(entry.value, [entry]):
            claim.fail(what, cause or error)
        return self._failures.setdefault(entry.value, error)


def _nothing(_result: object) -> None:
    """Hooks that return nothing."""


def _why(error: BaseException, module: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"{one_line(error)} (its own module: the installation is damaged)"
    if isinstance(error, ModuleNotFoundError):
        return f"{one_line(error)} (a dependency of it that is not installed)"
    return one_line(error)
