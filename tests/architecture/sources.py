"""The sources as syntax trees, and a way to plant one that breaks a rule."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Source(NamedTuple):
    path: str  # relative to the repository, with slashes
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        name = self.path.removesuffix(".py").replace("/", ".")
        return name.removesuffix(".__init__")

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


class Function(NamedTuple):
    name: str  # qualified within its module
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def lines(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1


@cache
def sources(folder: str = "vyked_host") -> tuple[Source, ...]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"no sources in {folder}"
    return tuple(
        source(file.read_text(), str(file.relative_to(ROOT))) for file in files if "templates" not in file.parts
    )


def plugin_sources() -> tuple[Source, ...]:
    """Those of plugins/ and services_example/ that are shipped; their tests are not."""
    folders = [file.parent for file in (*ROOT.glob("plugins/*/setup.cfg"), *ROOT.glob("services_example/setup.cfg"))]
    found = (each for folder in folders for each in sources(str(folder.relative_to(ROOT))))
    return tuple(each for each in found if not {"tests", "build"} & set(Path(each.path).parts))


def source(text: str, path: str = "vyked_host/model/planted.py") -> Source:
    text = dedent(text)
    return Source(path, text, ast.parse(text))


def functions(tree: ast.AST, prefix: str = "") -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(prefix + node.name, node)
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """(statement, absolute dotted name) of each import that is not relative, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node, f"{node.module}.{each.name}") for each in node.names)


def called(node: ast.AST) -> str:
    """The last name of what a call calls: ``create_task`` for ``loop.create_task(...)``; "" for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def none(breaches: Iterable[str]) -> None:
    """Fails with a line for each breach."""
    found = list(breaches)
    assert not found, "\n".join((f"{len(found)} found", *found))
