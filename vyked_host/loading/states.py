"""States that follow from metadata and the user's wishes alone: disabled, incompatible, conflict. Nothing is imported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache

from packaging.requirements import InvalidRequirement, Requirement

from ..errors import __version__
from .entry import HOOKS, Entry, normalized

OURSELVES = "vyked-host"


def disable(entries: Iterable[Entry], wishes: Iterable[str], where: str) -> tuple[str, ...]:
    """Switch off what `wishes` name (plugin, distribution or ``kind.name``); `where` the wish stands. Returns the wishes
    that name nothing installed."""
    entries, unmatched = tuple(entries), []
    for wish in wishes:
        meant = [entry for entry in entries if entry.answers_to(wish)]
        for entry in meant:
            entry.settle("disabled", f"by {where}")
        if not meant:
            unmatched.append(wish)
    return tuple(unmatched)


def disable_strangers(entries: Iterable[Entry], where: str) -> None:
    """Switch off all that does not come with vyked-host itself."""
    for entry in entries:
        if normalized(entry.dist) != OURSELVES:
            entry.settle("disabled", f"by {where}")


def judge(entries: Sequence[Entry]) -> None:
    """Find out what can't work with this host and who claims the same ``kind.name``."""
    for entry in entries:
        if entry.state == "available" and (demand := _unmet(entry.requires)):
            entry.settle("incompatible", f"needs {demand}, this is {__version__}")
    for rivals in _rivals(entries):
        for entry in rivals:
            others = ", ".join(other.plugin for other in rivals if other is not entry)
            entry.settle("conflict", f'also offered by {others}; say which: use = "{entry.dist}:{entry.name}"')


def reconsider(entries: Sequence[Entry]) -> None:
    """Something was switched off: a conflict may be over."""
    for entry in entries:
        if entry.state == "conflict":
            entry.settle("available", "")
    judge(entries)


def _rivals(entries: Iterable[Entry]) -> list[list[Entry]]:
    claims: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.state == "available" and entry.kind != HOOKS:
            claims[entry.kind, entry.name].append(entry)
    return [rivals for rivals in claims.values() if len(rivals) > 1]


def _unmet(requires: tuple[str, ...]) -> str | None:
    return next((text for text in requires if not _met(text)), None)


@cache
def _met(text: str) -> bool:
    try:
        demand = Requirement(text)
    except InvalidRequirement:
        return True  # not for us to judge: pip installed it
    if normalized(demand.name) != OURSELVES or (demand.marker and not demand.marker.evaluate({"extra": ""})):
        return True
    return demand.specifier.contains(__version__, prereleases=True)
