"""The typed door to the hooks: one method per hook, so that nothing else of the host knows pluggy.

A plugin that raises, or answers with something else than the hook asks for, is named, `failed` and left out; the others
are heard. A plugin that hangs stops the start (`PluginHung`), except at the end of a host's life.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, TypeVar

from ..contracts import HostView
from ..errors import PluginError
from .faults import PluginHung
from .manager import Implementation, Manager

log = logging.getLogger("vyked.plugins")
T = TypeVar("T")


class Problem(NamedTuple):
    """A fault in the settings that a plugin found: dotted path, what is wrong and who says so, what to do."""

    path: str
    fault: str
    remedy: str


class Command(NamedTuple):
    """A command of a plugin; `factory` builds the click command."""

    name: str
    summary: str
    factory: Callable[[], Any]
    plugin: str


class HealthCheck(NamedTuple):
    """A check of a plugin: answers None when well, else what is wrong."""

    name: str
    check: Callable[[], Awaitable[str | None]]
    plugin: str


class Lifespan(NamedTuple):
    """What a plugin keeps open while the host lives; `plugin` is who to name when entering or leaving fails."""

    plugin: str
    context: AbstractAsyncContextManager[None]


class ServiceOffer(NamedTuple):
    """A service class of a plugin; `load` imports it."""

    name: str
    load: Callable[[], type]
    plugin: str


class Hooks:
    """Every hook as a typed method. `awake` imports the modules of hooks only, before the first hook is called."""

    def __init__(self, manager: Manager, awake: Callable[[], None]) -> None:
        self._manager, self._awake = manager, awake

    def configure(self, settings: Mapping[str, Any]) -> None:
        """The file is bound: `settings` is all of it as plain data. Also sets the time each hook gets."""
        timing = settings.get("timing", {})
        self._manager.limit_s = timing.get("start", self._manager.limit_s) * timing.get("scale", 1.0)
        self._awake()
        self._manager.remember(dict(settings))

    def services(self, settings: Mapping[str, Any]) -> tuple[ServiceOffer, ...]:
        """Service classes that plugins offer beside entry points, by name."""
        pairs = self._each("vyked_services", lambda result: _rows(result, str, Callable), settings=settings)
        found = [ServiceOffer._make((*row, who.entry.plugin)) for who, rows in pairs for row in rows]
        return tuple(sorted(found, key=lambda offer: (offer.name, offer.plugin)))

    def commands(self) -> tuple[Command, ...]:
        """Commands that plugins add, by name; of two with one name the first by distribution counts."""
        found: dict[str, Command] = {}
        for who, rows in self._each("vyked_commands", lambda result: _rows(result, str, str, Callable)):
            for row in rows:
                found.setdefault(row[0], Command._make((*row, who.entry.plugin)))
        return tuple(found[name] for name in sorted(found))

    def check_settings(self, settings: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Faults that plugins find in the file, ordered by path."""
        pairs = self._each("vyked_check_settings", lambda result: _rows(result, str, str, str), settings=settings)
        found = (
            Problem(path, f"{fault} (says {who.entry.plugin})", do) for who, rows in pairs for path, fault, do in rows
        )
        return tuple(sorted(found))

    def node_id(self, settings: Mapping[str, Any]) -> str | None:
        """The node's id, when a plugin gives one."""
        return self._first("vyked_node_id", lambda result: _one(result, str), settings=settings)

    def configure_logging(self, settings: Mapping[str, Any]) -> bool:
        """True: a plugin has set up logging. `settings` is the table ``[logging]``."""
        return bool(
            self._first("vyked_configure_logging", lambda result: _one(result, bool) or None, settings=settings)
        )

    def health_checks(self, host: HostView) -> tuple[HealthCheck, ...]:
        """What ``/-/ready`` asks, by name."""
        pairs = self._each("vyked_health_checks", lambda result: _rows(result, str, Callable), host=host)
        found = [HealthCheck._make((*row, who.entry.plugin)) for who, rows in pairs for row in rows]
        return tuple(sorted(found, key=lambda check: (check.name, check.plugin)))

    def lifespans(self, host: HostView) -> tuple[Lifespan, ...]:
        """What to enter before listeners open, in this order, and to leave in reverse."""
        pairs = self._each("vyked_lifespan", _lifespan, host=host)
        return tuple(Lifespan(who.entry.plugin, context) for who, context in pairs if context is not None)

    def phase_changed(self, host: HostView, old: str, new: str) -> None:
        """Tell every plugin. Never raises: a host that stops has to stop."""
        try:
            for _ in self._each("vyked_phase_changed", lambda _result: None, host=host, old=old, new=new):
                pass
        except PluginHung as error:
            log.error("%s", error)  # noqa: TRY400 - there is no traceback of a plugin that hangs

    def _each(self, hook: str, read: Callable[[Any], T], **arguments: Any) -> Iterator[tuple[Implementation, T]]:
        self._awake()
        for implementation in self._manager.implementations(hook):
            try:
                yield implementation, self._manager.call(hook, implementation, read, **arguments)
            except PluginHung:
                raise
            except PluginError as error:
                log.error("%s", error)  # noqa: TRY400 - the traceback is kept on the entry

    def _first(self, hook: str, read: Callable[[Any], T | None], **arguments: Any) -> T | None:
        return next((found for _, found in self._each(hook, read, **arguments) if found is not None), None)


def _rows(result: Any, *shape: Any) -> list[tuple[Any, ...]]:
    """`result` as a list of tuples of `shape`; raises TypeError that says what was wanted."""
    rows = [tuple(row) for row in result or ()]
    for row in rows:
        if len(row) != len(shape) or not all(isinstance(value, kind) for value, kind in zip(row, shape, strict=True)):
            wanted = ", ".join(kind.__name__ for kind in shape)
            raise TypeError(f"it must return tuples of ({wanted}), not {row!r}")
    return rows


def _one(result: Any, kind: type[T]) -> T | None:
    if result is not None and not isinstance(result, kind):
        raise TypeError(f"it must return {kind.__name__} or None, not {result!r}")
    return result


def _lifespan(result: Any) -> AbstractAsyncContextManager[None] | None:
    if result is not None and not isinstance(result, AbstractAsyncContextManager):
        raise TypeError(f"it must return an async context manager or None, not {result!r}")
    return result
