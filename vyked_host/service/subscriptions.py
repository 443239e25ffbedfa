"""What @subscribe, @xsubscribe, @every, @background and @websocket note on a handler, which stays a plain method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..model.description import Periodic, Strategy
from ..model.values import Value

_NOTES = "__vyked_notes__"
STRATEGIES: dict[str, Strategy] = {"LEADER": "leader", "RANDOM": "random", "DESIGNATION": "keyed"}
"""The ancestor's names of the strategies -> ours."""
StrategyName = Literal["LEADER", "RANDOM", "DESIGNATION"]


class Subscribed(Value):
    """One subscription of a handler. `event` is an Event, a topic, or None: the handler's name (client classes)."""

    event: Any = None
    version: str | None = None
    exclusive: bool = False
    strategy: Strategy = "any"
    concurrency: int = 16
    max_deliveries: int = 5
    dedupe: bool = False
    since: str | None = None
    may_miss: bool = False


class WebSocketRoute(Value):
    """@websocket: a GET route whose connection becomes a socket."""

    paths: tuple[str, ...]
    origins: tuple[str, ...] = ()
    required_params: tuple[str, ...] = ()
    timeout: float | None = None


class Background(Value):
    """@background: runs from activation to drain, restarted with backoff."""


Note = Subscribed | WebSocketRoute | Background | Periodic


def note(handler: Callable[..., Any], what: Note) -> None:
    """Add a note; the one nearest to the function comes first."""
    handler.__dict__.setdefault(_NOTES, []).append(what)


def notes(handler: Any) -> tuple[Note, ...]:
    """The notes on a handler."""
    return tuple(getattr(handler, "__dict__", {}).get(_NOTES, ()))
