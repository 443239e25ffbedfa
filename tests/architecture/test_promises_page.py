"""docs/semantics.md and docs/security.md name the test that proves each promise: each has to exist, and none is in a table twice."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"^\| .+ \| proved by \|\n\|---\|---\|\n((?:\|.*\|\n)+)", re.MULTILINE)
ROW = re.compile(r"\| (?P<promise>[^|]+\.) \| `(?P<test>test_\w+)` \|")
TEST = re.compile(r"def (test_\w+)\(")
PAGES = ("docs/semantics.md", "docs/security.md")
ATTACKS = ("2", "3", "4", "5", "9", "12", "13", "14", "15", "16", "20")
"""Rows of the security matrix that a mesh beyond loopback has to stand."""


def written(page: str = PAGES[0]) -> list[str]:
    """The rows of all tables of promises on a page."""
    return [row for table in TABLE.findall((ROOT / page).read_text()) for row in table.splitlines()]


def known() -> set[str]:
    return {name for file in (ROOT / "tests").rglob("test_*.py") for name in TEST.findall(file.read_text())}


@pytest.mark.parametrize("page", PAGES)
def test_each_promise_is_a_sentence_with_a_test_that_exists(page: str) -> None:
    rows = written(page)
    assert rows, "the tables are not found: has their head changed?"
    assert [row for row in rows if not ROW.fullmatch(row)] == []
    assert {match["test"] for row in rows if (match := ROW.fullmatch(row))} - known() == set()


@pytest.mark.parametrize("page", PAGES)
def test_no_promise_stands_there_twice(page: str) -> None:
    assert [row for row, count in Counter(written(page)).items() if count > 1] == []


def test_each_attack_has_its_table() -> None:
    """And a test that is named after a row stands in the table of that row."""
    heads = re.findall(r"^\| ([\d, ]+): .+ \| proved by \|$", (ROOT / "docs/security.md").read_text(), re.MULTILINE)
    assert tuple(heads) == ATTACKS
    told = {name for row in written("docs/security.md") if (match := ROW.fullmatch(row)) for name in [match["test"]]}
    named = {name for name in known() if (match := re.match(r"test_row_(\d+)_", name)) and match[1] in ATTACKS}
    assert named - told == set()


def test_each_row_of_the_fault_matrix_that_is_tested_is_promised() -> None:
    """A test named after a row of the matrix on instances, clients, registry or events proves something that users may rely on."""
    faults = ROOT / "tests/faults"
    rows = {
        row
        for file in faults.glob("test_*.py")
        for name in TEST.findall(file.read_text())
        for row in re.findall(r"(?<=_)([SCRE]\d+)(?=_)", name)
    }
    told = {row for name in " ".join(written()).split("`") for row in re.findall(r"(?<=_)([SCRE]\d+)(?=_)", name)}
    bad_days = (ROOT / "docs/bad-days.md").read_text()
    assert {row for row in rows - told if not re.search(rf"\b{row}\b", bad_days)} == set()
