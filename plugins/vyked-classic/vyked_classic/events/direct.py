"""An event for one instance of release 2.1.91, which does not listen to its own channel of Redis: it comes over the instance's port,
in a connection of its own, and is acknowledged there."""

from __future__ import annotations

import asyncio
import secrets

from vyked_host import Unavailable
from vyked_host.contracts import Environment

from ..address import bracketed
from ..link import Link
from ..transport import connect
from ..wire import speech
from ..wire.packets import Packet
from .channels import Channel


class _Delivery(Link):
    """Waits for one acknowledgement."""

    def __init__(self, env: Environment, publish_id: str) -> None:
        super().__init__(env, 1 << 16)
        self._publish_id = publish_id
        self.acknowledged: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def heard(self, packet: Packet) -> None:
        """A word of the instance."""
        if packet.type == "ack" and packet.request_id == self._publish_id and not self.acknowledged.done():
            self.acknowledged.set_result(True)

    def lost(self, why: str) -> None:
        """It hung up."""
        if not self.acknowledged.done():
            self.acknowledged.set_result(False)


async def handed_over(host: str, port: int | str, channel: Channel, payload: bytes, env: Environment) -> bool:
    """Does the instance at `host`, `port` acknowledge this event within `[timing] dial` and `pong`?"""
    publish_id = secrets.token_hex(8)
    link = _Delivery(env, publish_id)
    try:
        until = env.clock.now() + env.timing.dial
        await connect(env, f"tcp://{bracketed(host)}:{port}", link, until, env.tls("client"))
        link.send(speech.event(channel.service, channel.version, channel.event, payload, publish_id))
        async with asyncio.timeout(env.timing.pong):
            return await link.acknowledged
    except (Unavailable, TimeoutError, ValueError):  # a port that is none
        return False
    finally:
        link.close()
