"""One vyked.toml in work: its text, its flags, its values with references filled in, and where each of them comes from.

Precedence: ``--set`` over the file over defaults. An origin is one of: ``file:line``, ``env VAR (file:line)``,
``secret PATH (file:line)``, ``--set key=value``, ``default``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..model.values import Value
from . import overrides as flags
from . import source as sources
from .findings import Fault, Findings
from .interpolation import Interpolation, Written
from .paths import Path, at, dotted
from .problems import Problem
from .secrecy import HIDDEN, is_secret, without_passwords

if TYPE_CHECKING:
    from .positions import Positions
    from .redacting import Redacted


class Origin(Value):
    """Where a value comes from. `name` is the variable, the secret's file or the flag."""

    kind: str
    file: str = ""
    line: int = 0
    column: int = 0
    name: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        if self.kind == "file":
            return place
        return f"{self.kind} {self.name} ({place})" if self.kind in ("env", "secret") else self.name or self.kind


DEFAULT = Origin(kind="default")


class Document:
    """A file with its flags applied. `raw` is as written, `data` has the references filled in."""

    def __init__(self, source: sources.Source, overrides: Iterable[str], environ: Mapping[str, str]) -> None:
        self.source = source
        self.findings = Findings()
        self.raw, self.flags, self._flag_faults = flags.apply(source.data, overrides)
        reading = Interpolation(environ, source.folder, self.findings)
        self.data: dict[str, Any] = reading.apply(self.raw)
        self.written: dict[Path, Written] = reading.written

    @property
    def folder(self) -> str:
        """The directory of the file, absolute: relative paths start there."""
        return self.source.folder

    @property
    def damaged(self) -> bool:
        """Parts of the file could not be read, so what is missing may stand there."""
        return bool(self.source.faults)

    @cached_property
    def positions(self) -> Positions:
        """Where everything stands; built when first asked for."""
        from .positions import Positions

        return Positions(self.source.toml)

    @cached_property
    def _shown(self) -> Redacted:
        from .redacting import Redacted

        return Redacted(self.source.text)

    def origin(self, path: Path) -> Origin:
        """Where the value at `path` comes from."""
        flag = self.flag(path)
        if flag is not None:
            return Origin(kind="flag", name=flag)
        try:
            at(self.raw, path)
        except (KeyError, IndexError, TypeError):
            return DEFAULT
        span = self.positions.find(path, "value")
        line, column = (span.line, span.column) if span else (0, 0)
        kind, name = self._from_outside(path)
        return Origin(kind=kind, file=self.source.name, line=line, column=column, name=name)

    def _from_outside(self, path: Path) -> tuple[str, str]:
        written = self.written.get(path)
        outside = [(kind, name) for kind, name in written.sources if kind != "default"] if written else []
        if not outside:
            return "file", ""
        kind = "secret" if any(kind == "file" for kind, _ in outside) else "env"
        return kind, ", ".join(dict.fromkeys(name for _, name in outside))

    def flag(self, path: Path) -> str | None:
        """The ``--set`` that `path`, or what it is in, comes from."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.flags:
                hidden = is_secret(path) and path not in self.written
                return f"--set {dotted(path)}={HIDDEN}" if hidden else _shown(self.flags[path[:length]])
        return None

    def problems(self) -> tuple[Problem, ...]:
        """Everything found so far, in the order of the file."""
        found = [self._syntax(fault) for fault in self.source.faults]
        found += [Problem(file=_shown(f.flag), message=f.message, remedy=f.remedy) for f in self._flag_faults]
        found += [self._located(fault) for fault in self.findings.faults]
        return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))

    def problem(self, key: str, message: str, remedy: str) -> Problem:
        """A fault at the setting `key`, a dotted path, that showed only later: where it stands."""
        return self._located(Fault(path=tuple(key.split(".")), message=message, remedy=remedy))

    def _syntax(self, fault: sources.SyntaxFault) -> Problem:
        return Problem(
            file=self.source.name, line=fault.line, column=fault.column, message=fault.message, remedy=fault.remedy,
            source=self._shown.line(fault.line, fault.column),
        )  # fmt: skip

    def _located(self, fault: Fault) -> Problem:
        flag = self.flag(fault.path)
        problem = Problem(
            file=flag or self.source.name, message=without_passwords(fault.message), remedy=without_passwords(fault.remedy), key=dotted(fault.path),
            severity=fault.severity, plugin=fault.plugin,
        )  # fmt: skip
        span = None if flag is not None else self.positions.find(fault.path, fault.at)
        if span is None:
            return problem
        source = self._shown.line(span.line, span.column)
        return replace(problem, line=span.line, column=span.column, length=span.length, source=source)


def _shown(flag: str) -> str:
    """How a flag was given, as it may be seen."""
    from .redacting import all_of

    return f"--set {all_of(flag.removeprefix('--set '))}"


def opened(
    path: str | None,
    *,
    text: str | None = None,
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Document:
    """The file at `path`, or `text` in its place (`path` then names it), or nothing but defaults and flags."""
    if text is not None or path is None:
        name = path or "vyked.toml"
        source = sources.parse(text or "", name, os.path.dirname(os.path.abspath(name)))
    else:
        source = sources.read(path)
    return Document(source, overrides, os.environ if environ is None else environ)
