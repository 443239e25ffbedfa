"""``vyked-host plugins``: what is installed, what a file uses of it, and what is wrong with it.

Listing reads metadata and, leniently, the file: it imports no plugin and works when all of them, and the file, are broken.
``plugins info`` and ``plugins verify`` import what they are asked about.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from .. import loading
from ..errors import EXIT_FAILED, EXIT_START, EXIT_USAGE, StartError
from ..loading import HOOKS, OFFERS, Catalogue, Entry
from .printing import print_json, print_table

DEFAULT_FILE, VARIABLE = "vyked.toml", "VYKED_CONFIG"
COLOURS = {"in use": "green", "failed": "red", "conflict": "red", "incompatible": "yellow", "disabled": "dim"}
_ALWAYS = ("json", "msgpack")
"""Serializers that every host speaks."""
COLUMNS = ("kind", "name", "distribution", "state", "reason")


class Asked(NamedTuple):
    """What the options say; those of the group hold for its subcommands."""

    file: str | None
    output: str | None
    no_plugins: str | None

    def over(self, group: Asked) -> Asked:
        """These, and where nothing is said those of the group."""
        return Asked(*(own if own is not None else other for own, other in zip(self, group, strict=True)))


def _options_of_all(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--config", "file", metavar="FILE", help="The file whose use is shown [default: ./vyked.toml]."),
        click.option("-o", "--output", type=click.Choice(["text", "json"]), help="Form of the answer [default: text]."),
        click.option(
            "--no-plugins", metavar="NAMES", is_flag=False, flag_value="all",
            help="As if these (commas between; without a value all but the built-in ones) were disabled.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group("plugins", invoke_without_command=True)
@_options_of_all
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Show the installed plugins and services: kind, name, distribution, state, reason.

    States: in use (by the file), available, disabled, incompatible (with this vyked-host), conflict (two distributions
    offer one name), failed. Nothing is imported.
    """
    context.obj = Asked(**options)
    if context.invoked_subcommand is None:
        _show(context.obj)


@command.command("list")
@_options_of_all
@click.pass_obj
def listing(group: Asked, /, **options: Any) -> None:
    """Show all of them; the default."""
    _show(Asked(**options).over(group))


@command.command("info")
@click.argument("name")
@_options_of_all
@click.pass_obj
def info(group: Asked, /, name: str, **options: Any) -> None:
    """Import what NAME (a name, kind.name or distribution) means, and show its options, hooks and failures.

    Exit code 3 when one of them is broken.
    """
    asked = Asked(**options).over(group)
    catalogue = _catalogue(asked)
    meant = _meant(catalogue, name)
    described = [_describe(catalogue, entry) for entry in meant]
    if asked.output == "json":
        print_json(described)
    else:
        click.echo("\n\n".join(map(_paragraph, described)))
    if any(entry.state == "failed" for entry in meant):
        sys.exit(EXIT_START)


@command.command("verify")
@click.argument("name")
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the plugin, such as url=...; repeatable."
)
@click.option("-v", "--verbose", is_flag=True, help="Show what pytest says meanwhile.")
@_options_of_all
@click.pass_obj
def verify(group: Asked, /, name: str, pairs: tuple[str, ...], verbose: bool, **options: Any) -> None:
    """Run the conformance kit on what NAME (a name, kind.name or distribution) means, and print the matrix.

    Each guarantee has passed, has failed, is a known failure, or is not declared, and then refused where it is asked for. Needs the extra
    vyked-host[testing]. Exit code 1 when a case failed, 3 when the kit could not run.
    """
    from .verify import has_failed, settings_of, show, verified

    asked = Asked(**options).over(group)
    found = verified(_meant(_catalogue(asked), name), settings_of(pairs), verbose)
    show(found, asked.output)
    if has_failed(found):
        sys.exit(EXIT_FAILED)


def _meant(catalogue: Catalogue, name: str) -> list[Entry]:
    """What `name` means; without any the program ends."""
    meant = [entry for entry in catalogue.entries if entry.answers_to(name)]
    if not meant:
        known = ", ".join(sorted({entry.path for entry in catalogue.entries}))
        click.echo(f"no plugin or service {name!r} is installed; installed: {known}", err=True)
        sys.exit(EXIT_USAGE)
    return meant


def _show(asked: Asked) -> None:
    entries = _catalogue(asked).entries
    if asked.output == "json":
        print_json([_as_data(entry) for entry in entries])
    elif sys.stdout.isatty():
        _print_rich(entries)
    else:
        print_table([name.upper() for name in COLUMNS], map(_row, entries))


# ---- the file, leniently ---------------------------------------------------------------------------------------------
def _document(file: str | None) -> Mapping[str, Any]:
    path = Path(file or os.environ.get(VARIABLE) or DEFAULT_FILE)
    if not path.is_file() and file is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        click.echo(f"{path} can't be read ({error}), so what it uses and disables is not shown", err=True)
        return {}


