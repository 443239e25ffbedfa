"""Logging of a host: words on a terminal, JSON lines off it, each line once (Vyked 2.x printed each twice: defect 39)."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from ..model.settings import LoggingTable

LINE_BYTES = 8 << 10
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STEERING = "\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"  # C1, line ends and writing directions of Unicode, halves of pairs
_FOR_PEOPLE = re.compile(f"[\x00-\x08\x0b-\x1f{_STEERING}]")
_FOR_PROGRAMS = re.compile(f"[{_STEERING}]")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what `extra=` brought."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, cut at 8 KiB."""
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:LINE_BYTES],
            **_extras(record),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)[-LINE_BYTES:]
        line = json.dumps(found, default=repr, ensure_ascii=False)
        return _FOR_PROGRAMS.sub(lambda each: f"\\u{ord(each[0]):04x}", line)  # as JSON itself writes the others


class Pretty(logging.Formatter):
    """For people: time, level, service, message. What peers said can't steer the terminal, control characters are escaped, and
    can't forge a line: those that follow the first are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        name = record.name.removeprefix("vyked.")
        text = f"{time} {record.levelname:<7} {name:<12} {record.getMessage()[:LINE_BYTES]}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return _FOR_PEOPLE.sub(_escaped, text).replace("\n", "\n  ")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _extras(record: logging.LogRecord) -> Mapping[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def set_up(table: LoggingTable, stream: TextIO | None = None) -> None:
    """Send every logger to stderr once, in the format of the table."""
    target = stream or sys.stderr
    pretty = table.format == "pretty" or (table.format == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(Pretty() if pretty else JsonLines())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(table.level.upper())
    for name, level in table.levels.items():
        logging.getLogger(name).setLevel(level.upper())
