"""A table of the file -> an instance of its Struct, with every fault noted and the rest still usable.

What is at fault is left out and replaced by its default, so that one mistake does not hide the next one.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from . import faults, shape
from .document import Document
from .expectation import literal
from .findings import At
from .paths import Path, dotted
from .secrecy import HIDDEN, is_secret, without_defaults

T = TypeVar("T", bound=msgspec.Struct)


class Tables:
    """Binds the tables of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings = document.findings

    def table(self, path: Path, struct: type[T], data: Any, *, own: bool = True) -> T | None:
        """`data`, which stands at `path`, as a `struct`; None when it is so wrong that nothing can be made of it. `own`:
        one of the host's tables, where nan and inf are no numbers."""
        if not isinstance(data, dict):
            self.fault(path, f"expected a table, got {literal(data)}", f"write [{dotted(path)}]")
            return self._defaults(struct)
        data = shape.readings(struct, data, self.document.written, path)
        if own:
            data = self._finite(path, data)
        try:
            return msgspec.convert(data, struct)
        except (ValueError, OverflowError) as error:  # msgspec.ValidationError is a ValueError
            return self._faulty(path, struct, data, error)
        except TypeError as error:  # of the Struct, not of the data: msgspec can't make sense of its annotations
            what = f"{dotted(path)}: {struct.__module__}.{struct.__qualname__} is no usable Struct: {error}"
            self.findings.add(path, what, "its author has to mend it", plugin=own)
            return self._defaults(struct)

    def fault(self, path: Path, message: str, remedy: str = "", *, at: At = "value") -> None:
        """Note a fault of the value or key at `path`, with its dotted name in front."""
        self.findings.add(path, f"{dotted(path)}: {message}", remedy, at=at)

    def _finite(self, path: Path, data: dict[str, Any]) -> dict[str, Any]:
        wrong = list(faults.not_finite(data))
        for place in wrong:
            self.fault((*path, *place), "expected a finite number")
        return {key: value for key, value in data.items() if all(place[0] != key for place in wrong)}

    def _faulty(self, path: Path, struct: type[T], data: dict[str, Any], error: Exception) -> T | None:
        found = faults.of(struct, data, error)
        for fault in found:
            told = self.findings.at((*path, *fault.path))  # such as a variable that is not set: one fault is enough
            if not told and not (fault.missing and self.document.damaged):
                self.fault((*path, *fault.path), self._told(path, fault), fault.remedy, at=fault.at)
        wrong = {fault.path[0] for fault in found if fault.path}
        return self._salvaged(struct, {key: value for key, value in data.items() if key not in wrong})

    def _told(self, path: Path, fault: faults.Found) -> str:
        """The message; a secret is not shown, and a value that came from a reference as it was written: it may be one."""
        place = (*path, *fault.path)
        written, secret = self.document.written.get(place), is_secret(place)
        before, got, _ = fault.message.rpartition(", got ")
        if not got:
            return fault.message
        if written:
            text = without_defaults(written.text) if secret else written.text
            return f"{before}, got {literal(text)} (what it stands for does not fit)"
        return f"{before}, got {HIDDEN}" if secret else fault.message

    def _salvaged(self, struct: type[T], data: dict[str, Any]) -> T | None:
        try:
            return msgspec.convert(data, struct)
        except (ValueError, OverflowError):
            return self._defaults(struct)

    def _defaults(self, struct: type[T]) -> T | None:
        try:
            return struct()
        except (TypeError, ValueError):  # it has keys that must be given
            return None
