"""What nodes and the registry's desk say to each other."""

from __future__ import annotations

from ...contracts import Change, Generation, Value


class Speaker(Value):
    """Who speaks: a node in one of its lives. `life` is the same in all that one process says."""

    node_id: str
    generation: Generation
    life: int


class Answer(Value):
    """What became of it. `refused` is the reason, empty when it was taken in; `taken`: another process has this node id; `anew`:
    what was said holds for a registry that is over. `epoch` and `revision` are the registry's, `heartbeat_s` is how often it wants to hear of the node, in seconds."""

    epoch: int
    revision: int
    heartbeat_s: float
    refused: str = ""
    taken: bool = False
    anew: bool = False
    generation: Generation | None = None


class Held(Value):
    """On a node's own stream: first, that the lease stands; later, why it is over (`lost`)."""

    lost: str = ""
    taken: bool = False
    anew: bool = False


class Piece(Value):
    """A part of a change, or all of it (`last`). `since` is the revision before it: who has another one missed something."""

    change: Change
    since: int
    last: bool = True
