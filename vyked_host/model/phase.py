"""The life of a host: phases and the only legal steps between them."""

from __future__ import annotations

from enum import Enum

from ..errors import LocalProtocolError


class Phase(Enum):
    """Where a host is in its life."""

    NEW = "new"
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"


STEPS: dict[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset({Phase.STARTING, Phase.STOPPED}),
    Phase.STARTING: frozenset({Phase.SERVING, Phase.STOPPING}),
    Phase.SERVING: frozenset({Phase.DRAINING, Phase.STOPPING}),
    Phase.DRAINING: frozenset({Phase.STOPPING}),
    Phase.STOPPING: frozenset({Phase.STOPPED}),
    Phase.STOPPED: frozenset(),
}
"""Phase -> the phases that may follow."""


def step(old: Phase, new: Phase) -> Phase:
    """`new`, if it may follow `old`; raises LocalProtocolError else."""
    if new not in STEPS[old]:
        raise LocalProtocolError(f"a host that is {old.value} can't become {new.value}")
    return new
