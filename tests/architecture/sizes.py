"""Sizes of modules and functions. `make sizes` prints the report."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from operator import itemgetter

from .sources import Source, functions, sources

MODULE_LINES, FUNCTION_LINES = 300, 40
LONG_MODULES: dict[str, str] = {
    "vyked_host/errors.py": "one tree of exceptions, and the one table of what their codes mean at each edge",
    "vyked_host/testing/conformance/pubsub.py": "one contract, one class of cases: an author subclasses it and reads it down",
    "vyked_host/testing/conformance/transports.py": "one contract, one class of cases: an author subclasses it and reads it down",
}
"""Path -> why this module may be longer."""
LONG_FUNCTIONS: dict[str, str] = {}
"""``path:qualified.name`` -> why this function may be longer."""


def too_long(each: Source) -> Iterator[str]:
    """What of a source is over the limits and not excepted."""
    lines = len(each.text.splitlines())
    if lines > MODULE_LINES and each.path not in LONG_MODULES:
        yield f"{each.path}: {lines} lines, over {MODULE_LINES}: two modules, or an exception with its reason"
    for function in functions(each.tree):
        if function.lines > FUNCTION_LINES and f"{each.path}:{function.name}" not in LONG_FUNCTIONS:
            yield each.at(function.node, f"{function.name} has {function.lines} lines, over {FUNCTION_LINES}")


def report(found: Sequence[Source]) -> str:
    """Totals, medians and the longest, as text."""
    modules = {each.path: len(each.text.splitlines()) for each in found}
    lengths = {f"{each.path}:{one.name}": one.lines for each in found for one in functions(each.tree)}
    return "\n".join(
        (
            f"{sum(modules.values())} lines in {len(modules)} modules, {len(lengths)} functions",
            f"module: {_spread(modules.values())}; function: {_spread(lengths.values())}",
            *_longest(modules),
            *_longest(lengths),
        )
    )


def _spread(lines: Sequence[int] | object) -> str:
    ordered = sorted(lines)  # type: ignore[call-overload]
    return f"median {statistics.median(ordered):.0f}, p90 {ordered[int(len(ordered) * 0.9)]}, longest {ordered[-1]}"


def _longest(lines: dict[str, int]) -> list[str]:
    return [f"{count:6} {name}" for name, count in sorted(lines.items(), key=itemgetter(1), reverse=True)[:8]]


if __name__ == "__main__":
    print(report(sources()))
