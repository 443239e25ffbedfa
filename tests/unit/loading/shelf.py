"""Fake installed distributions: real .dist-info folders and modules on a temporary sys.path entry."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest


class Shelf:
    """A folder on sys.path that distributions can be put on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self, name: str, version: str = "1.0", *, plugins: Mapping[str, str] | None = None,
        services: Mapping[str, str] | None = None, modules: Mapping[str, str] | None = None, requires: tuple[str, ...] = (),
        editable: bool = False, egg: bool = False,
    ) -> None:  # fmt: skip
        """Install a distribution: entry points, modules (name -> source), demands."""
        kind = "egg-info" if egg else "dist-info"
        stem = name.replace("-", "_")
        info = self.folder / (f"{stem}.{kind}" if egg else f"{stem}-{version}.{kind}")
        info.mkdir()
        demands = "".join(f"Requires-Dist: {text}\n" for text in requires)
        header = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{demands}\nVersion: not a header\n"
        (info / ("PKG-INFO" if egg else "METADATA")).write_text(header)
        (info / "entry_points.txt").write_text(_section("plugins", plugins) + _section("services", services))
        if editable:
            (info / "direct_url.json").write_text(json.dumps({"url": "file:///src", "dir_info": {"editable": True}}))
        for module, source in (modules or {}).items():
            self.module(module, source)
        importlib.invalidate_caches()

    def module(self, name: str, source: str) -> None:
        """Write ``name.py``."""
        (self.folder / f"{name}.py").write_text(dedent(source))
        importlib.invalidate_caches()

    def break_entry_points(self, name: str, version: str = "1.0") -> None:
        """Install a distribution whose entry_points.txt nobody can read."""
        self.add(name, version)
        file = self.folder / f"{name.replace('-', '_')}-{version}.dist-info" / "entry_points.txt"
        file.write_text("[vyked_host.plugins]\nthis line has no value\n")


def _section(group: str, points: Mapping[str, str] | None) -> str:
    return f"[vyked_host.{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) + "\n" if points else ""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """An empty shelf; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield Shelf(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
