"""What goes wrong between this host and its server."""

from __future__ import annotations

from ...errors import VykedError


class Unreachable(VykedError):
    """The server can't be used now, for the reason in the text."""
