"""docs/items-of-vyked.md says of every item of Vyked 2.x which test shows it, or that it is not carried over and why."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/items-of-vyked.md").read_text()
GROUPS = [
    "Names", "The host", "Services", "Clients", "Decorators", "The registry", "Life of a service, statistics, logs",
    "Times and limits", "The wire", "Redis", "Files, scripts, examples", "What branches and the fork had",
]  # fmt: skip
LEFT_OUT = "not carried over"
NAMED = re.compile(r"`(test_\w+)`")


def rows() -> list[list[str]]:
    """The cells of each row, without those that head a table."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.endswith("| shown by |")]
    return [[cell.strip() for cell in re.split(r" \| ", line.strip("| "))] for line in lines]


def known() -> set[str]:
    places = (ROOT / "tests", *(ROOT / "plugins").glob("*/tests"))
    files = (file for place in places for file in place.rglob("test_*.py"))
    return {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text())}


def test_every_group_is_there_with_its_items() -> None:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    assert parts[1::2] == GROUPS
    assert all(part.count("\n| ") > 1 for part in parts[2::2])


def test_each_row_has_three_cells_and_a_test_or_a_reason() -> None:
    for row in rows():
        assert len(list(filter(None, row))) == 3, row
        assert row[2] == LEFT_OUT or re.fullmatch(r"`test_\w+`(, `test_\w+`)*", row[2]), row


def test_each_test_that_is_named_exists() -> None:
    assert set(NAMED.findall(PAGE)) - known() == set()


def test_tests_that_were_written_for_items_are_named() -> None:
    written = re.findall(r"def (test_\w+)\(", (ROOT / "plugins/vyked-classic/tests/test_items.py").read_text())
    beside = {"test_what_has_no_times_is_left_as_it_is"}
    assert set(written) - set(NAMED.findall(PAGE)) - beside == set()
