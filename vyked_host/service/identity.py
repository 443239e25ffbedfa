"""Who a service class says it is: the name and version given with ``class Identity(Service, name=, version=)``.

Kept under one attribute with a name of its own, so that services may use `name` and `version` for themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from ..model import names, version

ATTRIBUTE = "__vyked_identity__"


class Declared(NamedTuple):
    """Name and version as declared; empty where the class (or those it inherits from) gave none."""

    name: str = ""
    version: str = ""


def declared(cls: type[object]) -> Declared:
    """What `cls`, or the nearest class it inherits from, declares."""
    found = getattr(cls, ATTRIBUTE, None)
    return found if isinstance(found, Declared) else Declared()


def declare(cls: type[object], name: str | None, wanted: str | None) -> None:
    """Note what the class statement of `cls` says; what it does not say is inherited. Raises UsageError."""
    before = declared(cls)
    found = Declared(
        names.name(name, "service name") if name is not None else before.name,
        str(version.parse(wanted)) if wanted is not None else before.version,
    )
    setattr(cls, ATTRIBUTE, found)
