"""`vyked.utils.decorators`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def deprecated(fn: Callable[P, R]) -> Callable[P, R]:
    """Say at each call that `fn` will go, as a DeprecationWarning at the caller."""

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        warnings.warn(f"Call to deprecated function {fn.__name__}.", DeprecationWarning, stacklevel=2)
        return fn(*args, **kwargs)

    return call
