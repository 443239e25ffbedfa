"""Cases to rows: one for what every plugin of the kind has to do, one for each guarantee that a case is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from .claims import claim
from .verdicts import PACKAGING, Case

Outcome = Literal["passed", "failed", "known failure", "not declared", "left out"]
CONTRACT = "contract"


class Row(msgspec.Struct):
    """`guarantee` as in `Guarantees`; ``contract``: what every plugin of the kind has to do. `passed`, `failed`, `known`: numbers of
    cases; `note`: why, in a few words; `claim`: what was asserted, in words."""

    guarantee: str
    verdict: Outcome
    passed: int = 0
    failed: int = 0
    known: int = 0
    note: str = ""
    claim: str = ""


def matrix(cases: Sequence[Case], refused: Iterable[str], kind: str = "") -> list[Row]:
    """Rows in the order in which the suite for `kind` comes to them. `refused`: guarantees that are not declared and whose use was
    refused."""
    of_row: dict[str, list[Case]] = {CONTRACT: []}
    for case in cases:
        for guarantee in case.about or (_flag(case),):
            of_row.setdefault(guarantee, []).append(case)
    for guarantee in sorted(set(refused) - of_row.keys()):
        of_row[guarantee] = []
    rows = [_row(guarantee, of_it, guarantee in set(refused)) for guarantee, of_it in of_row.items()]
    told = [row for row in rows if row is not None]
    if told[:1] and told[0].verdict == "left out":  # nothing is asked of it, for one reason
        told = [told[0], *(row for row in told[1:] if row.note != told[0].note)]
    for row in told:
        row.claim = claim(kind, row.guarantee)
    return sorted(told, key=lambda row: row.guarantee == PACKAGING)


def _flag(case: Case) -> str:
    """What is not declared by a flag of the suite, such as ``affine`` of a balancer, has a row by that name."""
    return case.why if case.verdict == "not declared" else CONTRACT


def _row(guarantee: str, cases: list[Case], refused: bool) -> Row | None:
    passed, failed, known = (
        sum(case.verdict == verdict for case in cases) for verdict in ("passed", "failed", "known failure")
    )
    if failed:
        return Row(guarantee, "failed", passed, failed, known)
    if known:
        reasons = {case.why for case in cases if case.verdict == "known failure"}
        return Row(guarantee, "known failure", passed, failed, known, "; ".join(sorted(reasons)))
    if passed:
        return Row(guarantee, "passed", passed)
    if refused:
        return Row(guarantee, "not declared", note="NotSupported is raised")
    if any(case.verdict == "not declared" for case in cases):
        return Row(guarantee, "not declared")
    return Row(guarantee, "left out", note="; ".join(sorted({case.why for case in cases}))) if cases else None
