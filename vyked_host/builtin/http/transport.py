"""``[transports.http]``: serves routes and calls, and dials other nodes."""

from __future__ import annotations

from ...contracts import Address, Calls, Channel, Environment, Listener, Surface
from .channel import dial
from .listener import listen
from .options import Options


class HttpTransport:
    """`contracts.Transport` over HTTP/1.1."""

    def __init__(self, options: Options, env: Environment) -> None:
        self._options, self._env = options, env

    async def serve(self, calls: Calls, surface: Surface) -> Listener:
        """Bind and serve. Raises errors.StartError when the address can't be bound: the text names whom to ask."""
        return await listen(calls, self._env, self._options, surface)

    async def dial(self, address: Address, *, deadline: float) -> Channel:
        """Connect to a node. Raises errors.Unavailable (`not_sent`), errors.NotSupported."""
        return await dial(address, self._env, self._options, deadline)
