"""``vyked-host classic check MODULE``."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from pathlib import Path

import click

from .asyncio_looks import STOPS
from .findings import findings
from .modern import modern
from .services import OldClass, classes
from .source import Finding, Source, read

GUIDE = "docs/moving-from-vyked.md"


@click.group()
def classic() -> None:
    """Vyked 2.x: look at old modules."""


@classic.command()
@click.argument("module")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="how to say it")
@click.option("--modern", "wants_modern", is_flag=True, help="the modern form of each service, and nothing else")
def check(module: str, output: str, wants_modern: bool) -> None:
    """What MODULE, a file or the name of a module, needs before it runs, and what behaves differently. It is read, not run.

    Ends with 1 when something stops it, with 2 when there is no such module.
    """
    source = _source(module)
    found = findings(source)
    served = classes(source.tree) if source.tree is not None else ()
    if wants_modern:
        click.echo(modern(served), nl=False)
    elif output == "json":
        click.echo(json.dumps(_plain(source, found, served), indent=2))
    else:
        _tell(source, found, served)
    sys.exit(1 if any(each.severity == STOPS for each in found) else 0)


def _source(module: str) -> Source:
    path = _path(module)
    if path is None:
        raise click.UsageError(f"{module} is neither a file nor a module that can be found from here")
    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} can't be read: {error}") from error


def _path(module: str) -> Path | None:
    """The file of ``old_service.py``, ``old_service`` or ``old_service:Class``. No package is imported for it."""
    name = module.partition(":")[0]
    if Path(name).is_file():
        return Path(name)
    places: list[str] | None = [".", *sys.path]
    spec = None
    for part in name.split("."):
        spec = importlib.machinery.PathFinder.find_spec(part, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None


def _tell(source: Source, found: list[Finding], served: tuple[OldClass, ...]) -> None:
    for each in found:
        remedy = f"; {each.remedy}" if each.remedy else ""
        click.echo(f"{source.path}:{each.line}:{each.column}  {each.severity}  {each.what}{remedy}")
    for one in served:
        what = "client of" if one.is_client else one.kind
        methods = ", ".join(f"@{m.decorator} {m.name}" for m in one.methods)
        where = f"{source.path}:{one.node.lineno}:1"
        click.echo(
            f"{where}  found  {one.node.name}: {what} {one.name or '?'} {one.version or '?'}: {methods or 'nothing'}"
        )
    stops = sum(each.severity == STOPS for each in found)
    click.echo(f"{stops} to correct before it runs, {len(found) - stops} not as they were; see {GUIDE}", err=True)
    if any(not each.is_client for each in served):
        click.echo(f"the modern form: vyked-host classic check {source.path} --modern", err=True)


def _plain(source: Source, found: list[Finding], served: tuple[OldClass, ...]) -> dict[str, object]:
    return {
        "file": str(source.path),
        "findings": [each._asdict() for each in found],
        "classes": [
            {
                "class": each.node.name, "line": each.node.lineno, "kind": each.kind, "name": each.name, "version": each.version,
                "methods": [{"name": m.name, "decorator": m.decorator} for m in each.methods],
            }
            for each in served
        ],
        "modern": modern(served),
    }  # fmt: skip
