"""`vyked.utils.log`: decorators that log calls, `setup_logging`, and the formatters that ``config_log.json`` may name."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any

from vyked_host import log as _log

log, logx, setup_logging = _log.log, _log.logx, _log.setup_logging
CONFIG_FILE = _log.CONFIG_FILE
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class CustomTimeLoggingFormatter(logging.Formatter):
    """Times with microseconds."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """The time of `record`."""
        at = datetime.datetime.fromtimestamp(record.created)
        return at.strftime(datefmt) if datefmt else at.isoformat(sep=" ", timespec="microseconds")


class CustomJsonFormatter(logging.Formatter):
    """One JSON object a line: what was logged, where a dict was logged its fields, and `extrad`."""

    def __init__(self, *args: Any, extrad: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._extra = dict(extrad or {})

    def format(self, record: logging.LogRecord) -> str:
        """`record` as a line."""
        said = dict(record.msg) if isinstance(record.msg, dict) else {"message": record.getMessage()}
        more = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            more["exc_info"] = self.formatException(record.exc_info)
        return json.dumps({**said, **more, **self._extra}, default=str)
