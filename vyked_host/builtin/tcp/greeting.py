"""How the client end of a connection introduces itself: HELLO, the proof of the mesh secret where there is one, WELCOME."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from ...contracts import Environment, Generation, Surface
from ...contracts.trust import binding, is_secure
from ...errors import PermissionDenied, RemoteProtocolError, Unauthenticated, Unavailable, VykedError
from ...wire.alerts import in_words
from ...wire.hello import Hello, Reject, Welcome, listed, pair, wire_limits
from ...wire.packets import PROTOCOL_VERSION, Packet, Role
from ...wire.proof import CLIENT, NONCE_BYTES, PROOF_BYTES, SERVER, Seal, read_hex
from ...wire.table import surface
from .counters import Counters
from .link import Link
from .refusals import refused
from .shapes import shapes

UNPROVEN = "it does not know the secret of this mesh: set [security] secret alike in both"

NEVER_ANSWERED = "was closed before the hello was answered; if TLS is spoken there, set [security.tls] here too"
CLOSED_AFTER_HANDSHAKE = (
    "closed the connection right after the TLS handshake: certificate refused, unless it is stopping (TLS 1.3 tells no more; "
    "[security.tls] cert has to come from its ca, and to be valid)"
)


class GreetingLink(Link):
    """A connection that this host opened, until it is open. `opened` is done once the hello is answered, or holds why it was
    not. Rule: with a mesh secret, nothing that the other end says counts before it has proven that it knows it."""

    __slots__ = (
        "_callers",
        "_offers",
        "_seal",
        "_shapes",
        "_signed",
        "codec",
        "generation",
        "node_id",
        "opened",
        "surface",
    )

    def __init__(self, env: Environment, offers: tuple[str, ...], counters: Counters) -> None:
        super().__init__(env, Role.CLIENT, counters)
        self._offers = offers
        self.codec, self.node_id = "", ""
        self.generation: Generation | None = None
        self.surface = Surface(revision=0, endpoints=())
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.opened.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._shapes: list[int] = []
        self._callers: dict[str, int] = {"": 0}
        self._seal: Seal | None = env.trust.seal
        self._signed: tuple[bytes, ...] = ()

    def connection_made(self, transport: Any) -> None:
        """Connected: say who we are."""
        super().connection_made(transport)
        if self._over:  # given up meanwhile
            transport.abort()
            return
        try:
            if self._env.trust.encrypted:
                self._env.trust.check(self._env.trust.peer(transport, self.peer).identity)
        except PermissionDenied as error:
            self._give_up(PermissionDenied(f"{self.peer}: {error}", executed="not_sent"))
            return
        env = self._env
        callers = listed(env.callers())
        self._callers.update({name: index for index, name in enumerate(callers, 1)})
        hello = Hello(
            versions=(PROTOCOL_VERSION,), mesh=env.namespace, node=env.node_id, serializers=self._offers,
            limits=wire_limits(env.limits), callers=callers, generation=pair(env.generation()),
            identity=env.trust.claims, nonce=secrets.token_hex(NONCE_BYTES) if self._seal is not None else "",
        )  # fmt: skip
        self._emit(self._connection.hello(hello))
        self._flush()

    # ---- what the node says ------------------------------------------------------------------------------------------
    def _on_challenge(self, packet: Packet) -> None:
        if self._seal is None:
            raise RemoteProtocolError("a CHALLENGE, and the HELLO had no nonce")
        if not read_hex(packet[7].nonce, NONCE_BYTES):
            raise RemoteProtocolError(f"the nonce of a CHALLENGE is {NONCE_BYTES} bytes in hexadecimal")
        self._signed = (self._connection.transcript, binding(self._transport, server=False))
        self._connection.transcript = b""
        self._emit(self._connection.proof(self._seal.prove(CLIENT, *self._signed)))

    def _on_welcome(self, packet: Packet) -> None:
        welcome: Welcome = packet[7]
        if self._seal is not None and not self._proves(self._seal, welcome):
            self._give_up(Unauthenticated(f"{self.peer}: {UNPROVEN}", executed="not_sent"))
            return
        if welcome.serializer not in self._offers:
            raise RemoteProtocolError(f"the server chose serializer {welcome.serializer!r}, which was not offered")
        self.codec, self.node_id = welcome.serializer, welcome.node
        if welcome.generation is not None:
            self.generation = Generation(epoch=welcome.generation[0], counter=welcome.generation[1])
        self._connection.transcript, self._signed = b"", ()
        self._expose(surface(welcome.revision, welcome.endpoints))
        self._watch()
        if not self.opened.done():
            self.opened.set_result(None)

    def _proves(self, seal: Seal, welcome: Welcome) -> bool:
        return (
            bool(self._signed) and seal.accepts(read_hex(welcome.proof, PROOF_BYTES), SERVER, *self._signed) is not None
        )

    def _on_surface(self, packet: Packet) -> None:
        self._expose(surface(packet[7].revision, packet[7].endpoints))

    def _expose(self, found: Surface) -> None:
        self.surface = found
        self._shapes = shapes(found)

    def _on_reject(self, packet: Packet) -> None:
        reject: Reject = packet[7]
        if not self.opened.done():
            self.opened.set_exception(refused(reject, self.peer))
        self.close()

    def _give_up(self, error: VykedError) -> None:
        """The other end is not who it has to be."""
        if not self.opened.done():
            self.opened.set_exception(error)
        self.abort()

    # ---- what went wrong ---------------------------------------------------------------------------------------------
    def _not_opened(self, exc: Exception | None) -> VykedError:
        """Why the connection ended before it was open."""
        cause = self._cause(exc)
        return Unauthenticated(cause, executed="not_sent") if in_words(exc) else Unavailable(cause, executed="not_sent")

    def _cause(self, exc: Exception | None) -> str:
        words = in_words(exc)
        if words:
            return f"{self.peer}: {words}"
        if self._broken is not None:
            return f"{self.peer} broke the protocol: {self._broken}"
        if self._connection.hears_tls:
            return f"{self.peer} speaks TLS, and this host does not: set [security.tls] at both ends"
        if not self.codec and is_secure(self._transport):
            return f"{self.peer} {CLOSED_AFTER_HANDSHAKE}"
        what = "was lost" if self.codec else NEVER_ANSWERED
        return f"the connection to {self.node_id or self.peer} {what}" + (f" ({exc})" if exc is not None else "")
