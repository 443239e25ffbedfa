"""The nodes that were known last, as bytes for a file: for a host that starts while no registry can be reached.

One line a record, each with a checksum of its own, over the mesh and the format too. A line that is damaged, of another mesh or of
another format is left out, so a file can lose entries but never give a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from ..model.topology import NodeRecord

FORMAT = "vyked-host last known 1"
_DIGITS = 32
_decoder = msgspec.json.Decoder(NodeRecord)


def kept(records: Iterable[NodeRecord], mesh: str) -> bytes:
    """`records` as bytes."""
    lines = (msgspec.json.encode(each) for each in records)
    return b"".join(_checksum(line, mesh) + b" " + line + b"\n" for line in lines)


def recalled(data: bytes, mesh: str) -> tuple[dict[str, NodeRecord], int]:
    """(records by node id, how many lines were refused) of what :func:`kept` made, whatever became of it since."""
    found: dict[str, NodeRecord] = {}
    refused = 0
    for line in data.split(b"\n"):
        if not line:
            continue
        record = _record(line, mesh)
        if record is None:
            refused += 1
        else:
            found[record.node_id] = record
    return found, refused


def _record(line: bytes, mesh: str) -> NodeRecord | None:
    checksum, _, text = line.partition(b" ")
    if checksum != _checksum(text, mesh):
        return None
    try:
        record = _decoder.decode(text)
    except msgspec.MsgspecError:  # a format that this release does not know
        return None
    return record if record.namespace == mesh else None


def _checksum(line: bytes, mesh: str) -> bytes:
    about = f"{FORMAT}\n{mesh}\n".encode()
    return blake2b(about + line, digest_size=_DIGITS // 2).hexdigest().encode()
