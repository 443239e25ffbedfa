"""What old code takes for granted and Python no longer has: `asyncio.coroutine`; and who else claims the name `vyked`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import runpy
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import importlib_metadata

USAGE = "usage: python -m vyked FILE [ARGUMENT ...]"


def coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """What `asyncio.coroutine` was: a generator function that can be awaited, or a plain one whose result is."""
    if inspect.iscoroutinefunction(function):
        return function
    if inspect.isgeneratorfunction(function):
        return types.coroutine(function)

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        return await found if inspect.isawaitable(found) else found

    return call


def install() -> None:
    """Restore `asyncio.coroutine`, and warn where another distribution has the name `vyked` too. Idempotent."""
    if not hasattr(asyncio, "coroutine"):
        asyncio.coroutine = coroutine  # type: ignore[attr-defined]
        warn_of_the_original()


def warn_of_the_original() -> None:
    """The original beside this one: whichever was installed last has overwritten files of the other."""
    try:
        found = importlib_metadata.version("vyked")
    except importlib_metadata.PackageNotFoundError:
        return
    text = (
        f"vyked {found} is installed beside vyked-classic, and both have the package `vyked`: "
        "pip uninstall vyked, then pip install --force-reinstall --no-deps vyked-classic"
    )
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def run_file(words: list[str]) -> int:
    """Run a file as a program, with the rest of `words` as its arguments. The answer is an exit code."""
    if not words or words[0].startswith("-") or not Path(words[0]).is_file():
        what = f"{words[0]} is no file\n" if words else ""
        sys.stderr.write(f"{what}{USAGE}\n")
        return 2
    install()
    import vyked  # noqa: F401 - names what is wrong with an installation before the file runs

    sys.argv = words
    sys.path[0] = str(Path(words[0]).resolve().parent)
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SyntaxError as error:
        where = f"{error.filename}:{error.lineno}"
        sys.stderr.write(
            f"{where}: {error.msg}; see what else has to change with: vyked-host classic check {words[0]}\n"
        )
        return 3
    return 0
