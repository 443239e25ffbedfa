"""``config explain KEY``: what one key means, what it may be, who owns it, and what it is here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import UsageError
from ..model.settings import MiddlewareTable, Settings
from ..model.values import Value
from . import expectation
from .document import Origin
from .installed import Installed
from .load import Loaded
from .paths import Path, dotted
from .render import visible
from .schema import Owner
from .suggest import did_you_mean, join, listing

HOST = "vyked-host"
_REQUIRED = "x-required"


class Explanation(Value):
    """Everything there is to say of a key. `value` and `origin` are those of the file in hand, None where it has none."""

    key: str
    owner: str
    expected: str
    description: str = ""
    default: Any = None
    required: bool = False
    value: Any = None
    origin: str = ""
    keys: tuple[str, ...] = ()


class Place(Value):
    """A Struct, the path of its table in the file, and who owns it."""

    path: Path
    struct: Any
    owner: str


def explain(loaded: Loaded, path: Path, installed: Installed, owner: Owner) -> Explanation:
    """What the key at `path` means. Raises UsageError that says which keys there are."""
    place = _place(loaded, path, installed, owner)
    schema = _schema(place)
    definitions = schema.get("$defs", {})
    found = _down(schema, definitions, path[len(place.path) :], path)
    plain = expectation.resolved(found, definitions)
    value, origin = _here(loaded, path)
    return Explanation(
        key=dotted(path), owner=place.owner, expected=expectation.expected(plain, definitions),
        description=str(found.get("description") or plain.get("description", "")).replace("``", ""), default=plain.get("default"),
        required=bool(plain.get(_REQUIRED)), value=value, origin=str(origin) if value is not None else "",
        keys=_keys(place, path, plain),
    )  # fmt: skip


def _schema(place: Place) -> Any:
    try:
        return msgspec.json.schema(place.struct)
    except TypeError as error:
        raise UsageError(f"the options of {place.owner} can't be explained: {error}") from error


def _keys(place: Place, path: Path, schema: Any) -> tuple[str, ...]:
    known = set(schema.get("properties", {})) - {"folder"}
    if place.path == path[: len(path)] and path[:1] == ("transports",):
        known.add("use")
    return tuple(sorted(known))


def _here(loaded: Loaded, path: Path) -> tuple[Any, Origin]:
    value: Any = loaded.plain
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None, loaded.origin(path)
    return visible(loaded, value, path), loaded.origin(path)


def _places(loaded: Loaded, owner: Owner) -> Iterator[Place]:
    """The tables whose Structs only the file tells, innermost first."""
    settings = loaded.settings
    for service in loaded.services:
        if service.options is not None:
            yield Place(path=(*service.path, "options"), struct=type(service.options), owner=f"service {service.key}")
    for kind, choice in (("registry", settings.registry), ("pubsub", settings.pubsub), ("results", settings.results)):
        if choice.options is not None:
            path: Path = (kind, choice.use.rpartition(":")[2])
            yield Place(path=path, struct=type(choice.options), owner=owner(kind, choice.use))
    for name, table in settings.transports.items():
        if table.options is not None:
            yield Place(path=("transports", name), struct=type(table.options), owner=owner("transport", table.use))
    for name, client in settings.clients.items():
        if client.balancer.options is not None:
            path = ("clients", name, "balancer")
            yield Place(path=path, struct=type(client.balancer.options), owner=owner("balancer", client.balancer.use))


def _installed(path: Path, installed: Installed, owner: Owner) -> Iterator[Place]:
    """The table of a plugin that the file does not use."""
    kind = {"transports": "transport", "registry": "registry", "pubsub": "pubsub", "results": "results"}.get(
        str(path[0])
    )
    name = str(path[1]) if len(path) > 1 else ""
    if kind and name in installed.names(kind):
        yield Place(path=path[:2], struct=installed.provider(kind, name).options, owner=owner(kind, name))


def _place(loaded: Loaded, path: Path, installed: Installed, owner: Owner) -> Place:
    for place in (*_places(loaded, owner), *_installed(path, installed, owner)):
        if path[: len(place.path)] == place.path and path[len(place.path) :] != ("use",):
            return place
    if path[:1] == ("middleware",):
        return Place(path=("middleware",), struct=MiddlewareTable, owner=HOST)
    return Place(path=(), struct=Settings, owner=HOST)


def _down(schema: Any, definitions: Any, rest: Path, path: Path) -> Any:
    """The schema of the key at the end of `rest`."""
    for index, part in enumerate(rest):
        table = expectation.resolved(schema, definitions)
        known = {key: value for key, value in table.get("properties", {}).items() if key != "folder"}
        if part in known:
            needed = part in table.get("required", ())
            schema = {**known[str(part)], _REQUIRED: needed}
        elif isinstance(table.get("additionalProperties"), dict):
            schema = table["additionalProperties"]
        else:
            raise UsageError(_nothing(path[: len(path) - len(rest) + index + 1], str(part), known))
    return schema


def _nothing(path: Path, part: str, known: Any) -> str:
    there = listing(known) if known else ""
    remedy = join(did_you_mean(part, known), f"there are: {there}" if there else "it holds no keys")
    return f"there is no key {dotted(path)}; {remedy}"


def as_text(found: Explanation) -> str:
    """The explanation as people read it."""
    rows = [("", found.description), ("expected", found.expected)]
    rows.append(("default", "none, it has to be given" if found.required else _literal(found.default)))
    rows.append(("here", f"{_literal(found.value)}  ({found.origin})" if found.value is not None else "not set"))
    rows += [("owner", found.owner), ("keys", ", ".join(found.keys))]
    lines = [f"  {label:<9}{text}".rstrip() for label, text in rows if text and label]
    return "\n".join([found.key, *([f"  {found.description}"] if found.description else []), *lines])


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        value = {key: inner for key, inner in value.items() if inner is not None}
    if isinstance(value, (dict, list)) and value:
        return msgspec.json.encode(value).decode()
    return "none" if value is None else "empty" if value in ({}, [], "") else expectation.literal(value)