def _catalogue(asked: Asked) -> Catalogue:
    document = _document(asked.file)
    wishes = [part.strip() for part in (asked.no_plugins or "").split(",") if part.strip()]
    catalogue = loading.load(no_plugins=True if wishes == ["all"] else wishes)
    disable = _table(document, "plugins").get("disable", [])
    catalogue.restrict([wish for wish in _list(disable) if isinstance(wish, str)])
    for kind, name in used_names(document) if document else ():
        _mark_used(catalogue, kind, name)
    if document and _table(document, "plugins").get("autoload", True) is not False:
        _mark_loaded(catalogue)
    return catalogue


def _mark_used(catalogue: Catalogue, kind: str, name: str) -> None:
    try:
        entry = catalogue.find(kind, name)
    except StartError:
        return  # `check` says what is wrong with it; here its state stands in the list
    entry.settle("in use", "")


def _mark_loaded(catalogue: Catalogue) -> None:
    """Modules of hooks only are in use by being installed."""
    for entry in catalogue.entries:
        if entry.kind == HOOKS and entry.usable:
            entry.settle("in use", "")


def used_names(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(kind, name) of each plugin and service that the file names, or uses by default. Odd values are passed over."""
    transports, clients = _table(document, "transports"), _table(document, "clients")
    found = [
        *(("transport", _use(table, name)) for name, table in (transports or {"local": {}, "tcp": {}}).items()),
        *(("serializer", name) for name in _ALWAYS),
        *(("serializer", table.get("serializer")) for table in transports.values() if isinstance(table, dict)),
        ("balancer", _use(_table(clients, "default").get("balancer"), "least_pending")),
        *((kind, _use(document.get(kind), "embedded")) for kind in ("registry", "pubsub")),
        ("results", _use(document.get("results"), "memory")),
        *(("balancer", _use(table.get("balancer"))) for table in clients.values() if isinstance(table, dict)),
        *(
            ("middleware", _use(choice))
            for side in ({"server": ["logging"]} | _table(document, "middleware")).values()
            for choice in _list(side)
        ),
        *(("service", name) for name, table in _table(document, "services").items() if _use(table) is None),
    ]
    return {(kind, name) for kind, name in found if isinstance(name, str)}


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _use(choice: Any, default: str | None = None) -> Any:
    return choice.get("use", default) if isinstance(choice, dict) else choice or default


# ---- words -----------------------------------------------------------------------------------------------------------
def _as_data(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind, "name": entry.name, "distribution": entry.dist, "version": entry.version, "state": entry.state,
        "reason": entry.reason, "editable": entry.editable, "location": entry.location, "value": entry.value,
    }  # fmt: skip


def _row(entry: Entry) -> tuple[str, ...]:
    remarks = [entry.reason, f"editable: {entry.location}" if entry.editable else ""]
    return entry.kind, entry.name, entry.plugin, entry.state, "; ".join(filter(None, remarks))


def _print_rich(entries: Iterable[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name.upper(), overflow="fold", no_wrap=name != "reason")
    for entry in entries:
        kind, name, plugin, state, reason = _row(entry)
        table.add_row(kind, name, plugin, Text(state, style=COLOURS.get(entry.state, "")), Text(reason))
    Console().print(table)


def _describe(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = _as_data(entry)
    if entry.usable or entry.state == "conflict":
        try:
            opened = catalogue.open(entry)
        except StartError as error:
            described["error"] = str(error)
        else:
            described |= _contents(catalogue, entry, opened)
    described |= {"state": entry.state, "reason": entry.reason, "traceback": entry.trace}
    return described


def _contents(catalogue: Catalogue, entry: Entry, opened: Any) -> dict[str, Any]:
    if entry.kind in OFFERS:
        return {"summary": opened.summary, "options": _options(opened.options), "hooks": catalogue.hooks_of(entry)}
    if entry.kind == HOOKS:
        return {"hooks": catalogue.hooks_of(entry)}
    return {"summary": (opened.__doc__ or "").strip().partition("\n")[0]}


def _options(struct: Any) -> dict[str, Any]:
    import msgspec

    def shown(field: msgspec.structs.FieldInfo) -> Any:
        if field.default is not msgspec.NODEFAULT:
            return msgspec.to_builtins(field.default, enc_hook=repr)
        if field.default_factory is not msgspec.NODEFAULT:
            return msgspec.to_builtins(field.default_factory(), enc_hook=repr)
        return "(required)"

    return {field.encode_name: shown(field) for field in msgspec.structs.fields(struct)}


def _paragraph(described: Mapping[str, Any]) -> str:
    lines = [f"{described['kind']} {described['name']}"]
    shown = ("summary", "distribution", "version", "state", "reason", "location", "value")
    lines += [f"  {key:<13} {described[key]}" for key in shown if described.get(key)]
    if described.get("hooks"):
        lines.append(f"  {'hooks':<13} {', '.join(described['hooks'])}")
    for name, default in described.get("options", {}).items():
        lines.append(f"  option        {name} = {json.dumps(default)}")
    if described.get("traceback"):
        lines.append("\n" + described["traceback"].rstrip())
    return "\n".join(lines)
