"""What a loop that has to go on met and did not expect."""

from __future__ import annotations

import logging


class Mishaps:
    """Of one loop. Each kind is logged once with its traceback; all are counted, and told again at each power of ten."""

    def __init__(self, log: logging.Logger, loop: str) -> None:
        self._log, self._loop = log, loop
        self._kinds: set[tuple[str, str, int]] = set()
        self.count = 0

    def met(self, error: Exception) -> None:
        """The loop goes on after `error`."""
        self.count += 1
        kind = _kind(error)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._log.error("%s failed and goes on", self._loop, exc_info=error)
        elif f"{self.count}".strip("0") == "1":
            self._log.error("%s failed %d times by now and goes on: %r", self._loop, self.count, error)


def _kind(error: Exception) -> tuple[str, str, int]:
    """Its type and where it was raised: as many kinds as the program has places."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__qualname__, "", 0
    return type(error).__qualname__, trace.tb_frame.f_code.co_filename, trace.tb_lineno
