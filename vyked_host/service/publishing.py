"""`@publish`: makes a method an event."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from ..errors import UsageError
from .endpoints import Event

P = ParamSpec("P")
T = TypeVar("T")


@overload
def publish(body: Callable[Concatenate[Any, P], T], /) -> Event[P, T]: ...
@overload
def publish(*, sensitive: Sequence[str]) -> PublishDecorator: ...
def publish(body: Any = None, /, *, sensitive: Sequence[str] = ()) -> Any:
    """Make a method an event: the body builds the payload, calling it hands the event to the bus. `sensitive` names fields
    of the payload whose values `vyked-host tail` does not show."""
    if body is None and sensitive:
        return lambda found: _published(found, tuple(sensitive))
    return _published(body, ())


class PublishDecorator(Protocol):
    """@publish with options."""

    def __call__(self, body: Callable[Concatenate[Any, P], T], /) -> Event[P, T]:
        """The event."""
        ...


def _published(body: Any, sensitive: tuple[str, ...]) -> Event[..., Any]:
    if not inspect.isfunction(body):
        raise UsageError("@publish decorates a method that returns the payload: put it right above the def")
    return Event(body, sensitive=sensitive)
