"""Data on stdout: as JSON for programs, as columns for people. The same shape on and off a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


def output_option(function: F) -> F:
    """``-o text|json``, given to the command as `output`."""
    text = "text for people, json for programs."
    decorate = click.option(
        "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help=text
    )
    return decorate(function)


def print_json(value: Any) -> None:
    """`value` as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_line(value: Any) -> None:
    """`value` as one line of JSON."""
    click.echo(msgspec.json.encode(value))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their longest cell; the last one is not padded."""
    table = [tuple(header), *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header) - 1)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())
