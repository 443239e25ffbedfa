"""Where in a service's source a fault lies, so that every UsageError says class, method, file, line and the remedy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple

from ..errors import UsageError


class Place(NamedTuple):
    """A class or one of its members. `code` is the member's, when it is a function."""

    owner: str
    member: str = ""
    file: str = ""
    line: int = 0

    def fault(self, fault: str, remedy: str) -> UsageError:
        """The error to raise: where, what is wrong, what to do."""
        path = f"{self.owner}.{self.member}" if self.member else self.owner
        where = f" ({self.file}:{self.line})" if self.file else ""
        return UsageError(f"{path}{where}: {fault}; {remedy}")


def of_class(cls: type[object]) -> Place:
    """The place of a class statement."""
    try:
        lines = inspect.getsourcelines(cls)[1]
        return Place(cls.__qualname__, "", inspect.getsourcefile(cls) or "", lines)
    except (OSError, TypeError):  # typed at a prompt, or built at run time
        return Place(cls.__qualname__)


def of_member(cls: type[object], member: str, body: Callable[..., Any] | None) -> Place:
    """The place of a method, decorated or not; that of the class when `body` is no Python function."""
    code = getattr(inspect.unwrap(body), "__code__", None) if body is not None else None
    if isinstance(code, CodeType):
        return Place(cls.__qualname__, member, code.co_filename, code.co_firstlineno)
    return of_class(cls)._replace(member=member)
