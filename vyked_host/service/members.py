"""The members of a service class, in order, with the rules that hold for every kind of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from .endpoints import Decorated, Event
from .places import Place, of_member
from .queues import Queue

LIFE = ("on_start", "on_active", "on_inactive", "on_stop", "health")
_RESERVED = frozenset({*LIFE, "log", "options", "spawn"})


class Naming(NamedTuple):
    """What the service is served as, and whether the ancestor's rules hold for its methods."""

    service: str
    version: str
    lenient: bool = False


def summary(thing: Any) -> str:
    """The first line of a docstring, empty without one."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    return text.partition("\n")[0].strip()


def members(cls: type[object]) -> Iterator[tuple[str, Any]]:
    """Name and value of each member of `cls`, inherited ones first, each where it was first defined."""
    order = dict.fromkeys(name for base in reversed(cls.__mro__) if base is not object for name in vars(base))
    for name in order:
        found = inspect.getattr_static(cls, name)
        _check_override(cls, name, found)
        yield name, found


def _check_override(cls: type[object], name: str, found: object) -> None:
    if found is None or isinstance(found, (Decorated, Event, Queue)):
        return
    for base in cls.__mro__:
        hidden = vars(base).get(name)
        if isinstance(hidden, (Decorated, Event, Queue)):
            raise of_member(cls, name, found if callable(found) else None).fault(
                f"it hides the decorated {base.__qualname__}.{name}",
                "decorate it as well, or set it to None to withdraw it",
            )


def check_name(name: str, place: Place) -> None:
    """Raises UsageError for names that endpoints and events can't have."""
    if name in _RESERVED:
        raise place.fault("the host uses this name itself", "choose another one")
    if name.startswith("_"):
        raise place.fault("a name with '_' first is private", "choose another one, or remove the decorator")
