"""Waiting for what will be true, instead of sleeping for a while and hoping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 15.0
"""On a machine with nothing else to do all that is waited for comes within one; a busy one is no defect."""
_LOOK_S = 0.005


async def eventually(predicate: Callable[[], object], within: float | None = None) -> None:
    """Return once `predicate()` is true. Raises AssertionError after `within` seconds (`WITHIN_S`), saying what was waited
    for."""
    within = WITHIN_S if within is None else within
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not predicate():
        if loop.time() > deadline:
            raise AssertionError(f"not true within {within:g} s: {_name(predicate)}")
        await asyncio.sleep(_LOOK_S)


async def comes_to(wanted: T, ask: Callable[[], Awaitable[T]], within: float | None = None) -> None:
    """Return once `ask()` answers `wanted`: what a server counts it may count a little later. Raises AssertionError with the last
    answer after `within` seconds (`WITHIN_S`)."""
    within = WITHIN_S if within is None else within
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while (found := await ask()) != wanted:
        if loop.time() > deadline:
            raise AssertionError(f"not {wanted!r} within {within:g} s, but {found!r}")
        await asyncio.sleep(_LOOK_S)


def _name(predicate: Callable[[], object]) -> str:
    code = getattr(predicate, "__code__", None)
    return repr(predicate) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
