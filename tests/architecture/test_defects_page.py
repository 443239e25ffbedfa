"""docs/defects-of-vyked.md names tests: each has to exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \|.*`(test_\w+)` \|$", re.MULTILINE)
CONCERNED = set(range(1, 43))


def known() -> set[str]:
    found: set[str] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"def (test_\w+)\(", file.read_text()))
    return found


def test_each_row_names_a_test_that_exists() -> None:
    rows = ROW.findall((ROOT / "docs/defects-of-vyked.md").read_text())
    assert {int(number) for number, _ in rows} == CONCERNED
    assert not {name for _, name in rows} - known()
