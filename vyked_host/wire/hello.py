"""What the two ends tell each other about themselves: HELLO, CHALLENGE, PROOF, WELCOME, REJECT, SURFACE, GOAWAY, all JSON.

Fields that a reader does not know are skipped, so that later versions can say more. `versions` is the one field of a
HELLO that no later version may change: it is read alone, before the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..errors import LocalProtocolError, RemoteProtocolError
from ..model.description import Surface
from ..model.settings import LimitsTable
from ..model.topology import Generation
from .control import reader
from .packets import LARGEST, PROTOCOL_VERSION
from .proof import NONCE_BYTES, read_hex
from .table import Entry, table

TABLE_BYTES = 1 << 20
"""WELCOME and SURFACE carry the endpoint table, which may be larger than a client lets its messages be."""

CALLERS_BYTES = 4 << 10
"""Callers beyond this many bytes are not listed in the HELLO: their names travel in the meta block of each request."""

UNPROVABLE = "this mesh has a secret, and the client has none: set [security] secret alike in both"
UNWANTED = "the client has a mesh secret, and this host has none: set [security] secret alike in both"
DISPROVEN = "the client's mesh secret is another one than this host's: set [security] secret alike in both"

Reason = Literal["version", "mesh", "serializer", "busy", "draining", "secret", "identity"]


class WireLimits(msgspec.Struct, frozen=True):
    """What one end accepts: bytes of one payload, and calls in flight on this connection (None: no limit of its own)."""

    message: Annotated[int, Meta(ge=1, le=LARGEST)] = 1 << 20
    in_flight: int | None = None


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The client's first words. `callers[i - 1]` is what the header's caller index i means; `serializers` in order of
    preference; `identity` is for an authenticator; `generation` is (epoch, counter); `nonce`, 32 bytes in hexadecimal, says
    that the client can prove the mesh secret, and wants the server to."""

    versions: tuple[int, ...]
    mesh: str
    node: str
    serializers: tuple[str, ...]
    limits: WireLimits = WireLimits()
    callers: Annotated[tuple[str, ...], Meta(max_length=0xFFFF)] = ()
    identity: dict[str, str] = {}
    generation: tuple[int, int] | None = None
    nonce: str = ""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The server wants proof of the mesh secret first: its part of the chance in it, and who it is."""

    node: str
    nonce: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The client's proof, in hexadecimal."""

    proof: str


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The server's answer: what was chosen, who it is, and what can be called by which index; `proof`, where the client
    had to give one, is the server's own."""

    version: int
    mesh: str
    node: str
    serializer: str
    limits: WireLimits
    revision: int
    endpoints: tuple[Entry, ...]
    generation: tuple[int, int] | None = None
    proof: str = ""


class Reject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why the server will not talk: `reason` for programs, `message` for people, and what it would have taken."""

    reason: str
    message: str
    mesh: str = ""
    versions: tuple[int, ...] = ()
    serializers: tuple[str, ...] = ()


class NewSurface(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint table has changed; this is the whole of it."""

    revision: int
    endpoints: tuple[Entry, ...]


class Goaway(msgspec.Struct, frozen=True, kw_only=True):
    """This connection ends. `code` "draining": what runs goes on; "protocol_error": it is cut now."""

    code: str
    message: str


