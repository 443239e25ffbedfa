"""``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}``, ``${file:PATH}`` in the strings of a file; ``$${`` is a literal ``${``.

It happens after TOML has been read and in values only, so nothing that comes in can add a key. What was written stays
known: `config show` prints that instead of a secret.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

from .findings import Findings
from .paths import Path

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}|\Z)")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?\Z", re.DOTALL)
_MOST_BYTES = 1 << 20
_FORMS = "the forms are ${VAR}, ${VAR:-default}, ${VAR:?message}, ${file:PATH}; a literal is $${"


class Written(NamedTuple):
    """A string with references, as written, and where its parts came from: ("env", "ZONE"), ("file", path) or ("default",
    "ZONE") when the variable is not set."""

    text: str
    sources: tuple[tuple[str, str], ...]


class Interpolation:
    """One pass over one document."""

    def __init__(self, environ: Mapping[str, str], folder: str, findings: Findings) -> None:
        self._environ, self._folder, self._findings = environ, folder, findings
        self.written: dict[Path, Written] = {}

    def apply(self, value: Any, path: Path = ()) -> Any:
        """`value` with every reference in its strings replaced; faults go to the findings."""
        if isinstance(value, dict):
            return {key: self.apply(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.apply(inner, (*path, index)) for index, inner in enumerate(value)]
        return self._string(value, path) if isinstance(value, str) and "${" in value else value

    def _string(self, text: str, path: Path) -> str:
        sources: list[tuple[str, str]] = []

        def replaced(match: re.Match[str]) -> str:
            return "${" if match[1] is None else self._reference(match, path, sources)

        found = _REFERENCE.sub(replaced, text)
        self.written[path] = Written(text, tuple(sources))
        return found

    def _reference(self, match: re.Match[str], path: Path, sources: list[tuple[str, str]]) -> str:
        inner: str = match[1]
        if not match[2]:
            self._findings.add(path, f'"{match[0]}" has no closing brace', _FORMS)
            return match[0]
        if inner.startswith("file:"):
            sources.append(("file", inner[5:]))
            return self._file(inner[5:], path)
        parsed = _VARIABLE.match(inner)
        if parsed is None or "${" in inner:
            self._findings.add(path, f'"{match[0]}" is no reference', _FORMS)
            return match[0]
        return self._variable(parsed, path, sources)

    def _variable(self, parsed: re.Match[str], path: Path, sources: list[tuple[str, str]]) -> str:
        name, operator, rest = parsed.groups()
        found = self._environ.get(name)
        if found or (found is not None and operator is None):
            sources.append(("env", name))
            return found
        if operator == ":-":
            sources.append(("default", name))
            return str(rest)
        why = f": {rest}" if operator == ":?" and rest else ""
        state = "is not set" if found is None else "is empty"
        default = "" if operator else " and has no default"
        remedy = f"set it, or write ${{{name}:-default}}" if not why else ""
        self._findings.add(path, f"${{{name}}} {state}{default}{why}", remedy)
        return ""

    def _file(self, name: str, path: Path) -> str:
        full = os.path.join(self._folder, os.path.expanduser(name))
        try:
            with open(full, encoding="utf-8") as file:
                text = file.read(_MOST_BYTES + 1)
                self._warn_of_readers(os.fstat(file.fileno()).st_mode, name, path)
        except UnicodeDecodeError:
            why = "is no UTF-8 text"
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = f"can't be read: {getattr(error, 'strerror', None) or error}"
        else:
            if len(text) <= _MOST_BYTES:
                return text.removesuffix("\n").removesuffix("\r")
            why = "is over 1 MiB"
        self._findings.add(path, f'the file "{name}" {why}', "paths start at the folder of vyked.toml")
        return ""

    def _warn_of_readers(self, mode: int, name: str, path: Path) -> None:
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            remedy = f"if it is a secret: chmod o-r {name}"
            self._findings.add(
                path, f'every user of this machine can read the file "{name}"', remedy, severity="warning"
            )
