"""What travels beside a call here: the name of the app that called, which Vyked 2.x carries and nobody reads."""

from __future__ import annotations

from vyked_host.contracts import pack_headers, unpack_headers

APP = "app"


def app_of(packed: bytes) -> str | None:
    """The app among the headers of a call."""
    return unpack_headers(packed).get(APP)


def with_app(app: str | None) -> bytes | None:
    """Headers that name the app."""
    return pack_headers({APP: app}) if app is not None else None
