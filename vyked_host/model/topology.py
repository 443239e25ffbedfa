"""Who is where: generations, addresses, instances, the record that a node's one lease keeps alive, and changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .values import Value

Status = Literal["waiting", "active", "draining"]
Doubt = Literal["suspect", "down"]
"""What speaks against a node that is still known. suspect: it has been silent for a while, or its registry is new and has
not heard of it yet: called only where nothing better is left. down: its connection to the registry was lost: not called."""


class Generation(Value):
    """One life of a node. `epoch` compares for equality only; `counter` orders lives within one epoch."""

    epoch: int
    counter: int


def is_earlier(one: Generation | None, other: Generation | None) -> bool:
    """Is `one` a life of a node before `other`? Lives of two epochs can't be told apart."""
    return one is not None and other is not None and one.epoch == other.epoch and one.counter < other.counter


class Address(Value):
    """Where a node listens: ``tcp://127.0.0.1:4502``, ``unix:/run/x.sock``, ``nats:node.a1``, ``local:``."""

    transport: str
    uri: str


class Instance(Value):
    """One service at one node; its id is ``node_id/service``."""

    service: str
    version: str
    status: Status
    requires: tuple[str, ...] = ()
    digest: str = ""
    weight: float = 1.0


GUEST = "guest"
"""A label, by which a node is a foreign process that a host announces on its behalf; its value says of what kind. It serves its
services and nothing else: it can't be asked about itself."""


class NodeRecord(Value):
    """What ONE lease per running host process keeps alive."""

    node_id: str
    namespace: str
    addresses: tuple[Address, ...]
    instances: tuple[Instance, ...]
    labels: Mapping[str, str] = {}


class Change(Value):
    """A watch starts with a snapshot; a gap or a new epoch gives a new snapshot; else deltas in order. `doubts` has what
    speaks against nodes of this change; a node that is told without one is well. The snapshot of a new epoch may doubt nodes of
    the one before, which it does not have."""

    epoch: int
    revision: int
    snapshot: bool
    nodes: tuple[tuple[Generation, NodeRecord], ...]
    gone: tuple[str, ...] = ()
    doubts: Mapping[str, Doubt] = {}
