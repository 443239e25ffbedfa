"""docs/guarantees.md says what is declared now, and has the number of cases that prove it now."""

from vyked_host.loading import load

from .guarantees_page import COLUMNS, PAGE, ROWS, expected, page


def test_the_page_is_what_running_the_kit_would_write():
    assert PAGE.read_text() == page(expected()), "run: python -m tests.contract.guarantees_page"


def test_every_bus_and_transport_that_the_kit_can_test_is_on_it():
    from vyked_host.testing.verifying import installed

    fit = {
        (entry.kind, entry.name)
        for entry in load().entries
        if entry.kind in COLUMNS and not installed.told(entry).suite.unfit
    }
    assert fit == {(each.kind, each.name) for columns in COLUMNS.values() for each in columns}


def test_every_guarantee_that_a_case_is_about_has_a_row():
    for column, proved in expected().items():
        assert set(proved) <= set(ROWS[column.kind]), column
