"""``raises=[UserExists]`` -> what travels instead of the class: its code, status, and a Struct of its fields."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import ServiceError, field_types
from ..model.description import DeclaredError
from .places import Place
from .shapes import ensure_travels


def declared_errors(raises: tuple[Any, ...], place: Place) -> tuple[DeclaredError, ...]:
    """The errors that an endpoint declares. Raises UsageError for what is no application error, or shares a code."""
    found: dict[str, DeclaredError] = {}
    for error in raises:
        if not (isinstance(error, type) and issubclass(error, ServiceError)):
            raise place.fault(f"raises has {error!r}", 'declare `class UserExists(ServiceError, code="user_exists")`')
        twin = found.setdefault(error.code, _declared(error, place))
        if twin.error is not error:
            raise place.fault(
                f"{error.__name__} and {twin.error.__name__} have the same code {error.code!r}", "give each its own"
            )
    return tuple(found.values())


def _declared(error: type[ServiceError], place: Place) -> DeclaredError:
    return DeclaredError(code=error.code, status=error.status, error=error, details=_details(error, place))


def _details(error: type[ServiceError], place: Place) -> type[msgspec.Struct] | None:
    if not error.fields:
        return None
    try:
        types = field_types(error)
    except (NameError, TypeError) as fault:
        raise place.fault(
            f"a field of {error.__name__} can't be resolved ({fault})", "define its type at the top of the module"
        ) from fault
    for name, hint in types.items():
        ensure_travels(hint, f"{error.__name__}.{name}", place)
    required = [(name, hint) for name, hint in types.items() if not hasattr(error, name)]
    optional = [(name, hint, getattr(error, name)) for name, hint in types.items() if hasattr(error, name)]
    return msgspec.defstruct(f"{error.__name__}Details", [*required, *optional], module=error.__module__, kw_only=True)
