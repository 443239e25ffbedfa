"""What a registry knows, what can happen to it, and what it asks its holder to do.

`State` is immutable: every step makes a new one, so a state can be kept, compared and replayed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..model.topology import Change, Generation, NodeRecord
from ..model.values import Value

LEASE_S = 15.0
"""Seconds a lease lives after its last accepted sign of life."""


class Entry(Value):
    """A node, its life, and when its lease ends (monotonic seconds of the registry)."""

    generation: Generation
    record: NodeRecord
    expires_at: float


class State(Value):
    """Everything a registry knows of one mesh. `epoch` is drawn anew whenever a registry starts empty; `revision` counts
    what watchers were told; `counter` is the last generation given out and never goes back; `swept_at` is the time of
    the last sweep."""

    namespace: str
    epoch: int
    revision: int = 0
    counter: int = 0
    swept_at: float = 0.0
    lease_s: float = LEASE_S
    entries: Mapping[str, Entry] = {}


# ---- what happens ----------------------------------------------------------------------------------------------------
class Announced(Value):
    """A node wants to be known: its first word, or a new life."""

    record: NodeRecord


class Renewed(Value):
    """A sign of life."""

    node_id: str
    generation: Generation


class Updated(Value):
    """What a node says of itself changed; a sign of life too."""

    generation: Generation
    record: NodeRecord


class Withdrawn(Value):
    """A node leaves."""

    node_id: str
    generation: Generation


class Swept(Value):
    """Time has passed: look for leases that have ended. `interval` is the time between two sweeps, in seconds."""

    interval: float


Step = Announced | Renewed | Updated | Withdrawn | Swept


# ---- what is to be done ----------------------------------------------------------------------------------------------
class Granted(Value):
    """Tell the node: this is your generation, and your lease ends then."""

    node_id: str
    generation: Generation
    expires_at: float


class Refused(Value):
    """Tell the node: no, for this reason. With an older generation it has to announce itself again."""

    node_id: str
    reason: str


class Lost(Value):
    """Tell the holder of this generation, if it can be told: its lease is over."""

    node_id: str
    generation: Generation
    reason: str


class Told(Value):
    """Tell every watcher."""

    change: Change


Effect = Granted | Refused | Lost | Told
