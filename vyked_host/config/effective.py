"""Bound settings as plain data in the shape of the file: what `config show` prints, what hooks of plugins are given, and
what can be written back as a file. Keys without a value (None) are absent, as TOML has no null."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..model.settings import Choice, Settings
from .services import Service


def told(settings: Settings, services: Iterable[Service] = ()) -> dict[str, Any]:
    """What hooks of plugins are given: every setting but the mesh's secrets, and `folder`, where relative paths start."""
    found = effective(settings, services)
    found["security"] = {key: value for key, value in found["security"].items() if key not in _NOT_TOLD}
    return {**found, "folder": os.path.abspath(settings.folder)}


_NOT_TOLD = frozenset({"secret", "accept_secrets", "identity"})


def effective(settings: Settings, services: Iterable[Service] = ()) -> dict[str, Any]:
    """Every setting with its value, defaults filled in."""
    plain = {
        key: _plain(getattr(settings, key)) for key in ("host", "plugins", "logging", "limits", "timing", "security")
    }
    options = {service.key: _plain(service.options) for service in services if service.options is not None}
    return {
        "host": plain["host"], "plugins": plain["plugins"], "logging": plain["logging"],
        "registry": _separate(settings.registry), "pubsub": _separate(settings.pubsub), "results": _separate(settings.results),
        "transports": {name: {"use": table.use, **_plain(table.options)} for name, table in settings.transports.items()},
        "services": {key: _service(_plain(table), options.get(key)) for key, table in settings.services.items()},
        "clients": {name: {**_plain(table), "balancer": _one(table.balancer)} for name, table in settings.clients.items()},
        "middleware": {side: _several(getattr(settings.middleware, side)) for side in ("server", "client", "consumer")},
        "limits": plain["limits"], "timing": plain["timing"], "security": _security(plain["security"], settings),
    }  # fmt: skip


def _security(plain: dict[str, Any], settings: Settings) -> dict[str, Any]:
    chosen = settings.security.authenticator
    return plain if chosen is None else {**plain, "authenticator": _one(chosen)}


def _plain(struct: Any) -> dict[str, Any]:
    found = _without_none(msgspec.to_builtins(struct, str_keys=True)) if struct is not None else {}
    return dict(found) if isinstance(found, Mapping) else {}


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    several = isinstance(value, list | tuple)  # a tuple of an option is an array, as every other in the file
    return [_without_none(inner) for inner in value if inner is not None] if several else value


def _separate(choice: Choice) -> dict[str, Any]:
    options = _plain(choice.options)
    return {"use": choice.use, **({choice.use.rpartition(":")[2]: options} if options else {})}


def _service(table: dict[str, Any], options: dict[str, Any] | None) -> dict[str, Any]:
    return table if options is None else {**table, "options": options}


def _one(choice: Choice) -> Any:
    options = _plain(choice.options)
    return {"use": choice.use, **options} if options else choice.use


def _several(choices: Iterable[Choice]) -> list[Any]:
    """All of them as names, or all as tables: a list of both is more than the TOML writer can do."""
    found = [_one(choice) for choice in choices]
    if any(isinstance(one, dict) for one in found):
        return [one if isinstance(one, dict) else {"use": one} for one in found]
    return found
