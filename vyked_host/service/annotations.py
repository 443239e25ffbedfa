"""What annotations say: resolved hints, streams, awaitables, and the web framework's raw request and response.

Classes of the web framework are known by module and name, so that a host without HTTP never imports it.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import UsageError

_STREAMS = (AsyncIterator, AsyncIterable, AsyncGenerator)
_AWAITABLES = (Awaitable, Coroutine)
_MODULES = re.compile(r"\b(?:\w+\.)+(?=[A-Za-z_])")
_STREAM_TEXT = re.compile(r"(?:\w+\.)*Async(?:Iterator|Iterable|Generator)\b")


def hints_of(body: Callable[..., Any]) -> dict[str, Any]:
    """Name -> type of each annotation, extras kept. Raises NameError or TypeError when one can't be resolved."""
    return get_type_hints(inspect.unwrap(body), include_extras=True)


def type_name(shape: Any) -> str:
    """A type as people write it: ``str``, ``list[User]``, ``bytes | None``; constraints are left out."""
    if get_origin(shape) is typing.Annotated:
        return type_name(shape.__origin__)
    if shape is None or shape is type(None):
        return "None"
    if isinstance(shape, type) and not get_args(shape):
        return shape.__name__
    if (inner := get_args(shape)) and get_origin(shape) in (types.UnionType, typing.Union):
        return " | ".join(map(type_name, inner))
    if inner and isinstance(get_origin(shape), type) and not any(isinstance(each, list) for each in inner):
        return f"{get_origin(shape).__name__}[{', '.join('...' if each is ... else type_name(each) for each in inner)}]"
    return _MODULES.sub("", str(shape))


def stream_item(hint: Any) -> Any:
    """T of ``AsyncIterator[T]`` (Any when bare), or None when `hint` is no stream."""
    origin = get_origin(hint) or hint
    if origin not in _STREAMS:
        return None
    return next(iter(get_args(hint)), Any)


def awaited(hint: Any) -> tuple[Any, bool]:
    """(R, True) of ``Awaitable[R]`` and ``Coroutine[.., .., R]``; (hint, False) of anything else."""
    origin = get_origin(hint) or hint
    if origin not in _AWAITABLES:
        return hint, False
    return (get_args(hint) or (Any,))[-1], True


def generator_result(hint: Any) -> Any:
    """R of ``Generator[.., .., R]``: what a generator body that is used as a coroutine returns."""
    args = get_args(hint)
    return args[2] if (get_origin(hint) or hint) is Generator and len(args) == 3 else hint


def answers_with_stream(body: Callable[..., Any]) -> bool:
    """Does calling `body` give an async iterator? Judged when it is decorated, when names may not be resolvable yet."""
    if inspect.isasyncgenfunction(body):
        return True
    if inspect.iscoroutinefunction(body):
        return False
    hint = inspect.get_annotations(inspect.unwrap(body)).get("return")
    return _STREAM_TEXT.match(hint) is not None if isinstance(hint, str) else stream_item(hint) is not None


def is_request(hint: Any) -> bool:
    """Is `hint` the web framework's request?"""
    return _is_of_web(hint, "BaseRequest")


def is_response(hint: Any) -> bool:
    """Is `hint` the web framework's response, plain or streaming, or a union of them?"""
    members = get_args(hint) if typing.get_origin(hint) is not None else ()
    return _is_of_web(hint, "StreamResponse") or any(is_response(each) for each in members)


def _is_of_web(hint: Any, name: str) -> bool:
    if not isinstance(hint, type):
        return False
    return any(each.__name__ == name and each.__module__.partition(".")[0] == "aiohttp" for each in hint.__mro__)


def payload_type(body: Callable[..., Any]) -> Any:
    """What an event's body returns; Any when it does not say. Raises UsageError when the name can't be resolved."""
    try:
        hint = hints_of(body).get("return", Any)
    except (NameError, TypeError) as error:
        raise UsageError(
            f"{body.__qualname__}: the type of the payload can't be resolved ({error}); define it at the top of the module"
        ) from error
    return type(None) if hint is None else hint
