"""``vyked-host config``: what a file means, with everything that it does not say."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from ..assembly.prepare import Prepared, prepare
from ..config import as_text, explain, reference, render, schema
from ..config.installed import KINDS
from ..config.paths import Path
from ..contracts import Provider
from ..errors import UsageError, VykedError
from ..loading import Catalogue
from .check import chosen, exit_code, say
from .sources import set_option

_DISTRIBUTION = "vyked-host"

Command = TypeVar("Command", bound=Callable[..., Any])

_config = click.option("--config", "file", metavar="FILE", help="The file; default: VYKED_CONFIG, else ./vyked.toml.")


def _output(*forms: str) -> Callable[[Command], Command]:
    return click.option(
        "-o", "--output", type=click.Choice(forms), default=forms[0], show_default=True, help="Form of the answer."
    )


@click.group("config")
def command() -> None:
    """Show what a file means: effective values, a JSON Schema for editors, one key explained."""


@command.command("show")
@click.argument("name", metavar="[FILE]", required=False)
@_config
@set_option
@click.option("--origin", is_flag=True, help="Say where each value comes from: file:line, env, flag or default.")
@_output("text", "json", "toml")
def show(name: str | None, file: str | None, overrides: Sequence[str], origin: bool, output: str) -> None:
    """Print every effective value, secrets hidden. With -o toml: a file that `run` accepts, references as written."""
    if origin and output == "toml":
        raise click.UsageError("--origin goes with -o text and -o json")
    loaded = _sound(prepare(chosen(name or file), overrides=overrides)).loaded
    forms = {"text": render.as_text, "json": render.as_json}
    say(forms[output](loaded, origin=origin) if output in forms else _toml(loaded), sys.stdout)


def _toml(loaded: Any) -> str:
    try:
        return render.as_toml(loaded).rstrip("\n")
    except VykedError as error:
        raise click.ClickException(str(error)) from error


def _sound(prepared: Prepared) -> Prepared:
    """`prepared`, unless its file is wrong: then every fault is told and the program ends."""
    if prepared.loaded.errors:
        say(as_text(prepared.loaded.problems), sys.stderr)
        sys.exit(exit_code(prepared.loaded))
    return prepared


@command.command("schema")
@_config
@_output("json", "markdown")
def schema_of_file(file: str | None, output: str) -> None:
    """Print the JSON Schema of vyked.toml, with the options of every installed plugin, for editors.

    Keep it beside the file: vyked-host config schema > vyked.schema.json, and begin vyked.toml with
    "#:schema ./vyked.schema.json". With -o markdown: the reference of vyked-host's own keys.
    """
    prepared = prepare(file)  # a faulty file, or none, is no reason to give no schema
    if output == "markdown":
        say(reference.markdown(own_providers(prepared.catalogue)).rstrip("\n"), sys.stdout)
        return
    composed = schema.SchemaOfFile(prepared.catalogue, prepared.loaded.services)
    say(msgspec.json.format(msgspec.json.encode(composed.document()), indent=2).decode(), sys.stdout)
    for line in dict.fromkeys(composed.missing):
        say(f"left out: {line}", sys.stderr)


def own_providers(catalogue: Catalogue) -> list[tuple[str, Provider[Any]]]:
    """(kind, provider) of everything that vyked-host itself brings."""
    return [
        (kind, catalogue.provider(kind, name))
        for kind in KINDS
        for name in catalogue.names(kind)
        if catalogue.find(kind, name).dist == _DISTRIBUTION
    ]


@command.command("explain")
@click.argument("key")
@_config
@set_option
@_output("text", "json")
def explain_key(key: str, file: str | None, overrides: Sequence[str], output: str) -> None:
    """Explain one KEY, such as transports.tcp.port: its type, range, default, owner, and its value here."""
    prepared = prepare(file, overrides=overrides)
    catalogue = prepared.catalogue
    try:
        found = explain.explain(
            prepared.loaded, _path(key), catalogue, lambda kind, name: catalogue.find(kind, name).plugin
        )
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    say(explain.as_text(found) if output == "text" else _json(found), sys.stdout)


def _json(found: explain.Explanation) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _path(text: str) -> Path:
    try:
        inner: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        raise UsageError(f'"{text}" is no dotted key, such as transports.tcp.port') from None
    path: list[str | int] = []
    while isinstance(inner, dict):
        name, inner = next(iter(inner.items()))
        path.append(name)
    return tuple(path)
