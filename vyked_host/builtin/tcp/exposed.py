"""What the link of one client needs of the listener it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ...contracts import Calls, Surface
from ...wire.hello import Host

if TYPE_CHECKING:
    from .server import ServerLink


class Exposed(Protocol):
    """Shared by all links of a listener; it changes on reload and drain. `plain`: the indexes of what may be called without another
    look; `leaving` is why not, while draining."""

    calls: Calls
    surface: Surface
    shapes: list[int]
    plain: frozenset[int]
    leaving: str

    def host(self) -> Host:
        """What this host says of itself."""
        ...

    def admit(self, link: ServerLink) -> str | None:
        """Take `link` in, or say why there is no room for it."""
        ...

    def greeted(self, link: ServerLink) -> None:
        """`link` has introduced itself."""

    def forget(self, link: ServerLink) -> None:
        """`link` is closed."""
