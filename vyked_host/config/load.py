"""From a file to checked settings: the way in for everyone else.

`load` never raises for what is wrong in the file: it is all in `Loaded.problems`, and `Loaded.require` raises. Nothing is
bound, opened or started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from ..errors import ConfigError, StartError
from ..model.settings import PluginsTable, Settings
from .binding import Binding
from .document import Document, Origin, opened
from .effective import effective
from .installed import Installed
from .paths import Path
from .problems import Problem
from .services import Service
from .tables import Tables


class Loaded:
    """A file bound to settings. `services` are those whose classes could be had, with their descriptions and options;
    `problems` is everything that is wrong, in the order of the file."""

    def __init__(
        self, settings: Settings, services: Iterable[Service], document: Document, problems: tuple[Problem, ...]
    ) -> None:
        self.settings, self.services = settings, tuple(services)
        self.document, self.problems = document, problems

    @property
    def file(self) -> str:
        """The file's name as it was given."""
        return self.document.source.name

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the host from starting."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The settings as plain data, shaped like the file, defaults filled in."""
        return effective(self.settings, self.services)

    def origin(self, path: Path) -> Origin:
        """Where the value at `path` comes from. A client's table stands on ``[clients.default]``."""
        found = self.document.origin(path)
        if found.kind == "default" and path[:1] == ("clients",) and len(path) > 2:
            return self.document.origin(("clients", "default", *path[2:]))
        return found

    def require(self) -> Settings:
        """The settings; raises ConfigError with all problems, or StartError when only plugins are at fault."""
        if not self.errors:
            return self.settings
        if all(problem.plugin for problem in self.errors):
            raise StartError("\n".join(problem.message for problem in self.errors))
        count = len(self.errors)
        raise ConfigError(f"{count} error{'s' * (count > 1)} in {self.file}", self.problems)


def load(
    path: str | None = None, *, installed: Installed, text: str | None = None, overrides: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Loaded:  # fmt: skip
    """The file at `path` (or `text` in its place, or nothing but defaults) with ``--set`` `overrides`, checked against
    what is `installed`. `environ` is where ``${VAR}`` comes from."""
    document = opened(path, text=text, overrides=tuple(overrides), environ=environ)
    allowed = plugins_table(document)
    installed.restrict(allowed.disable, allowed.autoload)
    return bind(document, installed)


def plugins_table(document: Document) -> PluginsTable:
    """``[plugins]``, which decides what may be loaded, so it comes first. Its faults are told by :func:`bind`."""
    known = len(document.findings.faults)
    table = Tables(document).table(("plugins",), PluginsTable, document.data.get("plugins", {}))
    del document.findings.faults[known:]
    return table or PluginsTable()


def bind(document: Document, installed: Installed) -> Loaded:
    """An opened document as settings; ``[plugins]`` has been applied to `installed`."""
    settings, services = Binding(document, installed).settings()
    return Loaded(settings, services, document, document.problems())
