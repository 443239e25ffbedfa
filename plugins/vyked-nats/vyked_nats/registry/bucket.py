"""The bucket of a mesh: a key-value bucket of JetStream as any other
(https://docs.nats.io/reference/nats-protocol/nats_protocol/key-value), called PREFIX_MESH_nodes. Its keys:

life.NODE             who speaks for the node, and each heartbeat anew: its revision is the sequence of heartbeats
record.NODE.TOKEN     what that life says of the node
down.NODE             the connection of that life to the servers was lost
era                   which registry it is, of those that the bucket has been

A bucket that lost its end, as after a power failure or from a copy, gives its revisions again, and lives with them: it is another registry
from then on. Who notices that it does not reach as far any more as it did writes a new era; where one is written everybody begins anew.

A key is written on condition that nobody wrote it since (its revision), wherever an older life must not undo what a newer one said.
Letters that a key must not have stand as =XX, hexadecimal.
"""

from __future__ import annotations

import base64
import re
from logging import Logger
from random import Random
from typing import Any

import msgspec

from vyked_host.contracts import Unfit

from ..jetstream.api import NO_MESSAGE, NO_STREAM, STREAM_IN_USE, Api, Refused

TABLE = "registry.nats"
WRONG_REVISION = 10071
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
ERA = "era"
OPERATION, DELETED = "KV-Operation", "DEL"
PLAIN = re.compile(r"[A-Za-z0-9_-]")


class Life(msgspec.Struct, array_like=True, frozen=True):
    """Who speaks for a node: `life` is the same for all announcements of one process, `token` of one alone. `counter` is the
    revision that the announcement got; 0: this is the announcement."""

    v: int
    life: int
    token: str
    counter: int


class Key(msgspec.Struct, frozen=True):
    """What a key is about. `token` only of records."""

    kind: str
    node_id: str
    token: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Life).decode


def packed(life: Life) -> bytes:
    """As it is kept."""
    return _encode(life)


def life_in(value: bytes) -> Life:
    """Raises ValueError where it is none."""
    found = _decode(value)
    if found.v != 1:
        raise ValueError(f"a life of version {found.v}; this host reads 1")
    return found


def written(node_id: str) -> str:
    """A node id as a part of a key."""
    return "".join(each if PLAIN.match(each) else "".join(f"={byte:02X}" for byte in each.encode()) for each in node_id)


def read(part: str) -> str:
    """And back. Raises ValueError."""
    pieces = part.split("=")
    return b"".join(
        [pieces[0].encode(), *(bytes.fromhex(each[:2]) + each[2:].encode() for each in pieces[1:])]
    ).decode()


