"""Entry point of `transport.local`.

The runtime's own dispatch is the local channel: a call to a service of the same node never leaves it. What stands here is
the name, so that `transports = ["local"]` can be written, checked and listed like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...contracts import (
    Address,
    Calls,
    Channel,
    Environment,
    Guarantees,
    Listener,
    NoOptions,
    Provider,
    Surface,
    Transport,
    hookimpl,
)
from ...errors import NotSupported

ADDRESS = Address(transport="local", uri="local:")


@hookimpl
def vyked_transports() -> Iterable[Provider[Transport]]:
    """The transport of this process to itself."""
    return [
        Provider(
            name="local",
            summary="calls between services of one process, without a socket",
            build=_build,
            guarantees=lambda _options: Guarantees(streams=True, cancels=True, push=True),
        )
    ]


def _build(_options: NoOptions, _env: Environment) -> Transport:
    return Local()


class LocalListener:
    """Listens to nothing: there is no way in from outside."""

    addresses: tuple[Address, ...] = (ADDRESS,)

    def expose(self, surface: Surface) -> None:
        """Nothing to tell: the runtime looks at its own endpoints."""

    def stop_accepting(self) -> None:
        """Nothing to stop: calls between services of this node go on while it drains."""

    async def aclose(self) -> None:
        """Nothing to close."""


class Local:
    """The transport whose only peer is this process."""

    async def serve(self, calls: Calls, surface: Surface) -> Listener:
        """A listener without a socket."""
        return LocalListener()

    async def dial(self, address: Address, *, deadline: float) -> Channel:
        """Raises errors.NotSupported: other processes are reached over tcp or http."""
        raise NotSupported(f"{address.uri} is in another process: local calls don't leave this one; use tcp or http")
