"""A pytest plugin that notes what became of each case of the kit."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from ..conformance import cases
from ..conformance.plugins import PluginConformance

Verdict = Literal["passed", "failed", "known failure", "not declared", "newer", "left out"]
PACKAGING = "packaging"
AFTERWARDS = "nothing is left open after the last case"
WORDS = 500
"""Characters of a failure that are kept."""


class Case(msgspec.Struct):
    """One case: its name, the guarantees it is about (none: what every plugin of the kind has to do), what became of it and why."""

    name: str
    about: tuple[str, ...]
    verdict: Verdict
    why: str = ""
    where: str = ""


class Verdicts:
    """The plugin. `cases` in the order in which they ran; `refused` are guarantees whose use was refused, as it has to be;
    `trouble` is what kept pytest from collecting."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.refused: set[str] = set()
        self.trouble: list[str] = []
        self._about: dict[str, tuple[str, ...]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note what each case is about."""
        for item in items:
            if isinstance(item, pytest.Function):
                packaging = isinstance(item.cls, type) and issubclass(item.cls, PluginConformance)
                self._about[item.nodeid] = (PACKAGING,) if packaging else cases.of(item.function)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that could not be collected."""
        if report.failed:
            self.trouble.append(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one case is over. What fails while it is set up or torn down has failed."""
        self.refused |= {str(value) for name, value in report.user_properties if name == cases.REFUSED}
        known = self.cases.get(report.nodeid)
        tells = report.when == "call" or not report.passed
        if tells and (known is None or known.verdict == "passed" or report.failed):
            self.cases[report.nodeid] = self._case(report)

    def left_open(self, error: Exception) -> None:
        """What was found at the end, when no case ran any more."""
        found = [str(each.__cause__ or each.__context__ or each) for each in leaves(error)]
        self.cases[AFTERWARDS] = Case(name=AFTERWARDS, about=(), verdict="failed", why="; ".join(found)[:WORDS])

    def _case(self, report: pytest.TestReport) -> Case:
        verdict, why = _verdict(report)
        if verdict == "failed" and (logged := _logged(report.caplog)):
            first, _, rest = why.strip().partition("\n")
            why = f"{first}; logged before: {logged}\n{rest}"
        return Case(
            name=report.nodeid.rpartition("::")[2], about=self._about.get(report.nodeid, ()), verdict=verdict,
            why=why[:WORDS], where=_where(report),
        )  # fmt: skip


def leaves(error: BaseException) -> list[BaseException]:
    """The single errors of a group, however deep; one that is none stands for itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def _logged(text: str) -> str:
    """The last line of a log with a traceback in it: a task of the plugin's own has failed, and what was waited for never came."""
    after = text.rpartition("Traceback (most recent call last):")[2] if "Traceback" in text else ""
    return next((line for line in after.splitlines() if line and not line.startswith((" ", "|"))), "")


def _verdict(report: pytest.TestReport) -> tuple[Verdict, str]:
    if report.passed:
        return "passed", ""
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        return "failed", crash.message if crash is not None else report.longreprtext
    if hasattr(report, "wasxfail"):
        return "known failure", str(report.wasxfail).removeprefix("reason: ")
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix(
        "Skipped: "
    )
    if reason.startswith(cases.NOT_DECLARED):
        return "not declared", reason.removeprefix(cases.NOT_DECLARED)
    return ("newer", reason.removeprefix(cases.TOO_NEW)) if reason.startswith(cases.TOO_NEW) else ("left out", reason)


def _where(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return f"{crash.path}:{crash.lineno}" if report.failed and crash is not None else ""
