"""Versions: short forms, order, and who can serve whom. Numbers are the rows of the defects of Vyked 2.x."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.errors import UsageError
from vyked_host.model.version import compatible, parse

NUMBERS = st.integers(0, 30)
RELEASES = st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS)


@pytest.mark.parametrize(
    ("text", "full"), [("1", "1.0.0"), ("1.2", "1.2.0"), ("1.2.3", "1.2.3"), ("1.2.3-rc.1", "1.2.3-rc.1"), (2, "2.0.0")]
)
def test_short_forms_are_filled_up(text: str | int, full: str) -> None:
    assert str(parse(text)) == full


@pytest.mark.parametrize("text", ["", "v1", "1.", "1.2.3.4", "one", "1/2", "-1", "1.2.3-", " 1"])
def test_what_is_no_version_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="is no version"):
        parse(text)


def test_semver_orders_prereleases_before_their_release() -> None:
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    backwards = list(reversed(ordered))
    assert sorted(backwards, key=lambda text: parse(text).key()) == ordered


@pytest.mark.parametrize(
    ("offered", "wanted", "serves"),
    [
        ("1.8", "1.7", True), ("1.2", "1.9", False), ("2.0", "1.9", False), ("1.7", "1.7", True), ("1.9", None, True),
        ("0.3.1", "0.3.0", True), ("0.4.0", "0.3.0", False), ("1.3.0-rc.1", "1.2", False), ("1.3.0-rc.2", "1.3.0-rc.1", True),
        ("1.3.0-rc.1", None, False), ("1.3.0", "1.3.0-rc.1", True),
    ],
)  # fmt: skip
def test_7_same_major_and_not_lower(offered: str, wanted: str | None, serves: bool) -> None:
    assert compatible(offered, wanted) is serves


@given(RELEASES, RELEASES)
def test_7_nobody_is_given_a_lower_version_or_another_major(offered: str, wanted: str) -> None:
    if compatible(offered, wanted):
        assert parse(offered).key() >= parse(wanted).key()
        assert parse(offered).major == parse(wanted).major


@given(RELEASES)
def test_every_release_serves_itself(text: str) -> None:
    assert compatible(text, text)
