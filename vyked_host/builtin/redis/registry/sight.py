"""What a look at the server shows."""

from __future__ import annotations

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


def _nodes(flat: list[Any]) -> tuple[list[There], list[str]]:
    there: list[There] = []
    unread: list[str] = []
    for at in range(0, len(flat), 4):
        node_id, life, packed, down = flat[at : at + 4]
        try:
            counter, own = (int(each) for each in life.split())
            record = _records.decode(packed)
        except (ValueError, TypeError, AttributeError) as error:
            unread.append(f"node {node_id!r}: {error}")
            continue
        if record.node_id != node_id.decode():
            unread.append(f"node {node_id!r}: it is the record of {record.node_id!r}")
        else:
            there.append(There(counter=counter, life=own, record=record, down=bool(down)))
    return there, unread
