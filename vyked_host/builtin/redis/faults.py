"""What goes wrong between this host and its server."""

from __future__ import annotations

from ...errors import VykedError


class Unreachable(VykedError):
    """The server can't be used now, for the reason in the text."""


class Denied(Unreachable):
    """It answered and does not let us in, or is no such server: trying again is of no use."""