class _Versions(msgspec.Struct):
    versions: tuple[int, ...]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What a server compares a HELLO with, and tells about itself. `sealed`: its mesh has a secret."""

    mesh: str
    node: str
    serializers: tuple[str, ...]
    limits: WireLimits
    generation: tuple[int, int] | None = None
    sealed: bool = False

    def judge(self, hello: Hello) -> str | Reject:
        """The serializer to use - the first that the client offers and this host has - or why the client is refused."""
        if PROTOCOL_VERSION not in hello.versions:
            said = f"this host speaks version {PROTOCOL_VERSION} of the protocol, the client {_list(hello.versions)}"
            return self.reject("version", said)
        if hello.mesh != self.mesh:
            said = f"this host is of mesh {self.mesh!r}, the client of {hello.mesh!r}: set [host] mesh alike in both"
            return self.reject("mesh", said)
        if self.sealed != bool(hello.nonce):
            return self.reject("secret", UNPROVABLE if self.sealed else UNWANTED)
        if self.sealed and not read_hex(hello.nonce, NONCE_BYTES):
            return self.reject("secret", f"the nonce of a HELLO is {NONCE_BYTES} bytes in hexadecimal")
        for serializer in hello.serializers:
            if serializer in self.serializers:
                return serializer
        said = f"no common serializer: this host has {_list(self.serializers)}, the client {_list(hello.serializers)}"
        return self.reject("serializer", said)

    def reject(self, reason: Reason, message: str) -> Reject:
        """A REJECT that names what this host would have taken."""
        return Reject(
            reason=reason, message=message, mesh=self.mesh, versions=(PROTOCOL_VERSION,), serializers=self.serializers
        )

    def welcome(self, serializer: str, surface: Surface, proof: bytes = b"") -> Welcome:
        """The WELCOME with the endpoint table of `surface`."""
        return Welcome(
            version=PROTOCOL_VERSION, mesh=self.mesh, node=self.node, serializer=serializer, limits=self.limits,
            revision=surface.revision, endpoints=table(surface), generation=self.generation,
            proof=proof.hex(),
        )  # fmt: skip


def _list(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "none"


def cap(limit: int | Literal["none"]) -> int:
    """A size of `[limits]` in bytes; "none" is all that a header can say."""
    return LARGEST if limit == "none" else min(limit, LARGEST)


def wire_limits(limits: LimitsTable) -> WireLimits:
    """What `[limits]` lets a peer send."""
    in_flight = None if limits.in_flight_per_connection == "none" else limits.in_flight_per_connection
    return WireLimits(message=cap(limits.message), in_flight=in_flight)


def pair(generation: Generation | None) -> tuple[int, int] | None:
    """A generation as it stands in a hello: (epoch, counter)."""
    return None if generation is None else (generation.epoch, generation.counter)


def listed(callers: Sequence[str]) -> tuple[str, ...]:
    """As many of `callers` as a HELLO may carry."""
    found: list[str] = []
    room = CALLERS_BYTES
    for caller in callers:
        room -= len(caller.encode()) + 3
        if room < 0:
            break
        found.append(caller)
    return tuple(found)


def bounded(payload: bytes) -> bytes:
    """An encoded endpoint table. Raises LocalProtocolError when no client takes it."""
    if len(payload) > TABLE_BYTES:
        raise LocalProtocolError(
            f"an endpoint table of {len(payload)} bytes: {TABLE_BYTES} are the most a client takes"
        )
    return payload


_versions = reader("HELLO", _Versions)
_hello = reader("HELLO", Hello)
_welcome = reader("WELCOME", Welcome)
read_challenge = reader("CHALLENGE", Challenge)
read_proof = reader("PROOF", Proof)
read_reject = reader("REJECT", Reject)
read_surface = reader("SURFACE", NewSurface)
read_goaway = reader("GOAWAY", Goaway)


def read_hello(payload: bytes) -> Hello:
    """A HELLO. One of a version that is not spoken here keeps only its versions. Raises RemoteProtocolError."""
    versions = _versions(payload).versions
    if PROTOCOL_VERSION not in versions:
        return Hello(versions=versions, mesh="", node="", serializers=())
    return _hello(payload)


def read_welcome(payload: bytes) -> Welcome:
    """A WELCOME. Raises RemoteProtocolError, also when it chose a version that was not offered."""
    found = _welcome(payload)
    if found.version != PROTOCOL_VERSION:
        raise RemoteProtocolError(f"the server chose version {found.version}, offered was {PROTOCOL_VERSION}")
    return found
