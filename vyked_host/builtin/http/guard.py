"""Who may use what of one listener: calls and the host's own paths need proof that one belongs to the mesh; probes stay open; routes
of services are their own matter.

Proof is a certificate that the TLS handshake verified, or a request signed with the mesh secret, once. Without ``[security]``
there is no guard, and no request pays for one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec
from aiohttp import web

from ...contracts import Environment, Peer
from ...errors import PermissionDenied, Unauthenticated
from . import signature
from .reading import whole_body
from .refusal import Refused
from .request import EdgeRequest
from .signature import IDENTITY, NODE, PROOF, STREAM, WINDOW_S, Signature, Signer

OPEN = frozenset({"/ping", "/-/live", "/-/ready"})
"""Paths of the host itself that probes ask: they tell whether it lives and is ready."""

MOST_NONCES = 1 << 17
"""Signed requests that are remembered, so that none counts twice: 4,000 a second for as long as one could be sent again."""

_claims = msgspec.json.Decoder(dict[str, str]).decode


class Nonces:
    """What was used within the window. Only proven requests get here, so strangers can't fill it."""

    def __init__(self, most: int = MOST_NONCES) -> None:
        self._most = most
        self._known: set[str] = set()
        self._order: deque[tuple[float, str]] = deque()

    def use(self, nonce: str, until: float, now: float) -> bool:
        """Use `nonce`, which is of no use after `until`; False: it was used before. Raises Refused (429) when there is no room."""
        while self._order and self._order[0][0] < now:
            self._known.discard(self._order.popleft()[1])
        if nonce in self._known:
            return False
        if len(self._known) >= self._most:
            text = f"{self._most} signed requests within {2 * WINDOW_S:g} s: use certificates ([security.tls]), or tcp"
            raise Refused("RESOURCE_EXHAUSTED", text, retry_after=1.0)
        self._known.add(nonce)
        self._order.append((until, nonce))
        return True


class Guard:
    """The door of one listener."""

    def __init__(self, env: Environment) -> None:
        self._env, self._trust = env, env.trust
        self._signer = None if env.trust.seal is None else Signer(env.trust.seal, env.namespace)
        self._nonces = Nonces()

    async def member(self, request: EdgeRequest, peer: Peer) -> None:
        """Let in who belongs to the mesh, as `request.peer`. Raises Refused (401, 403), also for a body that is another one
        than was signed."""
        signed = self._signed(request)
        if peer.certified:
            self._check_identity(peer)  # also of one that knows the secret
        if signed is None and self._trust.wants_proof:
            self._needs_certificate(peer)
        elif (
            signed is not None
            and signed.digest != STREAM
            and signature.digest(await whole_body(request)) != signed.digest
        ):
            raise _refused("the body is another one than was signed")
        try:
            request.peer = self._trust.admit(self._said(request), peer, member=signed is not None)
        except Unauthenticated as error:
            raise _refused(str(error)) from None

    def guest(self, request: EdgeRequest, peer: Peer) -> None:
        """Whoever it is; the authenticator may know."""
        try:
            request.peer = self._trust.admit(self._said(request), peer, member=False)
        except (Unauthenticated, Refused):
            request.peer = msgspec.structs.replace(peer, identity=None)

    def _check_identity(self, peer: Peer) -> None:
        try:
            self._trust.check(peer.identity)
        except PermissionDenied as error:
            raise Refused("PERMISSION_DENIED", str(error)) from None

    def _needs_certificate(self, peer: Peer) -> None:
        if peer.certified:
            return
        how = [*(["a certificate"] if self._trust.encrypted else []), *(["the mesh secret"] if self._signer else [])]
        raise _refused(f"this path is for hosts of the mesh: prove it with {' or '.join(how)} ([security])")

    def _said(self, request: EdgeRequest) -> Mapping[str, str]:
        if not self._trust.authenticates:
            return {}
        text, authorization = request.headers.get(IDENTITY), request.headers.get("Authorization")
        try:
            found = _claims(text) if text is not None else {}
        except (ValueError, RecursionError):
            raise Refused("INVALID_ARGUMENT", f"{IDENTITY} has to be a JSON object of strings") from None
        return found if authorization is None else {**found, "authorization": authorization}

    # ---- signatures --------------------------------------------------------------------------------------------------
    def _signed(self, request: EdgeRequest) -> Signature | None:
        """The signature of `request`, valid and used for the first time; None: it has none. Raises Refused."""
        text = request.headers.get(PROOF)
        if text is None or self._signer is None:
            return None
        found = signature.read(text)
        if found is None:
            raise _refused(f"{PROOF} is not as it should be: t=UNIX;n=NONCE;d=DIGEST;p=PROOF")
        node = request.headers.get(NODE, "")
        if node not in ("", self._env.node_id):
            raise Refused("UNAVAILABLE", f"this is node {self._env.node_id}, not {node[:80]}: dial again", status=421)
        if not node and request.method != "GET":
            raise _refused(f"{NODE} has to say which node is meant")
        seal = self._signer.verify(node, request.method, request.raw_path, request.headers, found)
        if seal is None:
            raise _refused("the mesh secret of who asks is another one: set [security] secret alike in both")
        self._check_time(found)
        request.seal = seal
        return found

    def _check_time(self, found: Signature) -> None:
        now = self._env.clock.unix()
        late = now - int(found.time)
        if abs(late) > WINDOW_S:
            raise _refused(f"signed {late:+.0f} s ago: the clocks of the hosts may differ by {WINDOW_S:g} s")
        if not self._nonces.use(found.nonce, int(found.time) + WINDOW_S + 1, now):
            raise _refused("this request was seen before: a signature holds once")

    def prove(self, request: EdgeRequest, response: web.Response) -> None:
        """Sign `response`, the answer to a signed request, so that who asked knows that this host belongs to the mesh."""
        found = signature.read(request.headers.get(PROOF, ""))
        if self._signer is not None and request.seal is not None and found is not None:
            body = response.body if isinstance(response.body, bytes) else b""
            response.headers[PROOF] = self._signer.answer(request.seal, found.nonce, self._env.node_id, body)


def guard_of(env: Environment) -> Guard | None:
    """The guard of a host with ``[security]``."""
    return Guard(env) if env.trust.wants_proof or env.trust.authenticates else None


def _refused(text: str) -> Refused:
    return Refused("UNAUTHENTICATED", text, headers={"WWW-Authenticate": "Vyked-Proof"})
