"""Entry points of `results.memory` and `results.sqlite`."""

from __future__ import annotations

from collections.abc import Iterable

from ...contracts import Environment, Guarantees, Provider, ResultStore, hookimpl
from .options import FileOptions, MemoryOptions


@hookimpl
def vyked_result_stores() -> Iterable[Provider[ResultStore]]:
    """Results in memory, and in a file."""
    return [
        Provider(
            name="memory",
            summary="results in the memory of this process: gone when it ends, unknown to other instances",
            options=MemoryOptions,
            build=_memory,
        ),
        Provider(
            name="sqlite",
            summary="results in a file that the hosts of one machine share, and that outlives them",
            options=FileOptions,
            build=_file,
            guarantees=lambda _options: Guarantees(durability="process"),
        ),
    ]


def _memory(options: MemoryOptions, env: Environment) -> ResultStore:
    from .memory import MemoryResults

    return MemoryResults(options, env)


def _file(options: FileOptions, env: Environment) -> ResultStore:
    from .sqlite import FileResults

    return FileResults(options, env)
