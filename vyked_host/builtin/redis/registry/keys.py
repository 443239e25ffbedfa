"""Names of keys and channels. The mesh is a hash tag, so that in a cluster all of them are in one slot and a script may touch them:

vyked:{MESH}:registry:state    hash: epoch, revision, tag, counter of generations, counter of beats, ...
...:lives, ...:records         hashes: node -> "COUNTER LIFE", node -> its record (msgpack)
...:beats                      sorted set: node -> the count of all beats when it last gave one
...:changed, ...:gone          sorted sets: node -> the revision that told of it last, while it is there and afterwards
...:tags                       hash: the last thousand revisions -> the tag that their writer drew
...:links, ...:down            hashes: node -> the life and the run of the server in which it was seen connected; nodes cut off since
...:changes                    channel: a revision, whenever there is a new one
...:link:NODE:COUNTER          channel that a node listens to for as long as it is connected; nothing is said there
"""

from __future__ import annotations

from ....contracts import Value

PARTS = ("state", "lives", "records", "beats", "changed", "gone", "tags", "links", "down")
"""In the order in which scripts get them."""


class Keys(Value):
    """The names of one mesh."""

    all: tuple[str, ...]
    changes: str
    link: str


def of_mesh(prefix: str, mesh: str) -> Keys:
    """The names of `mesh`; `link` is the beginning of those of channels."""
    base = f"{prefix}:{{{mesh}}}:registry"
    return Keys(all=tuple(f"{base}:{part}" for part in PARTS), changes=f"{base}:changes", link=f"{base}:link:")
