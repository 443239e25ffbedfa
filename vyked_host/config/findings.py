"""Where faults are gathered while a file is read: every fault has a path, and gets its line and column only at the end,
because positions cost an import that a healthy file should not pay for."""

from __future__ import annotations

from typing import Literal

from ..model.values import Value
from .paths import Path
from .problems import Severity

At = Literal["value", "key"]


class Fault(Value):
    """A problem that still has a path instead of a place. `at`: point at the value or at its key."""

    path: Path
    message: str
    remedy: str = ""
    at: At = "value"
    severity: Severity = "error"
    plugin: bool = False


class Findings:
    """Collects faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(
        self, path: Path, message: str, remedy: str = "", *, at: At = "value", severity: Severity = "error",
        plugin: bool = False,
    ) -> None:  # fmt: skip
        """Note a fault at `path`; the same one twice is one."""
        fault = Fault(path=path, message=message, remedy=remedy, at=at, severity=severity, plugin=plugin)
        if fault not in self.faults:
            self.faults.append(fault)

    def at(self, path: Path) -> bool:
        """Is exactly what stands at `path` at fault already?"""
        return any(fault.path == path and fault.severity == "error" for fault in self.faults)

    def touches(self, path: Path) -> bool:
        """Is something at `path` or below it at fault already?"""
        return any(fault.path[: len(path)] == path for fault in self.faults)
