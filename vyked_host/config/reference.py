"""docs/configuration.md out of the Structs: every key with its type, default and meaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..contracts import Provider
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
    TlsTable,
)
from ..model.tables import BreakerTable, BulkheadTable, RateTable
from .expectation import expected, literal, resolved
from .shape import UNIT

_HEAD = """\
<!-- generated: vyked-host config schema -o markdown > docs/configuration.md -->
# vyked.toml

One file says what a host runs. Every table and key may be left out. Times are in seconds; sizes are bytes, or strings
such as `"1MiB"` (`KiB`, `MiB`, `GiB`; `kB`, `MB`, `GB`). A key that is not listed here is an error, and `vyked-host check`
tells all errors of a file at once, each with its line and column.

In any string `${VAR}` stands for an environment variable, `${VAR:-default}` for one with a default, `${VAR:?message}` for one
that must be set, `${file:PATH}` for the content of a file (paths start at the folder of vyked.toml); `$${` is a literal `${`.
`--set table.key=value` replaces one value for one run. `vyked-host config show --origin` says where each value comes from,
`vyked-host config explain KEY` what a key means.
"""

_OWN: tuple[tuple[str, type[msgspec.Struct], str], ...] = (
    ("[host]", HostTable, ""),
    ("[plugins]", PluginsTable, ""),
    ("[logging]", LoggingTable, ""),
    (
        "[services.NAME]",
        ServiceTable,
        "NAME is that of an installed service, or any name with `use`. Only listed services run.",
    ),
    ("[clients.NAME]", ClientTable, "A key that is not in `[clients.NAME]` is as in `[clients.default]`."),
    ("[clients.NAME.breaker]", BreakerTable, ""),
    ("[clients.NAME.bulkhead]", BulkheadTable, ""),
    ("[clients.NAME.rate]", RateTable, ""),
    ("[middleware]", MiddlewareTable, ""),
    ("[limits]", LimitsTable, ""),
    ("[timing]", TimingTable, ""),
    ("[security]", SecurityTable, ""),
    ("[security.tls]", TlsTable, ""),
)

_PLUGINS = {
    "transport": ("[transports.NAME]", "The plugin is NAME unless `use` says another. Default: local, tcp, http if there are routes."),
    "registry": ("[registry]", "`use` names the plugin (default `\"embedded\"`); its options stand in a table of its name."),
    "pubsub": ("[pubsub]", "`use` names the plugin (default `\"embedded\"`); its options stand in a table of its name."),
    "results": ("[results]", "`use` names the plugin (default `\"memory\"`); its options stand in a table of its name. Used where a method is `@api(keyed=True)`."),
    "serializer": ("Serializers", "Named by the option `serializer` of a transport."),
    "balancer": ("Balancers", 'Named by `balancer` of a client: `balancer = "x"` or `balancer = { use = "x", ... }`.'),
    "middleware": ("Middlewares", 'Named in the lists of `[middleware]`: `"x"` or `{ use = "x", ... }`.'),
    "authenticator": ("Authenticators", "Say who a peer is."),
}  # fmt: skip


def markdown(providers: Iterable[tuple[str, Provider[Any]]]) -> str:
    """The page; `providers` are (kind, provider) of the plugins that it describes."""
    sections = [_HEAD]
    for title, struct, words in _OWN:
        sections.append("\n".join([f"## `{title}`", "", _doc(struct, words), "", *_rows(struct)]))
    found = list(providers)
    for kind, (title, words) in _PLUGINS.items():
        ours = [provider for of, provider in found if of == kind]
        if ours:
            sections.append("\n".join(_plugins(title, words, ours)))
    return "\n\n".join(section.strip("\n") for section in sections) + "\n"


def _doc(struct: type[msgspec.Struct], words: str) -> str:
    return " ".join(" ".join(part.split()) for part in (struct.__doc__ or "", words) if part).replace("``", "`")


def _plugins(title: str, words: str, providers: list[Provider[Any]]) -> Iterator[str]:
    yield from (f"## {f'`{title}`' if title.startswith('[') else title}", "", words)
    for provider in providers:
        yield from ("", f"### `{provider.name}`", "", f"{provider.summary[:1].upper()}{provider.summary[1:]}.")
        if provider.options.__struct_fields__:
            yield ""
            yield from _rows(provider.options)


def _rows(struct: type[msgspec.Struct]) -> Iterator[str]:
    yield from ("| key | value | default | |", "|---|---|---|---|")
    schema = msgspec.json.schema(struct)
    yield from _keys(schema, schema.get("$defs", {}), _defaults(struct), "")


def _defaults(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """What each key is when nothing is said; empty when some have to be given."""
    try:
        found = msgspec.to_builtins(struct())
    except TypeError:
        return {}
    return found if isinstance(found, dict) else {}


def _keys(schema: Any, definitions: Any, defaults: Any, prefix: str) -> Iterator[str]:
    table = resolved(schema, definitions)
    for key, found in table.get("properties", {}).items():
        plain = resolved(found, definitions)
        value = defaults.get(key, plain.get("default"))
        if plain.get("properties") and plain.get("title") != "Choice":
            yield from _keys(plain, definitions, value or {}, f"{prefix}{key}.")
            continue
        default = "required" if key in table.get("required", ()) else _default(value, plain)
        cells = (f"`{prefix}{key}`", expected(plain, definitions), default, plain.get("description", ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: Any, schema: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and "use" not in value:
        return "a table" if value else "`{}`"
    return f"`{_size(value) if _is_size(schema) else literal(_choices(value), 200)}`"


def _choices(value: Any) -> Any:
    """Chosen plugins by their names."""
    if isinstance(value, list):
        return [_choices(inner) for inner in value]
    return value["use"] if isinstance(value, dict) and "use" in value else value


def _is_size(schema: Any) -> bool:
    return any(branch.get(UNIT) == "bytes" for branch in (schema, *schema.get("anyOf", ())))


def _size(number: Any) -> str:
    """A number of bytes as a person would write it."""
    for name, unit in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if isinstance(number, int) and number % unit == 0:
            return f'"{number // unit}{name}"'
    return literal(number)
