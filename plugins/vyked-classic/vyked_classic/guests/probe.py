"""Is a guest still there, though nothing is heard of it here? Its own port knows: every service of Vyked 2.x answers pings there."""

from __future__ import annotations

import asyncio
import ssl

from vyked_host import Unavailable
from vyked_host.contracts import Environment

from ..address import bracketed
from ..link import Link
from ..transport import connect
from ..wire import speech
from ..wire.packets import Packet
from .roster import Spot


class _Probe(Link):
    """Waits for one pong."""

    def __init__(self, env: Environment, node_id: str) -> None:
        super().__init__(env, 1 << 16)
        self._node_id = node_id
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def heard(self, packet: Packet) -> None:
        """A word of whoever listens there."""
        if packet.type == "pong" and not self.answered.done():
            self.answered.set_result(packet.node_id == self._node_id)

    def lost(self, why: str) -> None:
        """It hung up."""
        if not self.answered.done():
            self.answered.set_result(False)


async def answers(spot: Spot, env: Environment) -> bool:
    """Does the service at `spot` answer a ping within `[timing] dial` and `pong`? One with a TLS context of its own says nothing in clear, so
    it is asked again over TLS."""
    own = env.tls("client")
    return await _pongs(spot, env, own) or (own is None and await _pongs(spot, env, unverified()))


async def _pongs(spot: Spot, env: Environment, tls: ssl.SSLContext | None) -> bool:
    probe = _Probe(env, spot.node_id)
    try:
        uri = f"tcp://{bracketed(spot.host)}:{spot.port}"
        await connect(env, uri, probe, env.clock.now() + env.timing.dial, tls)
        probe.send(speech.ping(spot.node_id))
        async with asyncio.timeout(env.timing.pong):
            return await probe.answered
    except (Unavailable, TimeoutError):
        return False
    finally:
        probe.close()


def unverified() -> ssl.SSLContext:
    """For a ping and its pong only: they hold nothing that is secret, and nothing that is believed but that somebody is there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
