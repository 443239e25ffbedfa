"""docs/bad-days.md and the tests are in step: each row of the fault table is on the page and has a test with its letter and number
in its name, and the page names no test that is not there."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bad-days.md").read_text()
MESH = [
    f"{letter}{number}"
    for letter, last in (("S", 9), ("R", 16), ("E", 10), ("T", 2), ("L", 1))
    for number in range(1, last + 1)
]
"""Rows on instances, the registry, events, time and the event loop: those of a mesh."""
ROW = re.compile(r"^\| ((?:[A-Z]\d+(?:, )?)+) \|", re.MULTILINE)
NAMED = re.compile(r"(?<=_)([SRETLC]\d+)(?=_)")
TEST = re.compile(r"def (test_\w+)\(")


def rows() -> Counter[str]:
    """Row -> how often it begins a line of the first table, that of whole meshes."""
    whole, _, _ = PAGE.partition("## One connection")
    return Counter(each for ids in ROW.findall(whole) for each in ids.split(", "))


def named_after() -> dict[str, list[str]]:
    """Row -> the tests that have it in their names."""
    found: dict[str, list[str]] = {}
    for folder in ("faults", "unit", "system", "chaos", "integration"):
        for file in (ROOT / "tests" / folder).rglob("test_*.py"):
            for name in TEST.findall(file.read_text()):
                for row in NAMED.findall(name):
                    found.setdefault(row, []).append(name)
    return found


def test_each_row_of_the_mesh_is_on_the_page() -> None:
    assert [each for each in MESH if not rows()[each]] == []


def test_each_row_of_the_page_has_a_test_of_its_name() -> None:
    names = named_after()
    assert rows(), "the table is not found: has its head changed?"
    assert [each for each in [*rows(), *MESH] if not names.get(each)] == []


def test_each_test_that_is_named_after_a_row_is_on_the_page() -> None:
    """By a row of its own, or with the links of one connection, by word."""
    assert sorted(each for each in named_after() if not re.search(rf"^\| [^|]*\b{each}\b", PAGE, re.MULTILINE)) == []


def test_each_claim_has_its_figure() -> None:
    whole, _, _ = PAGE.partition("## One connection")
    lines = [line for line in whole.splitlines() if ROW.match(line)]
    assert [
        line for line in lines if len(line.strip("|").split("|")) != 4 or not line.strip("|").split("|")[3].strip()
    ] == []


# ---- a server between the hosts --------------------------------------------------------------------------------------------
SERVERS = PAGE.partition("## A server between the hosts")[2]
"""Its rows name their tests, which are in more places than one and need no letter in their names."""
WHERE = ("tests", "plugins/vyked-nats/tests", "vyked_host/testing/conformance")


def test_each_row_of_a_server_is_on_the_page() -> None:
    wanted = [*(f"D{each}" for each in range(1, 13)), *(f"N{each}" for each in range(1, 8))]
    assert [each for each in wanted if f"\n| {each} |" not in SERVERS] == []


def test_each_row_of_a_server_names_a_test_and_each_of_these_is_there() -> None:
    lines = [line for line in SERVERS.splitlines() if re.match(r"\| ([DN]\d+|-) \|", line)]
    assert [line for line in lines if not re.search(r"`test_\w+`", line)] == []
    files = (file for folder in WHERE for file in (ROOT / folder).rglob("*.py"))
    there = {name for file in files for name in TEST.findall(file.read_text())}
    assert sorted(set(re.findall(r"`(test_\w+)`", SERVERS)) - there) == []
