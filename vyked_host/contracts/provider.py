"""The descriptor that a plugin hands in for each thing it offers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec

from ..model.message import Guarantees
from ..model.values import Value
from .environment import Environment

SPI_VERSION = (1, 0)
"""Major: breaking; minor: additions. A plugin module may set ``VYKED_SPI = "1.0"`` to say what it was written for."""

T = TypeVar("T")


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a provider that has none."""


def _plain(_options: Any) -> Guarantees:
    return Guarantees()


class Provider(Value, Generic[T]):
    """`build` imports late and returns the object; `options` is the Struct of its table in vyked.toml; `guarantees` is the
    most these options can give; `verify` asks the reached server what it gives: less than used is refused."""

    name: str
    summary: str
    build: Callable[[Any, Environment], T]
    options: type[msgspec.Struct] = NoOptions
    guarantees: Callable[[Any], Guarantees] = _plain
    verify: Callable[[T], Awaitable[Guarantees]] | None = None
