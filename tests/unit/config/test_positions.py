"""Where keys and values stand, in characters from 1."""

import pytest

from vyked_host.config.positions import Positions

TEXT = """\
top = 1
[a.b."c d"]   # comment
  x.y = "é"
list = [ 1, # one
  { q = 'ü', r.s = 2 },
]
[[t.u]]
v = 1
[[t.u]]
v = 2
[t.u.w]
z = '''
a
b'''
'quoted key' = {}
"""

PLACES = [
    (("top",), "key", (1, 1, 3)),
    (("top",), "value", (1, 7, 1)),
    (("a",), "key", (2, 2, 1)),
    (("a", "b", "c d"), "key", (2, 6, 5)),
    (("a", "b", "c d", "x", "y"), "key", (3, 5, 1)),
    (("a", "b", "c d", "x", "y"), "value", (3, 9, 3)),
    (("a", "b", "c d", "list", 0), "value", (4, 10, 1)),
    (("a", "b", "c d", "list", 1), "value", (5, 3, 20)),
    (("a", "b", "c d", "list", 1, "r", "s"), "key", (5, 16, 1)),
    (("a", "b", "c d", "list", 1, "r", "s"), "value", (5, 20, 1)),
    (("t", "u", 1), "key", (9, 3, 3)),
    (("t", "u", 0, "v"), "value", (8, 5, 1)),
    (("t", "u", 1, "v"), "value", (10, 5, 1)),
    (("t", "u", 1, "w", "z"), "value", (12, 5, 3)),
    (("t", "u", 1, "w", "quoted key"), "key", (15, 1, 12)),
]


@pytest.mark.parametrize(("path", "at", "span"), PLACES)
def test_it_stands_there(path, at, span):
    assert Positions(TEXT).find(path, at) == span


def test_what_stands_nowhere_is_at_what_is_around_it():
    assert Positions(TEXT).find(("a", "b", "c d", "nope", "more"), "value") == (2, 6, 5)
    assert Positions(TEXT).find(("nope",), "value") is None
