"""Who has been alone for long is told of, and not at every look."""

from vyked_host.routing.abandonment import Abandonment


def test_who_stays_alone_is_told_of_each_time_it_has_been_twice_as_long() -> None:
    found = Abandonment[str](10.0)
    told = [(now, each) for now in range(0, 100, 5) for each, _ in found.look(["books"], float(now))]
    assert told == [(10, "books"), (20, "books"), (40, "books"), (80, "books")]


def test_who_was_not_alone_in_between_begins_anew() -> None:
    found = Abandonment[str](10.0)
    assert found.look(["books"], 0.0) == []
    assert found.look([], 9.0) == []
    assert found.look(["books"], 11.0) == []
    assert found.look(["books", "mail"], 21.0) == [("books", 10.0)]
