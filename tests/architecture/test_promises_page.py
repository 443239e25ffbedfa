"""docs/semantics.md names the test that proves each promise: each has to exist, and none is in a table twice."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = re.compile(r"^\| .+ \| proved by \|\n\|---\|---\|\n((?:\|.*\|\n)+)", re.MULTILINE)
ROW = re.compile(r"\| (?P<promise>[^|]+\.) \| `(?P<test>test_\w+)` \|")
TEST = re.compile(r"def (test_\w+)\(")


def written() -> list[str]:
    """The rows of all tables of promises."""
    return [row for table in TABLE.findall((ROOT / "docs/semantics.md").read_text()) for row in table.splitlines()]


def known() -> set[str]:
    return {name for file in (ROOT / "tests").rglob("test_*.py") for name in TEST.findall(file.read_text())}


def test_each_promise_is_a_sentence_with_a_test_that_exists() -> None:
    rows = written()
    assert rows, "the tables are not found: has their head changed?"
    assert [row for row in rows if not ROW.fullmatch(row)] == []
    assert {match["test"] for row in rows if (match := ROW.fullmatch(row))} - known() == set()


def test_no_promise_stands_there_twice() -> None:
    assert [row for row, count in Counter(written()).items() if count > 1] == []


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
