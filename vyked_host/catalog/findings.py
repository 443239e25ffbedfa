"""What an explanation is made of: findings, the first one the cause, each with what it rests on. No words: those are the
command line's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from ..model.report import NodeReport
from ..model.topology import Instance
from ..model.values import Value

Fact = str | int | float


class Finding(Value):
    """One thing found: its kind, what it is about, and why that is so."""

    kind: str
    about: Mapping[str, Fact] = {}
    because: tuple[Finding, ...] = ()

    @property
    def causes(self) -> tuple[str, ...]:
        """Its kind, and those of all it rests on, depth first."""
        return (self.kind, *(kind for each in self.because for kind in each.causes))


class Silent(Value):
    """A node that did not answer, and why. `instances`: of a guest, which can't, what the registry has of it."""

    node: str
    reason: str
    instances: tuple[Instance, ...] = ()


def found(kind: str, *because: Finding, **about: Fact) -> Finding:
    """A finding."""
    return Finding(kind=kind, about=about, because=because)


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that was probably meant, "" for none."""
    return next(iter(get_close_matches(word, sorted(known), n=1)), "")


def is_named(report: NodeReport, name: str) -> bool:
    """Does `name` mean this node: its id, or the name of its host?"""
    return name in (report.node, report.host)


def silence(silent: Iterable[Silent]) -> tuple[Finding, ...]:
    """What could not be asked."""
    return tuple(found("silent", node=each.node, reason=each.reason) for each in silent)
