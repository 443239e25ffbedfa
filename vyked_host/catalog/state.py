"""What a registry knows, what can happen to it, and what it asks its holder to do.

`State` is immutable: every step makes a new one, so a state can be kept, compared and replayed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..model.topology import Change, Doubt, Generation, NodeRecord
from ..model.values import Value


class Rules(Value):
    """The times of a registry, in seconds (``[timing]``; the numbers: docs/semantics.md, the registry)."""

    heartbeat_s: float = 5.0
    lease_s: float = 15.0
    gone_after_s: float = 5.0
    sweep_s: float = 1.0


class Entry(Value):
    """A node that is known, and the evidence of its life: `seen_at` is the last accepted sign of it, `down_at` when its
    connection was lost (monotonic seconds of the registry). `life` tells processes apart that use one node id."""

    generation: Generation
    record: NodeRecord
    seen_at: float
    down_at: float | None = None
    life: int = 0


class Shown(Value):
    """What watchers were told of a node last."""

    generation: Generation
    record: NodeRecord
    doubt: Doubt | None = None


class History(Value):
    """When a node went away lately (`flaps`), and from when on its coming back may be told (`free_at`)."""

    flaps: tuple[float, ...] = ()
    free_at: float = 0.0


class State(Value):
    """Everything a registry knows of one mesh.

    `epoch` is drawn anew whenever a registry starts empty; `revision` counts what watchers were told; `counter` is the last
    generation given out and never goes back; `fenced` counts refused messages of lives that are over. `swept_at` is the
    time of the last sweep, before `held_until` nobody is removed. `silenced` has the times of removals for silence within
    the last lease; `preserving`: so many are silent that the fault is taken to lie here.
    """

    namespace: str
    epoch: int
    rules: Rules = Rules()
    revision: int = 0
    counter: int = 0
    fenced: int = 0
    swept_at: float = 0.0
    held_until: float = 0.0
    blind_until: float = 0.0
    silenced: tuple[float, ...] = ()
    preserving: bool = False
    entries: Mapping[str, Entry] = {}
    shown: Mapping[str, Shown] = {}
    histories: Mapping[str, History] = {}


# ---- what happens ----------------------------------------------------------------------------------------------------
class Announced(Value):
    """A node wants to be known: its first word, or a new life. `life`: the same for all announcements of one process."""

    record: NodeRecord
    life: int = 0


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


class Disconnected(Value):
    """The last connection that a node held to the registry ended, without a withdrawal."""

    node_id: str
    generation: Generation


class Swept(Value):
    """Time has passed: look for who is silent or gone. `interval` is the time between two sweeps, in seconds; `chance`, in
    [0, 1), decides who is removed first where not all may be."""

    interval: float
    chance: float = 0.0


Step = Announced | Renewed | Updated | Withdrawn | Disconnected | Swept


# ---- what is to be done ----------------------------------------------------------------------------------------------
class Granted(Value):
    """Tell the node: this is your generation."""

    node_id: str
    generation: Generation


class Refused(Value):
    """Tell the node: no, for this reason. With an older generation it has to announce itself again."""

    node_id: str
    reason: str


class Lost(Value):
    """Tell the holder of this generation, if it can be told: its lease is over. `taken`: another process announced the same
    node id, so announcing again would start a fight."""

    node_id: str
    generation: Generation
    reason: str
    taken: bool = False


class Told(Value):
    """Tell every watcher."""

    change: Change


Effect = Granted | Refused | Lost | Told
