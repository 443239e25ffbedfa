"""Entry points of the back ends: light; what they need is imported when they are built. One object a host."""

from __future__ import annotations

from collections.abc import Iterable

from vyked_host.contracts import Environment, Guarantees, Provider, Transport, hookimpl

from .options import TransportOptions


class Plugin:
    """What this distribution offers to one host, and what its parts know of each other there."""

    @hookimpl
    def vyked_transports(self) -> Iterable[Provider[Transport]]:
        """The transport ``classic``."""
        summary = "calls to and from processes of Vyked 2.x, over its wire"
        return [
            Provider(
                name="classic", summary=summary, options=TransportOptions, build=self._transport, guarantees=_guarantees
            )
        ]

    def _transport(self, options: TransportOptions, env: Environment) -> Transport:
        from .transport import ClassicTransport

        return ClassicTransport(options, env)


def _guarantees(_options: object) -> Guarantees:
    return Guarantees()
