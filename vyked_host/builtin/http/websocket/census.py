"""The open WebSockets of one listener, what bounds each of them, and who may open one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from ....contracts import Codec, Environment
from ..cors import EVERYBODY, is_same_origin
from ..negotiation import DEFAULT
from ..options import Options
from ..pace import Allowances
from ..refusal import Refused
from .reasons import GOING_AWAY

if TYPE_CHECKING:
    from .session import Session


class Sockets:
    """What the sockets of a listener share."""

    def __init__(self, env: Environment, options: Options) -> None:
        self.env, self.allowed = env, Allowances(env.timing)
        limits, said = env.limits, options.websocket
        self.message = None if limits.message == "none" else limits.message
        self.write_buffer = None if limits.write_buffer == "none" else limits.write_buffer
        self.rate = None if said.messages == "none" else said.messages
        self.grace_s = said.grace * env.timing.scale
        self._named = frozenset(options.cors.origins) - {EVERYBODY}
        self._open: set[Session] = set()
        self._leaving = False

    @property
    def is_leaving(self) -> bool:
        """Has the drain begun?"""
        return self._leaving

    def __len__(self) -> int:
        return len(self._open)

    def codec(self, shape: object) -> Codec:
        """JSON for `shape`."""
        return self.env.serializers()[DEFAULT].codec(shape)

    # ---- who may -----------------------------------------------------------------------------------------------------
    def check_origin(self, request: web.BaseRequest, listed: tuple[str, ...]) -> None:
        """A page has to be of this host, or of an origin that the route or vyked.toml names. Who sends no Origin is no
        browser. Raises Refused (403)."""
        origin = request.headers.get("Origin")
        if origin is None or is_same_origin(request, origin) or origin in listed or EVERYBODY in listed:
            return
        if origin not in self._named:
            raise Refused("PERMISSION_DENIED", f"a page of {origin[:200]} may not open this socket")

    # ---- which are -----------------------------------------------------------------------------------------------------
    def opened(self, session: Session) -> None:
        """One more."""
        self._open.add(session)
        if self._leaving:
            self.close(session, GOING_AWAY, "this host is draining")

    def ended(self, session: Session) -> None:
        """One less. Idempotent."""
        self._open.discard(session)

    def leave(self) -> None:
        """Drain: every socket is closed with 1001; its handler may finish."""
        self._leaving = True
        for session in list(self._open):
            self.close(session, GOING_AWAY, "this host is draining")

    def close(self, session: Session, code: int, reason: str) -> None:
        """Close one from where nothing can be awaited."""
        self.env.tasks(session.close(code, reason), f"closing websocket {session.id}")
