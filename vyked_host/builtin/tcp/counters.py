"""What happened on the connections of one transport, in plain integers: read at scrape time, never locked."""

from __future__ import annotations


class Counters:
    """Counts since the start of the process."""

    __slots__ = (
        "connections_refused", "cut_for_silence", "cut_for_slowness", "dialled", "hello_timeouts", "late_answers",
        "protocol_errors", "rejected",
    )  # fmt: skip

    def __init__(self) -> None:
        self.dialled = self.connections_refused = self.rejected = self.hello_timeouts = 0
        self.protocol_errors = self.late_answers = self.cut_for_slowness = self.cut_for_silence = 0

    def report(self) -> dict[str, int]:
        """All of them, by name."""
        return {name: getattr(self, name) for name in self.__slots__}
