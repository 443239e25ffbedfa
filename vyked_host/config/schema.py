"""One JSON Schema for vyked.toml, composed from the host's own tables and the options of installed plugins: editors complete
and check with it (``#:schema ./vyked.schema.json`` as the first line of the file).

Wherever the host wants a number or a boolean, a string with a ``${reference}`` will do, and a size may be written "1MiB": the
schema says so, or an editor would underline what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ..contracts import Provider
from ..errors import VykedError
from ..model.settings import (
    ClientTable,
    HostTable,
    LimitsTable,
    LoggingTable,
    MiddlewareTable,
    PluginsTable,
    SecurityTable,
    ServiceTable,
    TimingTable,
)
from .expectation import resolved
from .installed import Installed
from .services import Service
from .shape import UNIT

Schema = dict[str, Any]

_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{"}
_SIZE: Schema = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([kKmMgG]i?)?[bB]?\s*$"}
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def table_schema(struct: type[msgspec.Struct]) -> Schema:
    """The schema of one Struct without references, as an editor needs it."""
    schema = msgspec.json.schema(struct)
    found = _for_editors(_inlined(schema, schema.get("$defs", {}), ()))
    assert isinstance(found, dict)
    return found


def _inlined(value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """`value` with references followed; a type inside itself is left open."""
    if isinstance(value, list):
        return [_inlined(inner, definitions, inside) for inner in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref", "").rpartition("/")[2] if isinstance(value.get("$ref", ""), str) else ""
    if reference in inside:
        return {"description": value.get("description", reference)}
    inside = (*inside, reference) if reference else inside
    plain = resolved(value, definitions)
    return {key: _inlined(inner, definitions, inside) for key, inner in plain.items() if key != "$defs"}


def _for_editors(value: Any) -> Any:
    if isinstance(value, list):
        return [_for_editors(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") in ("integer", "number", "boolean"):
        return _with_strings(value)
    found = {key: _for_editors(inner) for key, inner in value.items() if key != "required" or inner}
    if "enum" in found and found.get("type", "string") == "string" and "properties" not in found:
        return {"anyOf": [found, _REFERENCE], **_words(found)}
    return found


def _with_strings(leaf: Schema) -> Schema:
    bare = {key: inner for key, inner in leaf.items() if key not in ("description", "default", "title", UNIT)}
    more = [_SIZE] if leaf.get(UNIT) == "bytes" else []
    return {"anyOf": [bare, *more, _REFERENCE], **_words(leaf)}


def _words(leaf: Schema) -> Schema:
    return {key: leaf[key] for key in ("description", "default", "title") if key in leaf}


class SchemaOfFile:
    """Composes the schema. Plugins that can't be loaded are left out; `missing` says which, and why."""

    def __init__(self, installed: Installed, services: Iterable[Service] = ()) -> None:
        self._installed, self._services = installed, list(services)
        self.missing: list[str] = []

    def document(self) -> Schema:
        """The whole schema."""
        return {
            "$schema": _DRAFT,
            "title": "vyked.toml",
            "description": "What a vyked-host runs, and how",
            "type": "object",
            "additionalProperties": False,
            "properties": self._tables(),
        }

    def _tables(self) -> Schema:
        return {
            "host": table_schema(HostTable),
            "plugins": table_schema(PluginsTable),
            "logging": table_schema(LoggingTable),
            "registry": self._separate("registry", "Where services find each other."),
            "pubsub": self._separate("pubsub", "How events travel."),
            "results": self._separate("results", "Where results of calls with an idempotency key are kept.", "memory"),
            "transports": self._transports(),
            "services": self._service_tables(),
            "clients": {
                "type": "object",
                "description": "How services call others.",
                "additionalProperties": self._client(),
            },
            "middleware": self._middleware(),
            "limits": table_schema(LimitsTable),
            "timing": table_schema(TimingTable),
            "security": self._security(),
        }

    def _providers(self, kind: str) -> list[tuple[Provider[Any], Schema]]:
        found = []
        for name in self._installed.names(kind):
            try:
                provider = self._installed.provider(kind, name)
                found.append((provider, table_schema(provider.options)))
            except (VykedError, TypeError) as error:  # TypeError: its options have no schema
                self.missing.append(f"{kind}.{name}: {error}")
        return found

    def _separate(self, kind: str, words: str, default: str = "embedded") -> Schema:
        tables = {provider.name: schema for provider, schema in self._providers(kind)}
        use = {"type": "string", "description": f"one of: {', '.join(tables)}", "default": default}
        return _object({"use": {**use, "examples": list(tables)}, **tables}, words)

    def _transports(self) -> Schema:
        found = [(provider.name, _using(provider, schema)) for provider, schema in self._providers("transport")]
        named = {name: {"anyOf": [_optional_use(schema), *_others(found, name)]} for name, schema in found}
        return {
            "type": "object",
            "description": "What this host listens on; the plugin is the table's name unless `use` says another.",
            "properties": named,
            "additionalProperties": {"anyOf": [schema for _, schema in found]},
        }

    def _service_tables(self) -> Schema:
        plain = table_schema(ServiceTable)
        options = {service.key: service.description.options for service in self._services}
        named = {name: _service(plain, options.get(name)) for name in (*self._installed.service_names(), *options)}
        words = 'The services that this host runs; each an installed one, or use = "module:Class".'
        return {"type": "object", "description": words, "properties": named, "additionalProperties": plain}

    def _choice(self, kind: str) -> Schema:
        found = self._providers(kind)
        names: Schema = {"type": "string", "examples": [provider.name for provider, _ in found]}
        return {"anyOf": [names, *(_using(provider, schema) for provider, schema in found)]}

    def _client(self) -> Schema:
        schema = table_schema(ClientTable)
        words = _words(schema["properties"]["balancer"])
        words["default"] = ClientTable().balancer.use
        schema["properties"]["balancer"] = {**self._choice("balancer"), **words}
        return schema

    def _security(self) -> Schema:
        schema = table_schema(SecurityTable)
        words = _words(schema["properties"]["authenticator"])
        schema["properties"]["authenticator"] = {**self._choice("authenticator"), **words}
        return schema

    def _middleware(self) -> Schema:
        side = {"type": "array", "items": self._choice("middleware")}
        unsaid = {name: [choice.use for choice in getattr(MiddlewareTable(), name)] for name in _SIDES}
        sides = {
            name: {**side, "default": unsaid[name], "description": f"{words}, outermost first"}
            for name, words in _SIDES.items()
        }
        return _object(sides, "What wraps handlers and calls.")


_SIDES = {"server": "around handlers", "client": "around calls to others", "consumer": "around handlers of events"}


def _object(properties: Schema, words: str) -> Schema:
    return {"type": "object", "description": words, "properties": properties, "additionalProperties": False}


def _using(provider: Provider[Any], schema: Schema) -> Schema:
    """The options of a plugin with the key that chooses it."""
    use: Schema = {"const": provider.name, "description": provider.summary}
    properties = {"use": use, **schema.get("properties", {})}
    required = ["use", *schema.get("required", [])]
    return {
        **schema,
        "title": provider.name,
        "description": provider.summary,
        "properties": properties,
        "required": required,
    }


def _optional_use(schema: Schema) -> Schema:
    return {**schema, "required": [key for key in schema["required"] if key != "use"]}


def _others(found: list[tuple[str, Schema]], name: str) -> list[Schema]:
    return [schema for other, schema in found if other != name]


def _service(plain: Schema, options: Any) -> Schema:
    if options is None:
        return plain
    try:
        return {**plain, "properties": {**plain["properties"], "options": table_schema(options)}}
    except TypeError:  # a type that has no schema: any options will do
        return plain


Owner = Callable[[str, str], str]
"""(kind, name) -> distribution and version of a plugin."""
