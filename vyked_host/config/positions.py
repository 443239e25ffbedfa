"""Path of a value -> where its key and its value stand in the file.

No TOML library tells the place of a valid value, tree-sitter's grammar does. It counts columns in bytes, people count
characters. Imported only when a place is asked for: a healthy start does not need it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .findings import At
from .paths import Path

if TYPE_CHECKING:
    from tree_sitter import Node


class Span(NamedTuple):
    """A place: line and column from 1, and how many characters of that line belong to it."""

    line: int
    column: int
    length: int


class Positions:
    """Where the keys and values of one text stand."""

    def __init__(self, text: str) -> None:
        self._lines = text.encode().split(b"\n")
        self._found: dict[tuple[Path, At], Span] = {}
        self._arrays: dict[Path, int] = {}
        self._document(_root(text))

    def find(self, path: Path, at: At) -> Span | None:
        """The place of `path`; of the nearest thing around it when it stands nowhere itself; None: of nothing."""
        while path:
            found = self._found.get((path, at)) or self._found.get((path, "key"))
            if found:
                return found
            path = path[:-1]
        return None

    def _document(self, root: Node) -> None:
        for node in root.children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def _table(self, node: Node) -> None:
        keys = [child for child in node.children if child.type in _KEYS]
        if not keys:
            return
        base = self._keys(keys[0], ())
        if node.type == "table_array_element":
            index = self._arrays[base] = self._arrays.get(base, -1) + 1
            self._note((*base, index), "key", keys[0])
            base = (*base, index)
        for child in node.children:
            if child.type == "pair":
                self._pair(child, base)

    def _pair(self, node: Node, base: Path) -> None:
        named = [child for child in node.children if child.is_named and child.type != "comment"]
        if len(named) < 2 or named[0].type not in _KEYS:
            return
        self._value(named[-1], self._keys(named[0], base))

    def _value(self, node: Node, path: Path) -> None:
        self._note(path, "value", node)
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path)
        elif node.type == "array":
            items = (child for child in node.children if child.is_named and child.type != "comment")
            for index, child in enumerate(items):
                self._value(child, (*path, index))

    def _keys(self, key: Node, base: Path) -> Path:
        """The path that `key` names below `base`; each part of it is noted where it stands first."""
        for node in _parts(key):
            base = (*base, _name(node))
            self._note(base, "key", node)
            if base in self._arrays:  # [[a]] then [a.b]: it belongs to the last a
                base = (*base, self._arrays[base])
        return base if key.parent is None or key.parent.type != "table_array_element" else _outer(base)

    def _note(self, path: Path, at: At, node: Node) -> None:
        row, first = node.start_point
        line = self._lines[row]
        last = node.end_point[1] if node.end_point[0] == row else len(line)
        span = Span(row + 1, _characters(line[:first]) + 1, max(1, _characters(line[first:last])))
        self._found.setdefault((path, at), span)


_KEYS = ("bare_key", "quoted_key", "dotted_key")


def _root(text: str) -> Node:
    import tree_sitter_toml
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_toml.language())).parse(text.encode()).root_node


def _outer(base: Path) -> Path:
    """``[[a]]`` names the list, not its last element."""
    return base[:-1] if base and isinstance(base[-1], int) else base


def _parts(key: Node) -> Iterator[Node]:
    if key.type != "dotted_key":
        yield key
        return
    for child in key.children:
        if child.type in _KEYS:
            yield from _parts(child)


def _name(node: Node) -> str:
    text = (node.text or b"").decode(errors="replace")
    if node.type == "bare_key":
        return text
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except (tomllib.TOMLDecodeError, StopIteration):  # the grammars differ: the text itself is the nearest
        return text


def _characters(line: bytes) -> int:
    return len(line.decode(errors="replace"))
