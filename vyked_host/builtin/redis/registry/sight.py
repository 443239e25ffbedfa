"""What a look at the server shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ....contracts import NodeRecord, Value

_records = msgspec.msgpack.Decoder(NodeRecord)


class There(Value):
    """A node as it stands in the server. `down`: its connection to the server was lost."""

    counter: int
    life: int
    record: NodeRecord
    down: bool


class Sight(Value):
    """One look. `revision` and `tag` say up to where it reaches, `beats` counts those of all nodes so far, `removed` the removals for
    silence, `looks` the looks at connections. `whole`: `nodes` are all there are, else what changed; `silent` has nodes that gave no
    beat since the one asked for, and their last; `unread`: what could not be understood, and why."""

    epoch: int
    revision: int
    tag: str
    beats: int
    removed: int
    looks: str
    whole: bool
    nodes: tuple[There, ...]
    gone: tuple[str, ...]
    silent: tuple[tuple[str, int], ...]
    unread: tuple[str, ...] = ()


def sight(reply: Any) -> Sight:
    """A reply to the script LOOK. Raises ValueError where it is none."""
    try:
        epoch, revision, tag, beats, removed, looks, whole, nodes, gone, silent = reply
        there, unread = _nodes(nodes)
        return Sight(
            epoch=int(epoch), revision=revision, tag=tag.decode(), beats=beats, removed=removed, looks=looks.decode(),
            whole=bool(whole), nodes=tuple(there), gone=tuple(each.decode() for each in gone),
            silent=tuple((silent[at].decode(), int(float(silent[at + 1]))) for at in range(0, len(silent), 2)),
            unread=tuple(unread),
        )  # fmt: skip
    except (TypeError, AttributeError) as error:
        raise ValueError(f"the registry's keys hold something else: {error}") from error


def _nodes(packed: bytes) -> tuple[list[There], list[str]]:
    there: list[There] = []
    unread: list[str] = []
    fields = _fields(packed)
    for node_id, life, record, down in zip(fields, fields, fields, fields, strict=True):
        try:
            counter, own = (int(each) for each in life.split())
            found = _records.decode(record)
        except ValueError as error:
            unread.append(f"node {node_id!r}: {error}")
            continue
        if found.node_id != node_id.decode(errors="replace"):
            unread.append(f"node {node_id!r}: it is the record of {found.node_id!r}")
        else:
            there.append(There(counter=counter, life=own, record=found, down=down == b"1"))
    return there, unread


def _fields(packed: bytes) -> Iterator[bytes]:
    """``LENGTH:BYTES``, one behind the other. Raises ValueError."""
    at = 0
    while at < len(packed):
        begin = packed.index(b":", at) + 1
        at = begin + int(packed[at : begin - 1])
        yield packed[begin:at]