class Bucket:
    """Raises what Api raises. `epoch` tells one registry from the next, once it was looked at."""

    def __init__(self, api: Api, name: str, replicas: int, rng: Random, log: Logger) -> None:
        self._api, self.name, self.stream, self._replicas = api, name, f"KV_{name}", replicas
        self._rng, self._log = rng, log
        self.root = f"$KV.{name}."
        self.epoch = self.last = self._reached = 0
        self._created = ""
        self._is_made = False

    def reaches(self, revision: int) -> None:
        """It has come so far."""
        self._reached = max(self._reached, revision)

    def forget(self) -> None:
        """It has to be looked at again."""
        self._is_made = False

    async def make(self) -> None:
        """It is there. Raises Unfit where it is not as it has to be."""
        if not self._is_made:
            await self.look()

    async def look(self) -> None:
        """See how far it has come, and whether it is still the one that it was."""
        reached = self._reached  # before it is asked: it may come further meanwhile
        try:
            found = await self._api.ask(f"STREAM.INFO.{self.stream}")
        except Refused as error:
            if error.number != NO_STREAM:
                raise
            found = await self._made()
        config = found["config"]
        if config.get("max_msgs_per_subject") != 1 or config.get("max_age"):
            raise Unfit(
                f"the registry 'nats' can't be used: bucket {self.name} keeps values {config.get('max_msgs_per_subject')} times "
                f"or lets them expire (max_age {config.get('max_age')})",
                key=f"{TABLE}.url", remedy=f"nats kv rm {self.name}",
            )  # fmt: skip
        is_same, self._created = str(found["created"]) == self._created, str(found["created"])
        self.last = int(found["state"]["last_seq"])
        era = await self._era()
        if is_same and self.last < reached and self.epoch_of(era[0]) == self.epoch:
            era = await self._next_era(era[1], reached)
        if self.epoch_of(era[0]) != self.epoch:
            self.epoch, self._reached = self.epoch_of(era[0]), 0
        self.reaches(self.last)
        self._is_made = True

    def epoch_of(self, era: str) -> int:
        """Of the bucket since it was made, in nanoseconds, for another one of that name is another registry; and of its era."""
        return int.from_bytes(f"{self._created}{era}".encode()) % ((1 << 61) - 1)

    async def _era(self) -> tuple[str, int]:
        """The era, and its revision."""
        found = await self._last(ERA)
        return ("", 0) if found is None else (found[1].decode(errors="replace"), found[0])

    async def _next_era(self, revision: int, reached: int) -> tuple[str, int]:
        self._log.error(
            "the registry has lost its end: bucket %s reaches to revision %d, and had reached %d, as after a power failure of a server "
            "without sync_interval: always, or from a copy (docs/nats.md, registry). Everybody announces itself again",
            self.name, self.last, reached,
        )  # fmt: skip
        try:
            await self.put(ERA, f"{self._rng.getrandbits(62):x}".encode(), revision)
        except Refused as error:
            if error.number != WRONG_REVISION:
                raise
        return await self._era()  # somebody else may have been faster

    async def _made(self) -> Any:
        wanted = {
            "name": self.stream, "subjects": [f"{self.root}>"], "retention": "limits", "discard": "new", "storage": "file",
            "max_msgs_per_subject": 1, "num_replicas": self._replicas, "allow_rollup_hdrs": True, "deny_delete": True,
            "allow_direct": True,
        }  # fmt: skip
        try:
            return await self._api.ask(f"STREAM.CREATE.{self.stream}", wanted)
        except Refused as error:
            if error.number != STREAM_IN_USE:
                raise
            return await self._api.ask(f"STREAM.INFO.{self.stream}")  # somebody else was faster

    # ---- keys ------------------------------------------------------------------------------------------------------------
    def key_of(self, subject: str) -> Key | None:
        """Of a message; None: it is none of ours."""
        kind, *parts = subject.removeprefix(self.root).split(".")
        if kind not in ("life", "record", "down") or len(parts) != (2 if kind == "record" else 1):
            return None
        try:
            return Key(kind, read(parts[0]), *parts[1:])
        except ValueError:
            return None

    async def put(self, key: str, value: bytes, expected: int | None = None) -> int:
        """Write it; its revision. `expected`: only if that is the last one. Raises Refused with WRONG_REVISION where it is not."""
        headers = None if expected is None else {EXPECTED: str(expected)}
        found = await self._api.publish(f"{self.root}{key}", value, headers)
        self.reaches(int(found["seq"]))
        return int(found["seq"])

    async def delete(self, key: str, expected: int) -> int:
        """Take it away if `expected` is its last revision; the revision of that."""
        headers = {EXPECTED: str(expected), OPERATION: DELETED}
        found = await self._api.publish(f"{self.root}{key}", b"", headers)
        return int(found["seq"])

    async def purge(self, keys: str, before: int | None = None) -> None:
        """Nothing of it is left, and nobody is told; of `before` only what is older than that revision."""
        body: dict[str, Any] = {"filter": f"{self.root}{keys}"}
        if before is not None:
            body["seq"] = before
        await self._api.ask(f"STREAM.PURGE.{self.stream}", body)

    async def life(self, node_id: str) -> tuple[int, Life] | None:
        """Who speaks for a node now, and the revision; None: nobody."""
        found = await self._last(f"life.{written(node_id)}")
        return (found[0], life_in(found[1])) if found is not None and found[1] else None

    async def _last(self, key: str) -> tuple[int, bytes] | None:
        """The last revision of a key, and its value."""
        try:
            body = {"last_by_subj": f"{self.root}{key}"}
            found = (await self._api.ask(f"STREAM.MSG.GET.{self.stream}", body))["message"]
        except Refused as error:
            if error.number != NO_MESSAGE:
                raise
            return None
        return int(found["seq"]), base64.b64decode(found.get("data") or "")
