"""What goes wrong between this host and its server."""

from __future__ import annotations

from typing import ClassVar

from ...errors import VykedError


class Unreachable(VykedError):
    """The server can't be used now, for the reason in the text. `todo`: what to do about it, `{table}` being where its url stands."""

    todo: ClassVar[str] = "start the server, correct [{table}] url"


class Denied(Unreachable):
    """It answered and does not let us in, or is no such server: trying again is of no use."""

    todo: ClassVar[str] = "correct [{table}] url"


class NotLetIn(Denied):
    """It is one, and refuses the user, the password, or what this user wants to do."""

    todo: ClassVar[str] = "correct user and password in [{table}] url, or what the server lets this user do"
