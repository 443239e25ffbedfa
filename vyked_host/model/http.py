"""Markers that say where in an HTTP request a parameter comes from: ``Annotated[str, Header("X-Name")]``.

Values only: the HTTP transport reads them when it binds a route; on other transports they mean nothing.
"""

from __future__ import annotations

import msgspec


class Query(msgspec.Struct, frozen=True):
    """The parameter comes from the query string, under `name` (default: the parameter's own name)."""

    name: str = ""


class Header(msgspec.Struct, frozen=True):
    """The parameter comes from the header `name` (default: the parameter's name with ``-`` for ``_``)."""

    name: str = ""


class Cookie(msgspec.Struct, frozen=True):
    """The parameter comes from the cookie `name` (default: the parameter's own name)."""

    name: str = ""


class Body(msgspec.Struct, frozen=True):
    """The parameter is the whole body of the request; at most one may be marked so."""


Marker = Query | Header | Cookie | Body
