"""The ancestor's `vyked.log`: decorators that log calls, and `setup_logging`. Each line once, no threads, no colours."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import logging.config
import sys
import types
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
CONFIG_FILE = "config_log.json"


def setup_logging(_identifier: str = "") -> None:
    """Configure logging from ``./config_log.json`` (the schema of logging.config.dictConfig), else to stdout from INFO.

    Raises ValueError when the file is not what it should be. The argument is there for the ancestor's callers.
    """
    try:
        text = Path(CONFIG_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=FORMAT)
        return
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{CONFIG_FILE} holds {type(found).__name__}, not an object")  # noqa: TRY004 - one kind of fault of the file
    logging.config.dictConfig({"disable_existing_loggers": False, **found})  # the host's own among them


def log(
    fn: Callable[..., Any] | None = None, logger: logging.Logger | None = None, debug_level: int = logging.DEBUG
) -> Any:
    """Log each call of a function, its result, and what it raises. Bare or with arguments; the function is awaited then."""
    return _wrapped(fn, _Says(logger, debug_level))


def logx(
    supress_args: Collection[str] = (), supress_all_args: bool = False, supress_result: bool = False,
    logger: logging.Logger | None = None, debug_level: int = logging.DEBUG,
) -> Any:  # fmt: skip
    """Like :func:`log`, with parts left out: named arguments, all of them, the result."""
    return _wrapped(None, _Says(logger, debug_level, frozenset(supress_args), not supress_all_args, not supress_result))


class _Says:
    """What is logged, and where."""

    def __init__(
        self, logger: logging.Logger | None, level: int, hidden: frozenset[str] = frozenset(), arguments: bool = True,
        result: bool = True,
    ) -> None:  # fmt: skip
        self.logger, self.level = logger or logging.getLogger(), level
        self.hidden, self.arguments, self.result = hidden, arguments, result

    def calling(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.arguments and self.logger.isEnabledFor(self.level):
            bound = inspect.signature(fn).bind(*args, **kwargs).arguments
            shown = ", ".join(
                f"{k}={v!r}" for k, v in bound.items() if k not in self.hidden and k not in ("self", "cls")
            )
            self.logger.log(self.level, "Calling %s(%s)", fn.__name__, shown)

    def returned(self, fn: Callable[..., Any], result: Any) -> None:
        if self.result:
            self.logger.log(self.level, "Return %s with result: %r", fn.__name__, result)

    def raised(self, fn: Callable[..., Any], error: BaseException) -> None:
        self.logger.log(self.level, "%s raised %r", fn.__name__, error)


def _wrapped(fn: Callable[..., Any] | None, says: _Says) -> Any:
    if fn is None:
        return functools.partial(_wrapped, says=says)

    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        says.calling(fn, args, kwargs)
        try:
            result = fn(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
        except BaseException as error:
            says.raised(fn, error)
            raise
        says.returned(fn, result)
        return result

    if inspect.isgeneratorfunction(fn):
        types.coroutine(fn)  # marks the function itself: a generator body is awaited
    return call
